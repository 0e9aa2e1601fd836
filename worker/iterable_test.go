package worker_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/worker"
	"github.com/kyujobs/kyu/worker/workertest"
)

// counting is an iterable job over 0…n-1 that notes what happens to it; each does
// one step.
func counting(r *ran, n int,
	each func(ctx context.Context, i int) error) worker.Iterable[[]any, int, int] {
	note := func(what string) func(context.Context, []any) error {
		return func(context.Context, []any) error { r.add(what); return nil }
	}
	return worker.Iterable[[]any, int, int]{
		Items: func(_ context.Context, _ []any, cursor *int, yield func(int, int) bool) error {
			first := 0
			if cursor != nil {
				first = *cursor
			}
			for i := first; i < n && yield(i, i); i++ {
			}
			return nil
		},
		Each: func(ctx context.Context, _ []any, i int) error {
			err := each(ctx, i)
			if err == nil {
				r.add(fmt.Sprint(i))
			}
			return err
		},
		OnStart: note("start"), OnResume: note("resume"), OnStop: note("stop"),
		OnCancel: note("cancel"), OnComplete: note("complete"),
	}
}

func (b *bench) place(jid string) (queue.Iteration, bool) {
	b.Helper()
	it, found, err := b.store.Iteration(b.Context(), jid)
	if err != nil {
		b.Fatal(err)
	}
	return it, found
}

func TestAnIterableJobGoesOnWhereItWasAfterAQuiet(t *testing.T) {
	b := newBench(t)
	b.config.Capsules[0].Concurrency = 1
	var r ran
	reached, goOn := make(chan int), make(chan bool)
	worker.HandleIterable(b.mux, "Iter", counting(&r, 6, func(_ context.Context, i int) error {
		reached <- i
		<-goOn
		return nil
	}))
	runner := b.run()
	jid := b.push("Iter", nil, queue.Options{})
	behind := b.push("Nobody", nil, queue.Options{Queue: "elsewhere"})
	for i := range 3 {
		if got := <-reached; got != i {
			t.Fatalf("step %d, want %d", got, i)
		}
		if i == 2 {
			runner.Quiet()
		}
		goOn <- true
	}
	b.until("it is back in its queue", func() bool {
		return b.raw.LLen(t.Context(), "queue:a").Val() == 1
	})
	it, _ := b.place(jid)
	if it.Executions != 1 || string(it.Cursor) != "3" || it.Runtime <= 0 {
		t.Errorf("place %+v: want the step to come, 3", it)
	}
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	if got := b.raw.Get(t.Context(), "stat:failed").Val() +
		b.raw.Get(t.Context(), "stat:processed").Val(); got != "" {
		t.Errorf("an interruption was counted: %s", got)
	}
	b.run()
	for i := 3; i < 6; i++ {
		if got := <-reached; got != i {
			t.Fatalf("step %d after the quiet, want %d", got, i)
		}
		goOn <- true
	}
	b.until("it is complete", func() bool {
		return strings.HasSuffix(strings.Join(r.all(), " "), "complete")
	})
	if got := strings.Join(r.all(), " "); got != "start 0 1 2 stop resume 3 4 5 stop complete" {
		t.Errorf("what happened: %s", got)
	}
	b.until("its place is forgotten", func() bool { _, found := b.place(jid); return !found })
	if b.raw.LLen(t.Context(), "queue:elsewhere").Val() != 1 {
		t.Error(behind, "is gone")
	}
}

func TestAnIterableJobLetsOthersRunAfterItsLongestTime(t *testing.T) {
	b := newBench(t)
	b.config.Capsules[0].Concurrency = 1
	b.config.MaxIteration = 20 * time.Millisecond
	var r ran
	worker.HandleIterable(b.mux, "Iter", counting(&r, 4, func(ctx context.Context, i int) error {
		if i == 0 { // behind this job, before its second turn
			b.push("Short", nil, queue.Options{})
		}
		timer := time.NewTimer(30 * time.Millisecond)
		defer timer.Stop()
		<-timer.C
		return nil
	}))
	b.handle("Short", func(context.Context) error { r.add("short"); return nil })
	b.run()
	b.push("Iter", nil, queue.Options{})
	b.until("it is complete", func() bool {
		return strings.HasSuffix(strings.Join(r.all(), " "), "complete")
	})
	if got := strings.Join(r.all(), " "); !strings.HasPrefix(got,
		"start 0 stop short resume 1 stop resume 2") {
		t.Errorf("what happened: %s", got)
	}
}

