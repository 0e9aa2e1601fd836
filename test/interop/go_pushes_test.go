package interop

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

func TestGoPushesAndRubyRuns(t *testing.T) {
	s := newSuite(t)
	s.check("B01", "Ruby gets an Integer, a Float, the same text, nil and a Hash", six, noRuby,
		func(k *kase) {
			k.Sidekiq("-q", "default", "-c", "1")
			k.Push("Test::Record", []any{1, 1.0, "é<b>&\u2028", nil,
				map[string]any{"a": map[string]any{"b": []any{1}}}}, queue.Options{})
			r := k.ran("run", 1)[0]
			k.equal("types", r.Types, "[Integer Float String NilClass Hash]")
			k.sameJSON("args", r.Args, `[1,1.0,"é<b>&`+"\u2028"+`",null,{"a":{"b":[1]}}]`)
		})
	s.check("B02", "Ruby would generate the same bytes; the jid is 24 hex digits",
		all, "", sameBytes)
	s.check("B03", "a scheduled payload has no at and no enqueued_at", all, "", func(k *kase) {
		due := time.Now().Add(30 * time.Second)
		k.Push("Test::Record", []any{1}, queue.Options{At: due})
		j, at := k.one("schedule")
		if d := at.Sub(due).Abs(); d > time.Millisecond {
			k.Errorf("due at %v, want %v", at, due)
		}
		k.equal("at, enqueued_at", j.Field("at")+j.Field("enqueued_at"), "")
		k.near(k.v, "created_at", j.Field("created_at"))
		if k.v == 6 {
			var in float64
			k.ruby.Do(&in, `Sidekiq::ScheduledSet.new.first.at - Time.now`)
			if in < 25 || in > 31 {
				k.Errorf("Ruby reads it as due in %v s", in)
			}
		}
	})
	s.check("B04", "Ruby's reschedule moves the one entry, and makes no second", six, sameWire,
		func(k *kase) {
			k.Push("Test::Record", []any{1.0, "é<b>&\u2028\x7f", 1e-7, 1e20},
				queue.Options{At: time.Now().Add(30 * time.Second), Tags: []string{"a/b"}})
			_, before := k.one("schedule")
			k.ruby.Do(nil, `Sidekiq::ScheduledSet.new.first.reschedule(Time.now + 90); nil`)
			_, after := k.one("schedule")
			if d := after.Sub(before); d < 50*time.Second || d > 70*time.Second {
				k.Errorf("moved by %v", d)
			}
		})
	s.check("B05", "the web page's Add to queue brings it to a Ruby worker", six, noRuby,
		func(k *kase) {
			k.Push("Test::Record", []any{1}, queue.Options{At: time.Now().Add(time.Hour)})
			k.ruby.Post("/scheduled", map[string]any{"key": k.keys("schedule"),
				"add_to_queue": "1"})
			k.equal("scheduled, waiting", fmt.Sprint(k.Card("schedule"), k.Len("default")), "0 1")
			k.Sidekiq("-q", "default", "-c", "1")
			k.equal("run by", k.ran("run", 1)[0].By, "ruby")
		})
	s.check("B06", "a bulk push of 2,500 keeps its order; jids are unique", six, sameWire,
		func(k *kase) {
			var args [][]any
			for i := range 2500 {
				args = append(args, []any{i})
			}
			jids, err := k.Client.PushBulk(k.Context(), "Test::Record", args, queue.Options{})
			if err != nil {
				k.Fatal(err)
			}
			unique := map[string]bool{}
			for _, jid := range jids {
				unique[jid] = true
			}
			k.equal("listed", k.Raw.SIsMember(k.Context(), "queues", "default").Val(), true)
			k.equal("length, jids", fmt.Sprint(k.Len("default"), len(unique)), "2500 2500")
			var inOrder bool
			k.ruby.Do(&inOrder,
				`Sidekiq::Queue.new.map { |j| j.args[0] } == (0...2500).to_a.reverse`)
			k.equal("in order", inOrder, true)
		})
	s.check("B07", "a queue name with dot and dash has a page", six, sameWire, func(k *kase) {
		k.Push("Test::Record", nil, queue.Options{Queue: "reports.daily-1"})
		k.equal("status", k.ruby.Get("/queues/reports.daily-1").Status, 200)
	})
	s.check("B08", "with retry 2 a Ruby worker lets it die at the third failure", six, noRuby,
		func(k *kase) {
			k.Sidekiq("-q", "default", "-c", "1")
			k.Push("Test::Fail", []any{"boom"}, queue.Options{Retry: queue.RetryMax(2)})
			for n := range 2 {
				k.ran("run", n+1)
				j, _ := k.one("retry")
				k.equal("retry_count", j.Field("retry_count"), n)
				k.due("retry")
			}
			k.one("dead")
			k.equal("runs", len(k.Records("run")), 3)
		})
	s.check("B09", "float times are read as now by every version", all, "", func(k *kase) {
		k.Push("Test::Record", nil, queue.Options{})
		j, err := envelope.ParseJob(k.raw("default")[0])
		if err != nil {
			k.Fatal(err)
		}
		k.near(k.v, "created_at", j.Field("created_at"))
		k.near(k.v, "enqueued_at", j.Field("enqueued_at"))
		if k.v == 6 {
			var latency float64
			if k.ruby.Do(&latency, `Sidekiq::Queue.new.latency`); latency < 0 || latency > 2 {
				k.Errorf("latency %v s", latency)
			}
		}
	})
	s.check("B10", "integer milliseconds are for 8 alone: 6 reads the year 58,000", eight,
		"6 and 7 must not be given them: this case shows why", func(k *kase) {
			client := queue.NewClient(k.Server.Store(func(c *queue.Config) {
				c.Timestamps = queue.Millis
			}))
			if _, err := client.Push(k.Context(), "Test::Record", nil,
				queue.Options{}); err != nil {
				k.Fatal(err)
			}
			j, err := envelope.ParseJob(k.raw("default")[0])
			if err != nil {
				k.Fatal(err)
			}
			k.near(8, "enqueued_at", j.Field("enqueued_at"))
			var year int
			if k.ruby.Do(&year, `Sidekiq::Queue.new.first.enqueued_at.year`); year < 50_000 {
				k.Errorf("6.4.1 reads the year %d", year)
			}
		})
	s.check("B11", "an unknown class is retried by Ruby, for our pushes always say retry", six,
		noRuby, func(k *kase) {
			k.Sidekiq("-q", "default", "-c", "1")
			k.Push("NoSuch", []any{1}, queue.Options{})
			j, _ := k.one("retry")
			k.equal("error_class", j.String("error_class"), "NameError")
			// no client of ours writes this
			k.enqueue(`{"queue":"default","class":"NoSuch","args":[1],"jid":"foreign",` +
				`"created_at":1.5}`)
			k.ran("death", 1)
			k.equal("kept", fmt.Sprint(k.Card("retry"), k.Card("dead")), "1 0")
		})
	s.check("B12", "what Ruby would refuse is refused before it is pushed", six, sameWire,
		refusedPushes)
	s.check("B13", "locale, tags and fields of one's own reach Ruby's middleware", six, noRuby,
		func(k *kase) {
			k.Sidekiq("-q", "default", "-c", "1")
			k.Push("Test::Record", nil, queue.Options{Tags: []string{"x"},
				Extra: map[string]any{"locale": "ja", "trace": map[string]any{"id": 1.0}}})
			job, err := envelope.ParseJob(string(k.ran("run", 1)[0].Job))
			if err != nil {
				k.Fatal(err)
			}
			k.equal("fields", job.Field("locale")+job.Field("tags")+job.Field("trace"),
				`"ja"["x"]{"id":1.0}`)
		})
	s.check("B14", "a running iterable job of Ruby's learns that it is cancelled at its next flush",
		later, notIn6, func(k *kase) {
			k.load("iteration.dump")
			k.OK("cancelled iter1", "cancel", "iter1")
			// What Ruby does every five seconds: HSET, EXPIRE, HGET cancelled.
			k.Raw.HSet(k.Context(), "it-iter1", "ex", "2", "c", "[2]", "rt", "12.5")
			at := k.Raw.HGet(k.Context(), "it-iter1", "cancelled").Val()
			if !regexp.MustCompile(`^\d{10}$`).MatchString(at) {
				k.Errorf("cancelled %q: want integer seconds", at)
			}
			k.equal("cursor", k.Raw.HGet(k.Context(), "it-iter1", "c").Val(), "[2]")
		})
	s.check("B15", "cancelled before its start, an iterable job has a cursor that Ruby can parse",
		later, notIn6, func(k *kase) {
			const start = `h = redis("HGETALL", q[0]).each_slice(2).to_h
				[h["ex"].to_i, JSON.parse(h["c"]), h["rt"].to_f, h["cancelled"].to_i > 0]`
			k.OK("cancelled fresh", "cancel", "fresh")
			var state []any
			k.ruby.Do(&state, start, "it-fresh")
			k.equal("as Ruby loads it", state, "[0 <nil> 0 true]")
			if ttl := k.Raw.TTL(k.Context(), "it-fresh").Val(); ttl < 29*24*time.Hour {
				k.Errorf("kept for %v", ttl)
			}
			k.load("iteration.dump") // iter2 was cancelled by Ruby, which leaves out the cursor
			if text := k.ruby.Fails(start, "it-iter2"); !strings.HasPrefix(text, "TypeError") {
				k.Errorf("without a cursor: %s", text)
			}
		})
	s.check("B16", "a past time is now; the low-level push schedules it, as Ruby's", six, sameWire,
		func(k *kase) {
			past := time.Now().Add(-10 * time.Second)
			if _, err := k.Client.PushAt(k.Context(), past, "Test::Record", nil,
				queue.Options{}); err != nil {
				k.Fatal(err)
			}
			k.equal("by PushAt", fmt.Sprint(k.Len("default"), k.Card("schedule")), "1 0")
			err := k.Store.PushBatches(k.Context(), []queue.Batch{{Jobs: []queue.Pushed{{JID: "x",
				Payload: `{"class":"A","args":[],"jid":"x"}`, At: past}}}})
			k.equal("by PushBatches", fmt.Sprint(k.Len("default"), k.Card("schedule"), err),
				"1 1 <nil>")
		})
}

