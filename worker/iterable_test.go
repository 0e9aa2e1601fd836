package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

func TestIterable(t *testing.T) {
	t.Parallel()
	t.Run("goes on where it was after a quiet", goesOnAfterQuiet)
	t.Run("lets other jobs run after MaxIteration", letsOthersRun)
	t.Run("begins a retry with the step that failed", retriesStep)
	t.Run("ends between two steps when it is cancelled", endsWhenCancelled)
	t.Run("leaves its place alone once the lease is lost", leavesPlaceAlone)
	t.Run("fails with an error that names a cursor of the wrong type", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		HandleIterable(b.mux, "Iter", counting(new(list), 3, noStep))
		b.raw.HSet(t.Context(), "it-x", "ex", 1, "c", `"not a number"`, "rt", 1)
		b.start()
		b.push("Iter", nil, queue.Options{JID: "x"})
		b.until("it has failed", func() bool { return b.size("retry") == 1 })
		j := b.only(inspect.New(b.store).RetrySet())
		if text := j.String("error_message"); !strings.Contains(text, `"not a number"`) {
			t.Errorf("error_message %q does not name the cursor", text)
		}
	})
	t.Run("does all steps in one run outside of a worker", func(t *testing.T) {
		mux, r := NewMux(), new(list)
		HandleIterable(mux, "Iter", counting(r, 3, noStep))
		err := mux.Run(t.Context(), `{"class":"Iter","jid":"x","args":[]}`)
		if got := r.String(); err != nil || got != "start 0 1 2 stop complete" {
			t.Errorf("%s (%v)", got, err)
		}
	})
	t.Run("is refused without Items or Each when the program starts", func(t *testing.T) {
		wantPanic(t, "needs Items and Each", func() {
			HandleIterable(NewMux(), "Iter", Iterable[[]any, int, int]{})
		})
	})
}

// counting is an iterable job over 0…n-1 that adds to r what happens to it. each does one step.
func counting(r *list, n int,
	each func(ctx context.Context, i int) error) Iterable[[]any, int, int] {
	adds := func(s string) func(context.Context, []any) error {
		return func(ctx context.Context, _ []any) error { return r.adds(s)(ctx) }
	}
	return Iterable[[]any, int, int]{
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
		OnStart: adds("start"), OnResume: adds("resume"), OnStop: adds("stop"),
		OnCancel: adds("cancel"), OnComplete: adds("complete"),
	}
}

func noStep(context.Context, int) error { return nil }

// isComplete reports whether the last thing that happened is the end of an iterable job.
func (l *list) isComplete() bool { return strings.HasSuffix(l.String(), "complete") }

// place returns the place of an iterable job, and whether there is one.
func (b *bench) place(jid string) (queue.Iteration, bool) {
	b.Helper()
	it, found, err := b.store.Iteration(b.Context(), jid)
	if err != nil {
		b.Fatal(err)
	}
	return it, found
}

func goesOnAfterQuiet(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.Capsules[0].Concurrency = 1
	var r list
	reached, goOn := make(chan int), make(chan bool)
	HandleIterable(b.mux, "Iter", counting(&r, 6, func(_ context.Context, i int) error {
		reached <- i
		<-goOn
		return nil
	}))
	step := func(want int) {
		t.Helper()
		if got := <-reached; got != want {
			t.Fatalf("step %d, want %d", got, want)
		}
	}
	p := b.start()
	jid := b.push("Iter", nil, queue.Options{})
	for i := range 3 {
		step(i)
		if i == 2 {
			p.Quiet()
		}
		goOn <- true
	}
	b.until("it is back in its queue", func() bool { return b.waiting("a") == 1 })
	it, _ := b.place(jid)
	if it.Executions != 1 || string(it.Cursor) != "3" || it.Runtime <= 0 {
		t.Errorf("the place is %+v, want the next step, 3, after 1 execution", it)
	}
	p.stop()
	for _, stat := range []string{"stat:failed", "stat:processed"} {
		if n := b.raw.Get(t.Context(), stat).Val(); n != "" {
			t.Errorf("the interruption was counted: %s is %s", stat, n)
		}
	}
	b.start()
	for i := 3; i < 6; i++ {
		step(i)
		goOn <- true
	}
	b.until("it is complete", r.isComplete)
	if got := r.String(); got != "start 0 1 2 stop resume 3 4 5 stop complete" {
		t.Error(got)
	}
	b.until("its place is deleted", func() bool { _, found := b.place(jid); return !found })
}

