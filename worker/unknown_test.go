package worker_test

import (
	"context"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/worker"
)

func TestAHeldJobWaitsForAWorkerThatServesItsClassAndItsQueue(t *testing.T) {
	b := newBench(t)
	b.config.Unknown = worker.HoldUnknown()
	b.run()
	jid := b.push("New", []any{1.0}, queue.Options{Retry: queue.RetryMax(0)})
	b.until("it is held", func() bool { return b.size("kyu:hold:New") == 1 && b.empty() })
	e, err := inspect.New(b.store).HoldSet("New").Find(t.Context(), jid)
	if err != nil ||
		e.Job.Field("retry_count")+e.Job.Field("failed_at")+e.Job.Field("error_class") != "" {
		t.Errorf("a retry was spent: %s %v", e.Raw, err)
	}
	held, err := inspect.New(b.store).HeldClasses(t.Context())
	if err != nil || len(held) != 1 || held[0].Class != "New" || held[0].Size != 1 {
		t.Errorf("%+v %v", held, err)
	}

	var r ran
	knows := worker.NewMux()
	worker.Handle(knows, "New", func(context.Context, float64) error { r.add("ran"); return nil })
	elsewhere := b.beside(knows)
	elsewhere.config.Capsules = []worker.Capsule{{Concurrency: 1,
		Queues: []worker.QueueWeight{{Name: "c"}}}}
	elsewhere.run() // knows the class, but not the queue: it must not take it
	b.push("New", []any{2}, queue.Options{Queue: "c"})
	b.until("it runs its own", func() bool { return len(r.all()) == 1 })
	if n := b.size("kyu:hold:New"); n != 1 {
		t.Errorf("%d held", n)
	}
	b.stop()
	b.beside(knows).run()
	b.until("it has run", func() bool { return len(r.all()) == 2 && b.empty() })
	classes, err := inspect.New(b.store).Served(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	served := 0
	for _, s := range classes {
		if strings.Join(s.Classes, " ") == "New" {
			served++
		}
	}
	if served != 2 {
		t.Errorf("advertised: %v", classes)
	}
	if b.size("retry")+b.size("dead") != 0 {
		t.Error("it failed")
	}
}

// beside is a bench for another worker on the same Redis.
func (b *bench) beside(mux *worker.Mux) *bench {
	c := b.config
	c.Unknown = worker.Unknown{}
	return &bench{T: b.T, server: b.server, raw: b.raw, store: b.store, client: b.client,
		mux: mux, config: c}
}

func TestAForwardedJobChangesNothingButItsQueue(t *testing.T) {
	b := newBench(t)
	b.config.Unknown = worker.ForwardUnknown("ruby")
	b.run()
	jid := b.push("Rubys", []any{1.0, "é"}, queue.Options{Retry: queue.NeverRetry,
		Extra: map[string]any{"vendor": map[string]any{"a": 1.0}}})
	b.until("it is forwarded", func() bool {
		return b.raw.LLen(t.Context(), "queue:ruby").Val() == 1
	})
	j, err := inspect.New(b.store).FindInQueue(t.Context(), "ruby", jid)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Replace(j.Raw(), `"queue":"ruby"`, `"queue":"a"`, 1); !strings.Contains(got,
		`"queue":"a","class":"Rubys","args":[1.0,"é"],"jid":"`+jid+`"`) ||
		!strings.Contains(got, `"vendor":{"a":1.0}`) || j.Field("retry_count") != "" {
		t.Errorf("forwarded as %s", j.Raw())
	}
	if !b.raw.SIsMember(t.Context(), "queues", "ruby").Val() {
		t.Error("its queue is not in the set of queues")
	}
}

func TestForwardingToAQueueOfOnesOwnIsRefused(t *testing.T) {
	b := newBench(t)
	b.config.Mux, b.config.Unknown = b.mux, worker.ForwardUnknown("b")
	if _, err := worker.New(b.store, b.config); err == nil ||
		!strings.Contains(err.Error(), "come back for ever") {
		t.Error(err)
	}
}

func TestUnknownPoliciesAreRead(t *testing.T) {
	for text, ok := range map[string]bool{"retry": true, "hold": true, "forward:ruby": true,
		"": false, "forward": false, "forward:": false, "forward:a b": true, "forward:a\nb": false, "drop": false} {
		u, err := worker.ParseUnknown(text)
		if (err == nil) != ok || (ok && u.String() != text) {
			t.Errorf("%q: %v %v", text, u, err)
		}
	}
}
