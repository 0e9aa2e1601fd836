package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// recorder is an Observer that adds its calls to a list, and calls a function of the test first.
type recorder struct {
	list
	on map[string]func() // by call
}

func (r *recorder) record(call string) {
	if fn := r.on[call]; fn != nil {
		fn()
	}
	r.add(call)
}

func (r *recorder) Ran(run JobRun) { r.record("ran:" + run.Class) }
func (r *recorder) Fetched(took time.Duration, jobs int, err error) {
	r.record(fmt.Sprintf("fetched:%v,%d,%v", took, jobs, err))
}
func (r *recorder) Settled(took time.Duration, jobs int, err error) {
	r.record(fmt.Sprintf("settled:%v,%d,%v", took, jobs, err))
}
func (r *recorder) Reclaimed(requeued, poisoned int) {
	r.record(fmt.Sprintf("reclaimed:%d,%d", requeued, poisoned))
}

// running runs c until end is called, which waits for the end of Run.
func running(t *testing.T, c *callbacks) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { // ends with Run
		defer close(done)
		if err := c.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return func() { cancel(); <-done }
}

func TestEvents(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"an observer is called in order, but for Ran later":    observerInOrder,
		"an observer that panics costs one line a minute":      observerPanics,
		"an observer that hangs delays no caller and no event": observerHangs,
		"that do not fit are dropped and counted":              eventsDropped,
		"that are left at a stop are told":                     eventsAtStop,
		"a stop waits 5 s for all that hang":                   eventsHangAtStop,
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
	}
	t.Run("no observer stays nil", func(t *testing.T) {
		if c, _ := testCallbacks(); c.observer(nil) != nil {
			t.Error("it is not nil")
		}
	})
}

func observerInOrder(t *testing.T) {
	c, _ := testCallbacks()
	r := new(recorder)
	o := c.observer(r)
	o.Fetched(time.Second, 3, nil)
	o.Settled(time.Minute, 4, errors.New("gone"))
	o.Reclaimed(5, 6)
	o.Ran(JobRun{Class: "A"})
	if got := r.String(); got != "ran:A" {
		t.Errorf("at once: %s, want ran:A", got)
	}
	end := running(t, c)
	synctest.Wait()
	const want = "ran:A fetched:1s,3,<nil> settled:1m0s,4,gone reclaimed:5,6"
	if got := r.String(); got != want {
		t.Errorf("later: %s, want %s", got, want)
	}
	end()
}

func observerPanics(t *testing.T) {
	c, log := testCallbacks()
	r := &recorder{on: map[string]func(){
		"ran:A": func() { panic("no ran") }, "reclaimed:1,0": func() { panic("no reclaim") },
		"reclaimed:2,0": runtime.Goexit,
	}}
	o := c.observer(r)
	end := running(t, c)
	for range 3 {
		o.Ran(JobRun{Class: "A"})
		o.Reclaimed(1, 0)
		o.Reclaimed(2, 0)
		o.Reclaimed(3, 0)
	}
	synctest.Wait()
	<-time.After(time.Second)
	end()
	if got := r.String(); got != "reclaimed:3,0 reclaimed:3,0 reclaimed:3,0" {
		t.Errorf("the events behind the panics: %s", got)
	}
	for _, text := range []string{"no ran", "no reclaim"} {
		if n := lines(log, text); n != 1 {
			t.Errorf("%d lines with %q, want 1: %s", n, text, log)
		}
	}
}

func observerHangs(t *testing.T) {
	c, log := testCallbacks()
	release := make(chan struct{})
	r := &recorder{on: map[string]func(){"reclaimed:1,0": func() { <-release }}}
	o := c.observer(r)
	end := running(t, c)
	began := time.Now()
	for i := range 4 {
		o.Reclaimed(i, 0)
	}
	if took := time.Since(began); took != 0 {
		t.Errorf("the caller waited %v", took)
	}
	<-time.After(callbackWithin + time.Second)
	if got := r.String(); got != "reclaimed:0,0 reclaimed:2,0 reclaimed:3,0" {
		t.Errorf("while one hangs: %s", got)
	}
	close(release)
	end()
	synctest.Wait()
	if got := r.String(); got != "reclaimed:0,0 reclaimed:2,0 reclaimed:3,0 reclaimed:1,0" {
		t.Errorf("at the end: %s, want each once", got)
	}
	if n := lines(log, "a callback does not return"); n != 1 || lines(log, toldReclaimed) == 0 {
		t.Errorf("%d lines that it hangs, want 1 with its name: %s", n, log)
	}
}

func eventsDropped(t *testing.T) {
	c, log := testCallbacks()
	o := c.observer(new(recorder))
	for range callbackQueue + 3 {
		o.Reclaimed(1, 0)
	}
	<-time.After(time.Minute)
	o.Reclaimed(1, 0)
	for _, text := range []string{"dropped=1 ", "dropped=3 "} {
		if n := lines(log, text); n != 1 {
			t.Errorf("%d lines with %s, want 1: %s", n, text, log)
		}
	}
}

func eventsAtStop(t *testing.T) {
	c, _ := testCallbacks()
	var n atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 700 {
		c.later("hook", func(context.Context) error { n.Add(1); return nil })
	}
	if err := c.Run(ctx); err != nil || n.Load() != 700 {
		t.Errorf("%d of 700 events were told (%v)", n.Load(), err)
	}
}

func eventsHangAtStop(t *testing.T) {
	c, log := testCallbacks()
	fn, let := hanging()
	end := running(t, c)
	for range 10 {
		c.later("heartbeat hook", fn)
	}
	<-time.After(time.Second)
	began := time.Now()
	end()
	if took := time.Since(began); took > callbackWithin {
		t.Errorf("the stop took %v, want at most %v", took, callbackWithin)
	}
	if n := lines(log, "dropped=8 "); n != 1 {
		t.Errorf("%d lines that 8 events were dropped, want 1: %s", n, log)
	}
	let()
	synctest.Wait()
}

// counter is an Observer for benchmarks.
type counter struct {
	recorder
	n int
}

//go:noinline
func (c *counter) Ran(r JobRun) { c.n += len(r.Class) }

func BenchmarkObserver(b *testing.B) {
	c, _ := testCallbacks()
	run := JobRun{Queue: "q", Class: "A", Outcome: OutcomeDone}
	for name, o := range map[string]Observer{
		"ran/bare": &counter{}, "ran/guarded": c.observer(&counter{}),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				o.Ran(run)
			}
		})
	}
	b.Run("fetched", func(b *testing.B) {
		o := c.observer(&counter{})
		b.ReportAllocs()
		for b.Loop() {
			o.Fetched(1, 1, nil)
			<-c.queue
		}
	})
	b.Run("callback", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.run(b.Context(), "hook", time.Minute, nothing)
		}
	})
}
