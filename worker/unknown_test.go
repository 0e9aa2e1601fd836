package worker

import (
	"errors"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

func TestUnknown(t *testing.T) {
	t.Parallel()
	t.Run("hold: a job waits for a worker that serves its class and its queue", holdsJob)
	t.Run("forward: a job changes nothing but its queue", forwardsJob)
	t.Run("is read and printed", func(t *testing.T) {
		for text, ok := range map[string]bool{"retry": true, "hold": true, "forward:ruby": true,
			"forward:a b": true, "": false, "forward": false, "forward:": false,
			"forward:a\nb": false, "drop": false} {
			u, err := ParseUnknown(text)
			if (err == nil) != ok || (ok && u.String() != text) {
				t.Errorf("%q: %v %v", text, u, err)
			}
		}
	})
}

func holdsJob(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.Unknown = HoldUnknown()
	first := b.start()
	b.push("New", nil, queue.Options{Retry: queue.RetryMax(0)})
	b.until("it is held", func() bool { return b.size("kyu:hold:New") == 1 && b.empty() })
	j := b.only(inspect.New(b.store).HoldSet("New"))
	for _, field := range []string{"retry_count", "failed_at", "error_class"} {
		if value := j.Field(field); value != "" {
			t.Errorf("an attempt was counted: %s is %s", field, value)
		}
	}
	classes, err := inspect.New(b.store).HeldClasses(t.Context())
	if err != nil || len(classes) != 1 || classes[0].Class != "New" {
		t.Errorf("held are %+v (%v), want the class New", classes, err)
	}

	var runs list
	b.mux = NewMux()
	b.handle("New", runs.adds("ran"))
	b.config.Unknown = Unknown{}
	b.config.Capsules = []Capsule{{Concurrency: 1, Queues: queues("c")}}
	b.start() // it serves the class, but not the queue: it must not take the job
	b.push("New", nil, queue.Options{Queue: "c"})
	b.until("it runs a job of its own", func() bool { return runs.len() == 1 })
	if n := b.size("kyu:hold:New"); n != 1 {
		t.Errorf("%d jobs are held, want 1", n)
	}
	first.stop()
	b.config.Capsules = []Capsule{{Concurrency: 1, Queues: queues("a")}}
	b.start()
	b.until("the held job has run", func() bool { return runs.len() == 2 && b.empty() })
	if n := b.servers("New"); n != 2 {
		t.Errorf("%d processes say that they serve the class, want 2", n)
	}
	if b.size("retry")+b.size("dead") != 0 {
		t.Error("it failed")
	}
}

// servers counts the processes that say in Redis that they serve exactly these classes.
func (b *bench) servers(classes string) (n int) {
	b.Helper()
	served, err := inspect.New(b.store).Served(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range served {
		if strings.Join(s.Classes, " ") == classes {
			n++
		}
	}
	return n
}

func forwardsJob(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.Unknown = ForwardUnknown("ruby")
	b.start()
	jid := b.push("Rubys", []any{1.0, "é"}, queue.Options{Retry: queue.NeverRetry,
		Extra: map[string]any{"vendor": map[string]any{"a": 1.0}}})
	b.until("it is forwarded", func() bool { return b.waiting("ruby") == 1 })
	j, err := inspect.New(b.store).FindInQueue(t.Context(), "ruby", jid)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"queue":"ruby","class":"Rubys","args":[1.0,"é"],"jid":"` + jid,
		`"vendor":{"a":1.0}`} {
		if !strings.Contains(j.Raw(), part) {
			t.Errorf("no %s in the forwarded %s", part, j.Raw())
		}
	}
	if b.says("no handler here") {
		t.Error("a forwarded job has a line above the level debug")
	}
	if count := j.Field("retry_count"); count != "" {
		t.Errorf("an attempt was counted: %s", count)
	}
	if !b.raw.SIsMember(t.Context(), "queues", "ruby").Val() {
		t.Error("its queue is not in the set of queues")
	}
}

func TestRefusal(t *testing.T) {
	t.Parallel()
	t.Run("names the field that this worker cannot serve", func(t *testing.T) {
		for fields, want := range map[string]string{
			`"encrypt":true`: "encrypt", `"bid":"b1"`: "bid",
			`"encrypt":false`: "", `"bid":null`: "", `"x":1`: "",
		} {
			err := refusal(parse(t, `{"class":"A","args":[],`+fields+`}`), false)
			var refused *RefusedError
			if errors.As(err, &refused) != (want != "") {
				t.Errorf("%s: %v", fields, err)
			} else if want != "" && refused.Field != want {
				t.Errorf("%s: refused for %s", fields, refused.Field)
			}
		}
		if err := refusal(parse(t, `{"class":"A","args":[],"bid":"b1"}`), true); err != nil {
			t.Errorf("with AllowBatches: %v", err)
		}
	})
}
