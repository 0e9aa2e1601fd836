package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
)

const (
	// restLeast and restMost bound for how long a shard that failed gets no pushes. Then one push
	// asks it with a PING, so that no other push waits for a shard that is still away.
	restLeast = 100 * time.Millisecond
	restMost  = 2 * time.Second
	// askLimit is how long that PING may take, and connectLimit the first connection after it.
	askLimit     = 500 * time.Millisecond
	connectLimit = 2 * time.Second
	// silentAfter is how long a shard may leave pushes without any reply before pushes that may go
	// elsewhere do.
	silentAfter = 250 * time.Millisecond
)

// ErrAway says that a shard gets no pushes now, because it failed shortly before. Nothing was
// pushed.
var ErrAway = errors.New("it is away")

// seat is a shard, and how its last pushes went.
type seat struct {
	Shard
	log *slog.Logger

	mu       sync.Mutex // guards the rest
	failures int        // in a row
	since    time.Time  // of the first of them
	until    time.Time  // before that it gets no pushes
	reason   string     // of the last failure
	asking   bool       // a push asks whether it is back
	pending  int        // pushes without a reply
	heard    time.Time  // the last reply, or the beginning of the first pending push
}

// fate is what the result of a push to a shard means for its jobs.
type fate int

const (
	fateStored    fate = iota
	fateElsewhere      // the shard took nothing: another one can have the jobs
	fateUnknown        // the shard may have taken them
	fateRefused        // nothing was pushed, and the reason is in the jobs or in the caller
)

// fateOf judges the error of Store.PushBatches. ended says that the caller's context has ended.
func fateOf(err error, ended bool) fate {
	switch {
	case err == nil:
		return fateStored
	case errors.Is(err, ErrUnknown):
		return fateUnknown
	case ended:
		return fateRefused
	case redisdb.ServesNobody(err), redisdb.Unsent(err), errors.Is(err, ErrAway),
		errors.Is(err, context.DeadlineExceeded):
		return fateElsewhere
	}
	return fateRefused
}

// rest returns how long a shard gets no pushes after a number of failures in a row. random is from
// 0 up to 1, and takes away up to half, so that clients do not come back all at once.
func rest(failures int, random float64) time.Duration {
	d := min(restMost, restLeast<<min(failures-1, 10))
	return d - time.Duration(random*float64(d/2))
}

// push pushes batches to the shard. If it is away, the error is ErrAway.
func (s *seat) push(ctx context.Context, batches []Batch) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	start := time.Now()
	err := s.Store.PushBatches(ctx, batches)
	fate := fateOf(err, ctx.Err() != nil)
	if fate == fateUnknown && ends(ctx) && time.Since(start) < silentAfter {
		fate = fateRefused // the caller gave up early: that says nothing about the shard
	}
	s.leave(err, fate)
	return err
}

// ends reports whether a context has ended or is about to: a connection's deadline, which go-redis
// takes from the context, can pass a little before it.
func ends(ctx context.Context) bool {
	at, limited := ctx.Deadline()
	return ctx.Err() != nil || limited && time.Until(at) < 100*time.Millisecond
}

// enter begins a push. A shard that failed is asked first.
func (s *seat) enter(ctx context.Context) error {
	ask, err := s.admit(time.Now())
	if err != nil || !ask {
		return err
	}
	if err = s.ask(ctx); err != nil {
		err = fmt.Errorf("%w: %v", ErrAway, err)
	}
	fate := fateElsewhere
	switch {
	case err == nil:
		fate = fateStored
	case ctx.Err() != nil:
		fate = fateRefused
	}
	s.answer(err, fate)
	return err
}

// admit reports whether a push must ask the shard first: after a failure, one does, and the others
// get the error that it is away; before the first connection all do.
func (s *seat) admit(now time.Time) (ask bool, err error) {
	connected := s.Store.Connected()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failures > 0 && (s.asking || now.Before(s.until)) {
		return false, fmt.Errorf("%w: %s", ErrAway, s.reason)
	}
	if s.pending == 0 {
		s.heard = now
	}
	s.pending++
	s.asking = s.failures > 0 || !connected
	return s.asking, nil
}

// ask finds out whether the shard is back, and connects it if it was never connected.
func (s *seat) ask(ctx context.Context) error {
	short, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	if err := s.Store.db.Shared.Ping(short).Err(); err != nil {
		return err
	}
	long, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	return s.Store.Connect(long)
}

// answer ends asking. If the shard is back, the push goes on.
func (s *seat) answer(err error, f fate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asking = false
	if err != nil {
		s.pending--
		s.note(err, f, time.Now())
	}
}

// leave ends a push.
func (s *seat) leave(err error, f fate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending--
	s.note(err, f, time.Now())
}

// note notes how a push went. The caller holds mu.
func (s *seat) note(err error, f fate, now time.Time) {
	switch {
	case f == fateElsewhere || f == fateUnknown:
		if s.failures == 0 {
			s.since = now
			s.log.Warn("A shard gets no pushes for now", "shard", s.Name, "err", err)
		}
		s.failures++
		s.until, s.reason = now.Add(rest(s.failures, rand.Float64())), err.Error()
		if f == fateUnknown {
			s.reason = "it did not reply to a push before" // this push is not the one in doubt
		}
	case f == fateStored || redisdb.Answered(err):
		s.heard = now
		if s.failures > 0 {
			s.log.Info("A shard gets pushes again", "shard", s.Name, "after",
				now.Sub(s.since).Round(time.Millisecond))
		}
		s.failures = 0
	}
}

// silent reports whether pushes wait for the shard, which has not replied to any for a while.
func (s *seat) silent(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.pending > 0 && now.Sub(s.heard) > silentAfter
}

// away reports whether the shard gets no pushes now.
func (s *seat) away(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failures > 0 && (s.asking || now.Before(s.until))
}

// remembers returns which of these JIDs idempotent pushes have brought to the shard. It does not
// wait long for a shard that does not answer.
func (s *seat) remembers(ctx context.Context, jids []string) (map[string]bool, error) {
	if len(jids) == 0 {
		return nil, nil
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	pushed, err := s.Store.pushedBefore(limited, jids)
	fate := fateStored
	if err != nil {
		fate = fateElsewhere // nothing was pushed
	}
	s.leave(err, fate)
	return pushed, err
}
