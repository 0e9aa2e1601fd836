package inspect_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

// tell publishes runs of h:1:a. The one that began last is the last.
func (f *fixture) tell(runs ...queue.RunRecord) {
	f.Helper()
	now := time.Now()
	for i := range runs {
		runs[i].Started = now.Add(time.Duration(i-len(runs)) * time.Second)
	}
	if err := f.owner.PublishRuns(f.Context(), []string{"t0", "t1"}, runs, now); err != nil {
		f.Fatal(err)
	}
}

// runs are the answers of processes, for which it waits so long.
func (f *fixture) runs(wait time.Duration, ids ...string) []inspect.ProcessRuns {
	f.Helper()
	list, err := f.in.Runs(f.Context(), wait, ids...)
	if err != nil || len(list) != len(ids) {
		f.Fatal(list, err)
	}
	return list
}

// signals is how many signals wait for h:1:a.
func (f *fixture) signals() int64 { return f.raw.LLen(f.Context(), "h:1:a-signals").Val() }

func TestRuns(t *testing.T) {
	t.Run("an answer of just now is taken as it is", func(t *testing.T) {
		f := newFixture(t)
		f.tell(queue.RunRecord{TID: "t0", Queue: "a", Class: "Job", JID: "j1", Outcome: "done",
			Took: time.Second}, queue.RunRecord{TID: "t1", JID: "j2\xff", Outcome: "running"})
		p := f.runs(time.Minute, "h:1:a")[0]
		same(t, "state", p.State, inspect.Told)
		same(t, "threads", fmt.Sprint(p.Threads), "[t0 t1]")
		same(t, "signals", f.signals(), 0)
		if len(p.Runs) != 2 || p.Runs[0].JID != "j2\ufffd" || !p.Runs[0].Running() {
			t.Fatalf("%+v", p.Runs)
		}
		r := p.Runs[1]
		if r.Seconds != 1 || r.Class != "Job" || r.Outcome != "done" || r.Failed() ||
			time.Since(r.Started) < 2*time.Second || p.Age > 30 {
			t.Errorf("%+v, age %v", r, p.Age)
		}
	})
	t.Run("a process is asked with one signal, however many ask", func(t *testing.T) {
		f := newFixture(t)
		for range 3 {
			same(t, "state", f.runs(0, "h:1:a")[0].State, inspect.Silent)
		}
		same(t, "signals", f.signals(), 1)
		same(t, "signal", f.raw.LIndex(t.Context(), "h:1:a-signals", 0).Val(), "RUNS")
		if left := f.raw.TTL(t.Context(), "h:1:a-signals").Val(); left <= 0 {
			t.Error("the signal never expires")
		}
	})
	t.Run("it waits for an answer", func(t *testing.T) {
		f := newFixture(t)
		answers := make(chan []inspect.ProcessRuns)
		go func() {
			list, err := f.in.Runs(t.Context(), time.Minute, "h:1:a")
			if err != nil {
				t.Error(err)
			}
			answers <- list
		}()
		testwait.Until(t, time.Minute, "it is asked", func() bool { return f.signals() > 0 })
		f.tell(queue.RunRecord{JID: "j"})
		p := (<-answers)[0]
		if p.State != inspect.Told || len(p.Runs) != 1 {
			t.Errorf("%+v", p)
		}
	})
	t.Run("an old answer is better than none", func(t *testing.T) {
		f := newFixture(t)
		f.tell(queue.RunRecord{JID: "j"})
		f.raw.PExpire(t.Context(), "kyu:runs:h:1:a", 20*time.Second)
		p := f.runs(0, "h:1:a")[0]
		if p.State != inspect.Told || len(p.Runs) != 1 || p.Age < 39 || p.Age > 60 {
			t.Errorf("%+v", p)
		}
		same(t, "signals", f.signals(), 1)
	})
	t.Run("Ruby's Sidekiq is not asked: it would fail at the signal", func(t *testing.T) {
		f := newFixture(t)
		list := f.runs(time.Minute, "ruby:1:b")
		same(t, "state", list[0].State, inspect.Ruby)
		same(t, "signals", f.raw.Exists(t.Context(), "ruby:1:b-signals").Val(), 0)
	})
}
