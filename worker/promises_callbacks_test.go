package worker_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
)

// hookAt sets a hook of one event.
func (s *stage) hookAt(event string, hook func(context.Context) error) {
	h, list := &s.config.Hooks, []func(context.Context) error{hook}
	switch event {
	case "startup":
		h.Startup = list
	case "heartbeat":
		h.Heartbeat = list
	case "quiet":
		h.Quiet = list
	case "shutdown":
		h.Shutdown = list
	}
}

// callback is an observer that calls at at the calls named by its field.
type callback struct {
	in string
	at func()
}

func (c *callback) call(in string) {
	if in == c.in {
		c.at()
	}
}
func (c *callback) Ran(worker.JobRun)                 { c.call("Ran") }
func (c *callback) Fetched(time.Duration, int, error) { c.call("Fetched") }
func (c *callback) Settled(time.Duration, int, error) { c.call("Settled") }
func (c *callback) Reclaimed(int, int)                { c.call("Reclaimed") }

// Point 7. What a user's code does wrong costs no job and stops no loop.
func TestPromiseCallbackThatPanics(t *testing.T) {
	for _, event := range []string{"quiet", "shutdown", "startup", "heartbeat"} {
		t.Run("a hook at "+event, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.hookAt(event, func(context.Context) error { panic("a hook's own") })
			panicsAndGoesOn(s, event == "startup")
		})
	}
	for _, in := range []string{"Fetched", "Ran", "Settled", "Reclaimed"} {
		t.Run("an observer at "+in, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.config.Observer = &callback{in, func() { panic("an observer's own") }}
			panicsAndGoesOn(s, false)
		})
	}
	t.Run("an error's own methods", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		s.handleNumber("Fails", func(context.Context, int) error { return panickyError{} })
		s.fill("b", "Fails", 1, 0)
		panicsAndGoesOn(s, false)
		if s.size("retry")+s.waiting("b") != 1 {
			t.Error("the job that failed so is lost")
		}
	})
}

// panickyError is an error that can neither be read nor compared.
type panickyError struct{}

func (panickyError) Error() string { panic("an error's own") }
func (panickyError) Is(error) bool { panic("an error's own") }

// panicsAndGoesOn runs jobs on the stage and one of a dead owner, and stops. A start that
// panics is an error of the start.
func panicsAndGoesOn(s *stage, atStart bool) {
	s.Helper()
	var done atomic.Int64
	s.handleNumber("Job", func(context.Context, int) error { done.Add(1); return nil })
	s.deadOwner("gone:1:abc", "a", payload("a", "Job", 99, 0))
	s.fill("a", "Job", 3, 0)
	p := s.launch(s.store)
	if atStart {
		p.endsWithin(5 * time.Second)
		if p.err == nil || s.waiting("a")+s.inFlight() != 4 {
			s.Errorf("ended with %v, %d jobs are left of 4", p.err, s.waiting("a")+s.inFlight())
		}
	} else {
		s.until("the jobs are done", func() bool { return done.Load() == 4 && s.inFlight() == 0 })
		p.Stop()
		p.endsWithin(5 * time.Second)
	}
	if p.err != nil && (!atStart || errors.Is(p.err, errPanicked)) {
		s.Errorf("Run: %v", p.err)
	}
}

// Point 7. Stop and Stop again end a process whatever a callback does.
func TestPromiseCallbackThatBlocks(t *testing.T) {
	for _, event := range []string{"quiet", "shutdown", "heartbeat"} {
		t.Run("a hook at "+event, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			ends := s.gate()
			s.hookAt(event, ends.hook)
			blocksNoStop(s, 0)
		})
	}
	for _, in := range []string{"Fetched", "Settled", "Reclaimed"} {
		t.Run("an observer at "+in, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			ends := s.gate()
			s.config.Observer = &callback{in, ends.pass}
			blocksNoStop(s, 1)
		})
	}
	t.Run("a death handler that the recovery tells", deathHandlerInRecovery)
	t.Run("an error handler: the job that failed is settled", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		ends := s.gate()
		s.config.ErrorHandlers = []worker.ErrorHandler{
			func(context.Context, error, *queue.Job) { ends.pass() }}
		settledAllTheSame(s, errors.New("to be retried"), "retry")
	})
	t.Run("a death handler: the job that died is settled", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		ends := s.gate()
		s.config.DeathHandlers = []worker.DeathHandler{
			func(context.Context, *queue.Job, error) { ends.pass() }}
		settledAllTheSame(s, queue.Kill(errors.New("no use")), "dead")
	})
	t.Run("an observer at Ran: the job that failed is settled", func(t *testing.T) {
		t.Parallel()
		s := newStage(t)
		s.config.Observer = &callback{"Ran", s.gate().pass}
		settledAllTheSame(s, errors.New("to be retried"), "retry")
	})
}

// deathHandlerInRecovery: while it blocks, other dead owners are recovered.
func deathHandlerInRecovery(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	ends, told := s.gate(), make(chan struct{}, 1)
	s.config.DeathHandlers = []worker.DeathHandler{func(context.Context, *queue.Job, error) {
		told <- struct{}{}
		ends.pass()
	}}
	s.config.Poison = queue.Poison{Times: 1, Within: time.Hour}
	s.deadOwner("poisoned:1:a", "x", payload("x", "Poison", 1, 0))
	s.raw.HSet(t.Context(), "kyu:owner:poisoned:1:a", "alone", 1)
	p := s.start(s.store)
	<-told
	s.deadOwner("other:1:a", "x", "no job: it is not counted")
	s.until("another dead owner's job is recovered", func() bool { return s.waiting("x") == 1 })
	stopsInTime(p)
}

// settledAllTheSame runs jobs that end with err, and waits until they are in a set.
func settledAllTheSame(s *stage, err error, set string) {
	s.Helper()
	s.handleNumber("Fails", func(context.Context, int) error { return err })
	s.fill("a", "Fails", 2, 0)
	p := s.start(s.store)
	s.until("they are settled", func() bool { return s.size(set) == 2 && s.inFlight() == 0 })
	stopsInTime(p)
}

// blocksNoStop runs a job on the stage, and one of a dead owner, and stops while a
// callback blocks. A job that fails is settled by itself, so that it is observed.
func blocksNoStop(s *stage, jobs int) {
	s.Helper()
	s.handleNumber("Fails", func(context.Context, int) error { return errors.New("to be retried") })
	if jobs > 0 {
		s.deadOwner("gone:1:abc", "x", payload("x", "Job", 1, 0))
		s.fill("a", "Fails", jobs, 0)
	}
	p := s.start(s.store)
	s.until("it works", func() bool { _, there := s.score(p.Status().Identity); return there })
	s.until("the jobs have been taken", func() bool {
		return s.waiting("a") == 0 && s.inFlight() < 2
	})
	stopsInTime(p)
}

// stopsInTime tells p twice to stop, and gives it a few seconds more than it has.
func stopsInTime(p *play) {
	p.s.Helper()
	p.Stop()
	p.Stop()
	p.endsWithin(7 * time.Second)
	if p.err != nil {
		p.s.Error("Run:", p.err)
	}
}
