package worker

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestObserver(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"Fetched", "Ran", "Settled", "Reclaimed"} {
		t.Run("a panic in "+in+" costs no job", func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.config.Observer = &observerAt{in, func() { panic("of an observer") }}
			b.runsAllJobs()
		})
	}
	for _, in := range []string{"Fetched", "Settled", "Reclaimed"} {
		t.Run("that hangs in "+in+" delays no stop", func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.config.Observer = &observerAt{in, b.gate().pass}
			b.handleNumber("Fails", func(context.Context, int) error {
				return errors.New("to be retried")
			})
			b.deadOwner("gone:1:abc", "x", payload("x", "Job", 1, 0))
			b.fill("a", "Fails", 1, 0)
			p := b.start()
			b.until("the jobs are settled", func() bool {
				return b.size("retry") == 1 && b.waiting("x") == 1
			})
			p.stopsInTime()
		})
	}
	t.Run("that hangs in Ran delays no job", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.config.Observer = &observerAt{"Ran", b.gate().pass}
		b.settlesAllTheSame(errors.New("to be retried"), "retry")
	})
}

// observerAt is an Observer that calls at in one of its methods.
type observerAt struct {
	in string
	at func()
}

func (o *observerAt) call(in string) {
	if in == o.in {
		o.at()
	}
}

func (o *observerAt) Ran(JobRun)                        { o.call("Ran") }
func (o *observerAt) Fetched(time.Duration, int, error) { o.call("Fetched") }
func (o *observerAt) Settled(time.Duration, int, error) { o.call("Settled") }
func (o *observerAt) Reclaimed(int, int)                { o.call("Reclaimed") }

func TestObservers(t *testing.T) {
	t.Parallel()
	t.Run("of nothing are nil", func(t *testing.T) {
		if o := Observers(nil, nil); o != nil {
			t.Errorf("got %v", o)
		}
	})
	t.Run("are all called, in order", func(t *testing.T) {
		var calls list
		first := &observerAt{"Ran", func() { calls.add("first") }}
		second := &observerAt{"Ran", func() { calls.add("second") }}
		Observers(nil, first, second).Ran(JobRun{})
		if got := calls.String(); got != "first second" {
			t.Errorf("called %s", got)
		}
	})
}
