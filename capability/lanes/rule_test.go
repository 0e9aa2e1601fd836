package lanes_test

import (
	"strings"
	"testing"

	"github.com/kyujobs/kyu/capability/lanes"
)

func TestParseRule(t *testing.T) {
	t.Run("reads what String writes", func(t *testing.T) {
		for _, text := range []string{"key=args.2|host,max=8,rate=20/s,burst=40", "max=1",
			"total=100", "key=class,rate=100/h", "key=args.0,weight.a=2,weight.b=0.5,beside-ruby",
			"key=tags.0|lower,max=3,total=9", "key=args.0,rate=30/m"} {
			r, err := lanes.ParseRule(text)
			if err != nil {
				t.Errorf("%s: %v", text, err)
				continue
			}
			if r.String() != text {
				t.Errorf("%s became %s", text, r)
			}
		}
	})
	t.Run("refuses with all problems", func(t *testing.T) {
		_, err := lanes.ParseRule("max=x,rate=20,speed=3,weight.a=0,burst=2,max=3")
		for _, part := range []string{"max=x: want a number",
			"rate=20: want a number per s, m, h or d",
			`no setting "speed"`, "weight.a=0: want a number from 0.001", "max: it is there twice",
			"burst: it needs a rate"} {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("no %q in: %v", part, err)
			}
		}
	})
	t.Run("refuses a rule that says nothing", func(t *testing.T) {
		for _, text := range []string{"", "max=0", "beside-ruby", "key=", "key=args", "key=args.x",
			"key=args.0|upper", "key=|host", "rate=0/s", "rate=1e9/s", "weight.a=2"} {
			if r, err := lanes.ParseRule(text); err == nil {
				t.Errorf("%q: %v, want an error", text, r)
			}
		}
	})
}

func FuzzParseRule(f *testing.F) {
	f.Add("key=args.2|host,max=8,rate=20/s,burst=40,weight.a=2,beside-ruby")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := lanes.ParseRule(text)
		if err != nil {
			return
		}
		again, err := lanes.ParseRule(r.String())
		if err != nil || again.String() != r.String() {
			t.Errorf("%q became %q, then %q: %v", text, r, again, err)
		}
	})
}

func TestKey(t *testing.T) {
	const job = `{"class":"A","jid":"1","args":[1,"x",` +
		`{"url":"https://User@Host.Example:8443/in?box"},["q"],"A@B.Example",null],` +
		`"tags":["Loud"],"kyu":{"tenant":"t1"}}`
	const wrapped = `{"class":"Sidekiq::ActiveJob::Wrapper","wrapped":"Mail","jid":"1",` +
		`"args":[{"job_class":"Mail","arguments":["x","y"]}]}`
	for key, want := range map[string]string{"class": "A", "args.0": "1", "args.1": "x",
		"args.2.url|host": "host.example", "args.3.0": "q", "args.4|domain": "b.example",
		"args.4|lower": "a@b.example", "args.5": "", "args.9": "", "args.2": "", "tags.0": "Loud",
		"kyu.tenant": "t1", "nothing": "", "": lanes.WholeQueue} {
		k, err := lanes.ParseKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if got := k.Lane(job); got != want {
			t.Errorf("%s of the job: %q, want %q", key, got, want)
		}
	}
	t.Run("looks into a job of Active Job", func(t *testing.T) {
		for key, want := range map[string]string{"class": "Mail", "args.1": "y"} {
			k, err := lanes.ParseKey(key)
			if err != nil {
				t.Fatal(err)
			}
			if got := k.Lane(wrapped); got != want {
				t.Errorf("%s: %q, want %q", key, got, want)
			}
		}
	})
	t.Run("cuts a long value and keeps it apart from others", func(t *testing.T) {
		k, err := lanes.ParseKey("args.0")
		if err != nil {
			t.Fatal(err)
		}
		long := strings.Repeat("x", 300)
		a := k.Lane(`{"class":"A","jid":"1","args":["` + long + `a"]}`)
		b := k.Lane(`{"class":"A","jid":"1","args":["` + long + `b"]}`)
		if len(a) != 200 || a == b {
			t.Errorf("%d bytes, equal: %v", len(a), a == b)
		}
	})
	t.Run("has no value in bytes that are no job", func(t *testing.T) {
		k, err := lanes.ParseKey("args.0")
		if err != nil {
			t.Fatal(err)
		}
		for _, raw := range []string{"", "x", "[1]", `{"class":"A"}`, `{"args":{"0":"x"}}`} {
			if got := k.Lane(raw); got != "" {
				t.Errorf("%q: %q", raw, got)
			}
		}
	})
}

func FuzzLane(f *testing.F) {
	f.Add("args.2|host", `{"class":"A","jid":"1","args":[1,2,"https://x/"]}`)
	f.Fuzz(func(t *testing.T, key, raw string) {
		k, err := lanes.ParseKey(key)
		if err == nil && len(k.Lane(raw)) > 200 {
			t.Error("a lane has more than 200 bytes")
		}
	})
}