// keys are the names by which the web page knows the entries of a set:
// SCORE-JID.
func (k *kase) keys(set string) []string {
	k.Helper()
	var list []string
	class := map[string]string{"schedule": "ScheduledSet", "retry": "RetrySet",
		"dead": "DeadSet"}[set]
	k.ruby.Do(&list, fmt.Sprintf(`Sidekiq::%s.new.map { |e| "#{e.score}-#{e.jid}" }`, class))
	return list
}

func sameBytes(k *kase) {
	store := k.Store
	if k.v == 8 {
		store = k.Server.Store(func(c *queue.Config) { c.Timestamps = queue.Millis })
	}
	jid, err := queue.NewClient(store).Push(k.Context(), "Test::Record",
		[]any{1, math.Copysign(0, -1), 2.5, 1795345820.0, "é<b>&/\u2028\u2029\x7f\n\x01\"\\", nil,
			true, []any{}, map[string]any{"k": []any{map[string]any{}}}},
		queue.Options{Tags: []string{"t"}, Extra: map[string]any{"locale": "ja"}})
	if err != nil {
		k.Fatal(err)
	}
	raw := k.raw("default")[0]
	if !regexp.MustCompile(`^[0-9a-f]{24}$`).MatchString(jid) {
		k.Errorf("jid %q", jid)
	}
	number := map[int]string{6: `\d{10}\.\d{1,6}`, 7: `\d{10}\.\d{1,6}`, 8: `\d{13}`}[k.v]
	want := `^\{"retry":true,"queue":"default","class":"Test::Record",` +
		`"args":\[1,-0\.0,2\.5,1795345820\.0,"é<b>&/` + "\u2028\u2029\x7f" +
		`\\n\\u0001\\"\\\\",null,true,\[\],\{"k":\[\{\}\]\}\],"jid":"` + jid + `","created_at":` +
		number + `,"tags":\["t"\],"locale":"ja","enqueued_at":` + number + `\}$`
	if !regexp.MustCompile(want).MatchString(raw) {
		k.Errorf("wrote %s\nwant  %s", raw, want)
	}
	if k.v == 6 {
		var same bool
		k.ruby.Do(&same, `same_bytes?(redis("LINDEX", "queue:default", 0))`)
		k.equal("same bytes", same, true)
	}
}