func TestAFailedStepIsTheFirstOfTheRetry(t *testing.T) {
	b := newBench(t)
	var r ran
	broken := true
	worker.HandleIterable(b.mux, "Iter", counting(&r, 4, func(_ context.Context, i int) error {
		if i == 2 && broken {
			broken = false
			return errors.New("step two")
		}
		return nil
	}))
	b.run()
	jid := b.push("Iter", nil, queue.Options{})
	b.until("it failed", func() bool { return b.size("retry") == 1 })
	e, err := inspect.New(b.store).RetrySet().Find(t.Context(), jid)
	if err != nil || e.Job.String("error_message") != "step two" {
		t.Fatal(e.Raw, err)
	}
	if it, _ := b.place(jid); string(it.Cursor) != "2" {
		t.Errorf("place %+v: want 2", it)
	}
	b.store.RetrySet().Retry(t.Context(), e)
	b.until("it is complete", func() bool {
		return strings.HasSuffix(strings.Join(r.all(), " "), "complete")
	})
	if got := strings.Join(r.all(), " "); got != "start 0 1 resume 2 3 stop complete" {
		t.Errorf("what happened: %s", got)
	}
}

func TestACancelledIterableJobEndsBetweenTwoSteps(t *testing.T) {
	b := newBench(t)
	var r ran
	worker.HandleIterable(b.mux, "Iter", counting(&r, 1_000_000, func(context.Context, int) error {
		timer := time.NewTimer(10 * time.Millisecond)
		defer timer.Stop()
		<-timer.C
		return nil
	}))
	b.run()
	jid := b.push("Iter", nil, queue.Options{})
	waiting := b.push("Iter", nil, queue.Options{At: time.Now().Add(2 * time.Second)})
	for _, j := range []string{jid, waiting} { // one runs, one has not begun
		b.until("the first runs", func() bool { return len(r.all()) > 1 })
		if _, err := b.store.CancelIteration(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	b.until("both have ended", func() bool {
		return strings.Count(strings.Join(r.all(), " "), "cancel stop complete") == 2
	})
	if _, found := b.place(jid); found {
		t.Error("its place is still kept")
	}
	b.until("nothing is left", b.empty)
	if b.size("retry")+b.size("dead") != 0 {
		t.Error("a cancelled job failed")
	}
}

func TestACursorThatDoesNotFitIsAnErrorThatNamesIt(t *testing.T) {
	b := newBench(t)
	var r ran
	worker.HandleIterable(b.mux, "Iter", counting(&r, 3,
		func(context.Context, int) error { return nil }))
	b.raw.HSet(t.Context(), "it-x", "ex", 1, "c", `"not a number"`, "rt", 1)
	b.run()
	b.push("Iter", nil, queue.Options{JID: "x"})
	b.until("it failed", func() bool { return b.size("retry") == 1 })
	if e, err := inspect.New(b.store).RetrySet().Find(t.Context(), "x"); err != nil ||
		!strings.Contains(e.Job.String("error_message"), `"not a number"`) {
		t.Error(e.Raw, err)
	}
}

func TestOutsideOfAWorkerAnIterableJobRunsThrough(t *testing.T) {
	mux, fake := worker.NewMux(), &workertest.Fake{}
	var r ran
	worker.HandleIterable(mux, "Iter", counting(&r, 3, func(context.Context, int) error {
		return nil
	}))
	queue.NewClient(fake).Push(t.Context(), "Iter", nil, queue.Options{})
	if _, err := fake.Drain(t.Context(), mux); err != nil ||
		strings.Join(r.all(), " ") != "start 0 1 2 stop complete" {
		t.Error(r.all(), err)
	}
}

func TestALongJobHearsThatTheWorkerIsQuiet(t *testing.T) {
	b := newBench(t)
	begun := make(chan bool)
	b.handle("Long", func(ctx context.Context) error {
		begun <- true
		<-worker.Quieting(ctx)
		return queue.Snooze(time.Hour)
	})
	runner := b.run()
	b.push("Long", nil, queue.Options{})
	<-begun
	runner.Quiet()
	b.until("it has put itself off", func() bool { return b.size("schedule") == 1 && b.empty() })
}
