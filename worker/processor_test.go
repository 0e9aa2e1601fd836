package worker

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

func TestErrorHandler(t *testing.T) {
	t.Parallel()
	t.Run("that hangs delays no job", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		ends := b.gate()
		b.config.ErrorHandlers = []ErrorHandler{
			func(context.Context, error, *queue.Job) { ends.pass() }}
		b.settlesAllTheSame(errors.New("to be retried"), "retry")
	})
}

func TestDeathHandler(t *testing.T) {
	t.Parallel()
	t.Run("that hangs delays no job", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		ends := b.gate()
		b.config.DeathHandlers = []DeathHandler{
			func(context.Context, *queue.Job, error) { ends.pass() }}
		b.settlesAllTheSame(queue.Kill(errors.New("no use")), "dead")
	})
	t.Run("that hangs for poison delays no recovery", hangsInRecovery)
}

// settlesAllTheSame runs two jobs that end with err, waits until they are in a set, and stops,
// while a callback hangs.
func (b *bench) settlesAllTheSame(err error, set string) {
	b.Helper()
	b.handleNumber("Fails", func(context.Context, int) error { return err })
	b.fill("a", "Fails", 2, 0)
	p := b.start()
	b.until("they are settled", func() bool { return b.size(set) == 2 && b.inFlight() == 0 })
	p.stopsInTime()
}

func hangsInRecovery(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	ends, told := b.gate(), make(chan struct{}, 1)
	b.config.DeathHandlers = []DeathHandler{func(context.Context, *queue.Job, error) {
		told <- struct{}{}
		ends.pass()
	}}
	b.config.Poison = queue.Poison{Times: 1, Within: time.Hour}
	b.deadOwner("poisoned:1:a", "x", payload("x", "Poison", 1, 0))
	b.raw.HSet(t.Context(), "kyu:owner:poisoned:1:a", "alone", 1)
	p := b.start()
	<-told
	b.deadOwner("other:1:a", "x", "no job: it is not counted")
	b.until("another dead owner's job is recovered", func() bool { return b.waiting("x") == 1 })
	p.stopsInTime()
}