func refusedPushes(k *kase) {
	deep := any(1)
	for range 100 {
		deep = []any{deep}
	}
	for what, push := range map[string]func() error{
		"empty class": func() error {
			_, err := k.Client.Push(k.Context(), "", nil, queue.Options{})
			return err
		},
		"bad queue": func() error {
			_, err := k.Client.Push(k.Context(), "A", nil, queue.Options{Queue: "a b"})
			return err
		},
		"NaN": func() error {
			_, err := k.Client.Push(k.Context(), "A", []any{math.NaN()}, queue.Options{})
			return err
		},
		"depth 101": func() error {
			_, err := k.Client.Push(k.Context(), "A", []any{deep}, queue.Options{})
			return err
		},
		"no UTF-8": func() error {
			_, err := k.Client.Push(k.Context(), "A", []any{"\xff"}, queue.Options{})
			return err
		},
		"key not a text": func() error {
			_, err := k.Client.Push(k.Context(), "A", []any{map[bool]int{true: 1}}, queue.Options{})
			return err
		},
	} {
		var invalid *queue.InvalidError
		if err := push(); !errors.As(err, &invalid) {
			k.Errorf("%s: %v", what, err)
		}
	}
	k.equal("in Redis", k.Raw.DBSize(k.Context()).Val(), 0)
}
