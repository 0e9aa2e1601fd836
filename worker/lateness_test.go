package worker

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kyujobs/kyu/queue"
)

func TestLateness(t *testing.T) {
	capsules := []Capsule{{Name: "default", Concurrency: 4, Queues: []QueueWeight{{Name: "x"},
		{Name: "y", Floor: Floor{Late: time.Minute}}}}}
	log := slog.New(slog.DiscardHandler)
	t.Run("raises the share of a queue within two seconds, and lowers it again",
		func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var age atomic.Int64 // of the oldest job
				age.Store(int64(61 * time.Second))
				l := bareLedger(capsules)
				late := newLateness(l, newOutage(log), capsules,
					func(_ context.Context, names []string) ([]queue.Line, error) {
						if len(names) != 1 || names[0] != "y" {
							t.Errorf("it reads %v", names)
						}
						return []queue.Line{{Size: 1, Age: time.Duration(age.Load())}}, nil
					})
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error, 1)
				go func() { ended <- late.Run(ctx) }()
				time.Sleep(2 * time.Second)
				if got := firstTurn(l); got != 1 {
					t.Errorf("the first turn is of queue %d", got)
				}
				age.Store(int64(time.Second))
				time.Sleep(2 * time.Second)
				if got := firstTurn(l); got == 1 {
					t.Error("the queue is still late")
				}
				stop()
				<-ended
			})
		})
	t.Run("goes on after an outage", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			calls, l := 0, bareLedger(capsules)
			o := newOutage(log)
			late := newLateness(l, o, capsules,
				func(context.Context, []string) ([]queue.Line, error) {
					if calls++; calls == 1 {
						return nil, errors.New("no answer")
					}
					return []queue.Line{{Age: time.Hour}}, nil
				})
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- late.Run(ctx) }()
			time.Sleep(4 * time.Second)
			if o.last() != nil || firstTurn(l) != 1 {
				t.Errorf("outage %v, first turn %d", o.last(), firstTurn(l))
			}
			stop()
			<-ended
		})
	})
	t.Run("reads nothing if no floor asks for it", func(t *testing.T) {
		late := newLateness(bareLedger(capsules), newOutage(log), []Capsule{{Queues: queues("x")}},
			nil)
		if err := late.Run(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// bareLedger returns a ledger of capsules that holds a lease.
func bareLedger(capsules []Capsule) *ledger {
	last := uint64(0)
	l := newLedger(capsules, []string{"x", "y"}, func(n int) uint64 {
		last += uint64(n)
		return last - uint64(n) + 1
	}, nil, func(int) {})
	l.process.Renewed(&queue.Owner{Identity: "a"})
	return l
}

// firstTurn returns the queue from which a trip takes its first jobs, after its reply was lost.
func firstTurn(l *ledger) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	trip, _ := l.process.Begin(0, true, 4)
	l.process.Returned(trip, queue.Fetched{}, errors.New("lost"))
	if trip.Turns == nil {
		return -1
	}
	return trip.Turns[0].Queue
}
