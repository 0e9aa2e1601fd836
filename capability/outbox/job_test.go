package outbox_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/testwait"
)

// The contract of docs/postgres.md: what a row by plain SQL becomes.
func TestPlainSQL(t *testing.T) {
	f := newFixture(t)
	full := `{"class":"A","args":[1],"jid":"j","queue":"a","retry":3,"created_at":1.5,` +
		`"enqueued_at":2.5,"x":1.0}`
	for name, c := range map[string]struct {
		columns, values string
		has             []string
	}{
		"a payload with all fields keeps its bytes": {"payload", "'" + full + "'", []string{full}},
		"the least that a row needs": {"queue, payload", `'a', '{"class":"A","args":[1]}'`,
			[]string{`{"class":"A","args":[1],"retry":true,"queue":"a","jid":"`,
				`"created_at":1`, `"enqueued_at":1`}},
		"a jid in its column": {"jid, queue, payload", `'j1', 'a', '{"class":"A"}'`,
			[]string{`"jid":"j1"`, `"args":[]`}},
		"the jid of the payload comes first": {"jid, queue, payload",
			`'j1', 'a', '{"class":"A","jid":"j2"}'`, []string{`"jid":"j2"`}},
		"a time that is past": {"queue, at, payload",
			`'a', now() - interval '1 s', '{"class":"A"}'`, []string{`"enqueued_at":`}},
	} {
		t.Run(name, func(t *testing.T) {
			f := f.in(t)
			f.exec("INSERT INTO kyu_outbox (" + c.columns + ") VALUES (" + c.values + ")")
			f.relay.Flush(t.Context())
			f.arrives("a", 1)
			raw := f.queued("a")[0].Raw()
			for _, part := range c.has {
				if !strings.Contains(raw, part) {
					t.Errorf("%s lacks %s", raw, part)
				}
			}
		})
	}
	for name, values := range map[string]string{
		"a time in its column":  `'a', now() + interval '1 h', '{"class":"A"}'`,
		"a time in the payload": `'a', NULL, '{"class":"A","at":4102444800.5}'`,
	} {
		t.Run("a job that is due later: "+name, func(t *testing.T) {
			f := f.in(t)
			f.exec("INSERT INTO kyu_outbox (queue, at, payload) VALUES (" + values + ")")
			f.relay.Flush(t.Context())
			list := f.raw.ZRange(t.Context(), "schedule", 0, -1).Val()
			if len(list) != 1 || strings.Contains(list[0], "enqueued_at") ||
				strings.Contains(list[0], `"at"`) || !strings.Contains(list[0], `"queue":"a"`) {
				t.Error(list)
			}
		})
	}
}

func TestBadRows(t *testing.T) {
	f := newFixture(t)
	for name, c := range map[string]struct{ values, reason string }{
		"no JSON":    {`'a', NULL, '{"class":'`, "not a valid job"},
		"no class":   {`'a', NULL, '{"args":[]}'`, "class"},
		"no queue":   {`NULL, NULL, '{"class":"A"}'`, "no queue"},
		"two queues": {`'a', NULL, '{"class":"A","queue":"b"}'`, "says"},
		"a JID too long": {`'a', NULL, '{"class":"A","jid":"' || repeat('x', 129) || '"}'`,
			"128"},
		"a line break":      {`E'a\nb', NULL, '{"class":"A"}'`, "line break"},
		"no UTF-16, later":  {`'a', now() + interval '1 h', '{"class":"A","x":"\ud83d"}'`, "Ruby"},
		"a queue of a hash": {`'spoiled', NULL, '{"class":"A"}'`, "WRONGTYPE"},
	} {
		t.Run("are kept aside and block nothing: "+name, func(t *testing.T) {
			f := f.in(t)
			f.raw.HSet(t.Context(), "queue:spoiled", "x", 1)
			f.exec("INSERT INTO kyu_outbox (queue, at, payload) VALUES (" + c.values + ")")
			f.exec(`INSERT INTO kyu_outbox (queue, payload) VALUES ('b', '{"class":"Good"}')`)
			stop := f.run()
			testwait.Until(t, 10*time.Second, "the row behind it is pushed",
				func() bool { return f.raw.LLen(t.Context(), "queue:b").Val() == 1 })
			stop()
			if f.rows("error LIKE '%"+c.reason+"%'") != 1 || f.rows("true") != 1 {
				t.Error("the row is not kept with its reason")
			}
			if n := f.relay.Counts(); n.Relayed != 1 || n.Aside != 1 {
				t.Errorf("%+v", n)
			}
		})
	}
	t.Run("are told once", func(t *testing.T) {
		f := f.in(t)
		before := strings.Count(f.log.String(), "kept aside")
		f.exec(`INSERT INTO kyu_outbox (payload) SELECT '{}' FROM generate_series(1, 100)`)
		f.relay.Flush(t.Context())
		f.relay.Flush(t.Context())
		if n := strings.Count(f.log.String(), "kept aside") - before; n != 1 {
			t.Errorf("%d lines", n)
		}
	})
}
