package worker

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/kyujobs/kyu/queue"
)

const (
	// linger is how long an acknowledgement waits for others to share its round
	// trip, or for the next fetch to take it along. It widens the window in
	// which a crash runs a finished job again.
	linger = 2 * time.Millisecond
	// settleBatch bounds one script.
	settleBatch = 100
)

// settler takes finished deliveries out of flight, in batches. What is given to
// it stays until Redis has confirmed it; while Redis is away it tries again.
type settler struct {
	store    *queue.Store
	outage   *outage
	report   func(stale int)
	observer Observer
	ready    chan struct{} // rings when there is something to do

	mu       sync.Mutex
	acks     []*queue.Delivery  // done, and to be taken along by a fetch
	rest     []queue.Settlement // everything else
	flying   []queue.Settlement // in a script now
	repeated bool               // flying may have been settled before: stale means nothing
	taken    uint64             // how often a fetch took acks along

	stale atomic.Int64
}

func newSettler(s *queue.Store, o *outage) *settler {
	return &settler{store: s, outage: o, ready: make(chan struct{}, 1)}
}

// add takes a settlement over. It does not block.
func (s *settler) add(x queue.Settlement) {
	s.mu.Lock()
	first := len(s.acks)+len(s.rest) == 0
	if x.Action == queue.Done && !x.Delivery.Landed() {
		s.acks = append(s.acks, x.Delivery)
	} else {
		s.rest = append(s.rest, x)
	}
	s.mu.Unlock()
	if first {
		ring(s.ready)
	}
}

// takeAcks gives the acknowledgements of an owner to a fetch that is about to
// go, up to n. The fetch must confirm or give them back.
func (s *settler) takeAcks(o *queue.Owner, n int) []*queue.Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.acks) == 0 || s.acks[0].Owner != o {
		return nil // of an identity that is gone: Run settles them
	}
	n = min(n, len(s.acks))
	taken := s.acks[:n:n]
	s.acks = s.acks[n:]
	s.taken++
	return taken
}

// giveBack returns acknowledgements whose fetch failed. They may have reached
// Redis, so that they are settled again without being missed.
func (s *settler) giveBack(acks []*queue.Delivery) {
	if len(acks) == 0 {
		return
	}
	s.mu.Lock()
	for _, d := range acks {
		s.rest = append(s.rest, queue.Settlement{Delivery: d, Action: queue.Done})
	}
	s.repeated = true
	s.mu.Unlock()
	ring(s.ready)
}

// unsettled is everything that Redis has not confirmed.
func (s *settler) unsettled() []*queue.Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := append([]*queue.Delivery(nil), s.acks...)
	for _, x := range s.rest {
		list = append(list, x.Delivery)
	}
	for _, x := range s.flying {
		list = append(list, x.Delivery)
	}
	return list
}

// Run settles until ctx ends, and then what is left, as long as Redis takes it
// within a few seconds.
func (s *settler) Run(ctx context.Context) error {
	for {
		select {
		case <-s.ready:
			before := s.trips()
			sleep(ctx, linger)
			if s.trips() != before && !s.urgent() && ctx.Err() == nil {
				ring(s.ready) // fetches come and go: they take the acks along
				continue
			}
			s.flush(ctx, context.WithoutCancel(ctx)) // torn, the outcome of a call would be unknown
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			s.flush(last, last) // a Redis that hangs must not hold up the end
			return nil
		}
	}
}

// urgent reports whether something waits that no fetch takes along.
func (s *settler) urgent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.rest) > 0
}

// trips is how often a fetch took acks along.
func (s *settler) trips() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.taken
}

// flush settles until nothing is left, or ctx ends. Its calls end with calls.
func (s *settler) flush(ctx, calls context.Context) {
	var wait backoff
	for s.next() {
		if ctx.Err() != nil {
			return
		}
		began := time.Now()
		stale, err := s.store.Settle(calls, s.flying)
		if s.observer != nil {
			s.observer.Settled(time.Since(began), len(s.flying), err)
		}
		if err != nil {
			s.outage.failed("settle", err)
			s.mu.Lock()
			s.repeated = true
			s.mu.Unlock()
			if !sleep(ctx, wait.next()) {
				return
			}
			continue
		}
		failpoint.Hit("ack_reply")
		wait.reset()
		s.outage.worked("settle")
		s.landed(stale)
	}
}

// next puts a batch into flying, unless one is there that failed.
func (s *settler) next() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.flying) > 0 {
		return true
	}
	for len(s.acks) > 0 && len(s.flying) < settleBatch {
		s.flying = append(s.flying, queue.Settlement{Delivery: s.acks[0], Action: queue.Done})
		s.acks = s.acks[1:]
	}
	n := min(len(s.rest), settleBatch-len(s.flying))
	s.flying = append(s.flying, s.rest[:n]...)
	s.rest = s.rest[n:]
	return len(s.flying) > 0
}

func (s *settler) landed(stale []bool) {
	n := 0
	s.mu.Lock()
	for _, is := range stale {
		if is && !s.repeated {
			n++
		}
	}
	s.flying = s.flying[:0]
	if len(s.rest) == 0 {
		s.repeated = false
	}
	s.mu.Unlock()
	s.count(n)
}

// count notes deliveries that were not ours any more when they were settled.
func (s *settler) count(stale int) {
	if stale > 0 {
		s.stale.Add(int64(stale))
		s.report(stale)
	}
}