func letsOthersRun(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.Capsules[0].Concurrency = 1
	b.config.MaxIteration = 20 * time.Millisecond
	var r list
	HandleIterable(b.mux, "Iter", counting(&r, 4, func(ctx context.Context, i int) error {
		if i == 0 { // behind this job, and before its second run
			b.push("Short", nil, queue.Options{})
		}
		<-time.After(30 * time.Millisecond) // the work
		return nil
	}))
	b.handle("Short", r.adds("short"))
	b.start()
	b.push("Iter", nil, queue.Options{})
	b.until("it is complete", r.isComplete)
	// On a busy machine the time may be over before the first element.
	if got := r.String(); !strings.Contains(got, "0 stop short resume 1 stop resume 2") {
		t.Error(got)
	}
}

func retriesStep(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var r list
	broken := true
	HandleIterable(b.mux, "Iter", counting(&r, 4, func(_ context.Context, i int) error {
		if i == 2 && broken {
			broken = false
			return errors.New("step two")
		}
		return nil
	}))
	b.start()
	jid := b.push("Iter", nil, queue.Options{})
	b.until("it has failed", func() bool { return b.size("retry") == 1 })
	e, err := inspect.New(b.store).RetrySet().Find(t.Context(), jid)
	if err != nil || e.Job.String("error_message") != "step two" {
		t.Fatal(e.Raw, err)
	}
	if it, _ := b.place(jid); string(it.Cursor) != "2" {
		t.Errorf("the place is %+v, want step 2", it)
	}
	b.store.RetrySet().Retry(t.Context(), e)
	b.until("it is complete", r.isComplete)
	if got := r.String(); got != "start 0 1 resume 2 3 stop complete" {
		t.Error(got)
	}
}

// endsWhenCancelled cancels a job that runs and one that has not begun.
func endsWhenCancelled(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var r list
	HandleIterable(b.mux, "Iter", counting(&r, 1_000_000, func(context.Context, int) error {
		<-time.After(10 * time.Millisecond) // the work
		return nil
	}))
	b.start()
	jid := b.push("Iter", nil, queue.Options{})
	waiting := b.push("Iter", nil, queue.Options{At: time.Now().Add(2 * time.Second)})
	b.until("the first runs", func() bool { return r.len() > 1 })
	for _, j := range []string{jid, waiting} {
		if _, err := b.store.CancelIteration(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	b.until("both have ended", func() bool {
		return strings.Count(r.String(), "cancel stop complete") == 2
	})
	b.until("nothing is left", b.empty)
	if _, found := b.place(jid); found {
		t.Error("its place is still there")
	}
	if b.size("retry")+b.size("dead") != 0 {
		t.Error("a cancelled job failed")
	}
}

// leavesPlaceAlone lets a job lose its lease. Another worker has the job then, and its place.
func leavesPlaceAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ends, reached := b.gate(), make(chan string, 1)
	HandleIterable(b.mux, "Walk", Iterable[[]int, int, int]{
		Items: func(_ context.Context, _ []int, _ *int, yield func(int, int) bool) error {
			yield(1, 1)
			return nil
		},
		Each: func(ctx context.Context, _ []int, _ int) error { // it ignores its context
			reached <- queue.JobFrom(ctx).JID
			ends.pass()
			return nil
		},
	})
	b.fill("a", "Walk", 1, 0)
	p := b.start()
	jid := <-reached
	before := p.fence()
	// Another worker has taken the job, and is at its second step.
	b.raw.Del(t.Context(), inflightKey("a", before))
	place := queue.Iteration{Executions: 2, Cursor: []byte("2")}
	if _, err := b.store.SaveIteration(t.Context(), jid, place); err != nil {
		t.Fatal(err)
	}
	p.renewedFrom(before)
	ends.open()
	b.until("the run has ended", func() bool {
		return p.Status().Busy == 0 && p.Status().Stale == 1
	})
	if _, found := b.place(jid); !found {
		t.Error("the place of the other run is gone")
	}
}
