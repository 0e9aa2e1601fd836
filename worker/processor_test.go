package worker

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

func TestExpiry(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var runs atomic.Int64
	b.handleNumber("Late", func(context.Context, int) error { runs.Add(1); return nil })
	for range 3 {
		b.pushNext(`{"class":"Late","jid":"x","args":[1],"expires_in":1,"enqueued_at":5.5}`)
	}
	p := b.start()
	b.until("the jobs have left", b.empty)
	p.stopsInTime()
	t.Run("discards a job that is too late, and says so", func(t *testing.T) {
		if runs.Load() != 0 || !b.says("expired: discarded") {
			t.Errorf("%d runs", runs.Load())
		}
	})
	t.Run("counts it, but not as a run", func(t *testing.T) {
		st, err := inspect.New(b.store).Stats(t.Context())
		if err != nil || st.Expired != 3 || st.Processed != 0 {
			t.Errorf("%+v %v", st, err)
		}
	})
}

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
