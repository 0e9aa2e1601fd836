package worker

import (
	"context"
	"slices"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"golang.org/x/sync/errgroup"
)

// Source keeps jobs of some queues besides the queues' lists, and decides which of them may run
// (queue.Source). Its methods are called from several goroutines.
type Source interface {
	// Refresh reads what concerns the given queues. It is called before the first job, and then
	// once a second. It returns the queues of which jobs may run now.
	Refresh(ctx context.Context, queues []string) (waiting []string, err error)
	// Serves reports whether the source keeps jobs of a queue, as the last Refresh found.
	Serves(queue string) bool
	// Sift moves jobs from the list of a queue to where the source keeps them. more says that the
	// list may hold others. busy says that another process moves them now. identity is that of the
	// process.
	Sift(ctx context.Context, queue, identity string) (more, busy bool, err error)
}

const (
	refreshEvery = time.Second          // the time between two calls of Refresh
	busyFor      = 5 * time.Millisecond // the wait while another process moves the jobs of a queue
)

// sifter has the source of the process move jobs from the lists of its queues. Its loops are the
// goroutines of Run. The fields do not change.
type sifter struct {
	source Source // nil: none
	ledger *ledger
	outage *outage
}

// start reads what the source has to know before the first job.
func (s *sifter) start(ctx context.Context) error {
	if s.source == nil {
		return nil
	}
	_, err := s.source.Refresh(ctx, s.ledger.queues)
	if redisdb.Rejected(err) { // a key of one queue: the others are served
		s.outage.failed("refresh", err)
		err = nil
	}
	if err == nil {
		s.ledger.setSourced(s.source.Serves)
	}
	return err
}

// Run moves jobs, and refreshes the source, until ctx ends.
func (s *sifter) Run(ctx context.Context) error {
	if s.source == nil {
		return nil
	}
	g := new(errgroup.Group)
	g.Go(func() error { s.refresh(ctx); return nil })
	s.sift(ctx)
	return g.Wait()
}

// refresh calls Refresh once a second. It wakes the fetchers of queues whose jobs may run: a
// process that was woken for them may have died.
func (s *sifter) refresh(ctx context.Context) {
	for sleep(ctx, jittered(refreshEvery)) {
		waiting, err := s.source.Refresh(context.WithoutCancel(ctx), s.ledger.queues)
		if err != nil {
			s.outage.failed("refresh", err)
			if !redisdb.Rejected(err) {
				continue
			}
		} else {
			s.outage.worked("refresh")
		}
		s.ledger.setSourced(s.source.Serves)
		for i, name := range s.ledger.queues {
			if slices.Contains(waiting, name) {
				s.ledger.wake(i)
			}
		}
	}
}

// sift moves jobs whenever a fetch has found some that the source has not seen. It goes through a
// whole list, also while all threads are busy: the jobs behind those of a full lane may run.
func (s *sifter) sift(ctx context.Context) {
	calls := context.WithoutCancel(ctx) // a call under way is not interrupted
	var wait backoff
	for {
		queues, identity := s.ledger.unseen()
		if len(queues) == 0 {
			select {
			case <-s.ledger.sift:
				continue
			case <-ctx.Done():
				return
			}
		}
		for _, q := range queues {
			more, busy, err := s.source.Sift(calls, s.ledger.queues[q], identity)
			switch {
			case err != nil:
				s.outage.failed("sift", err)
				sleep(ctx, wait.next())
				continue
			case busy:
				sleep(ctx, jittered(busyFor))
			}
			s.outage.worked("sift")
			wait.reset()
			s.ledger.sifted(q, more)
		}
		if ctx.Err() != nil {
			return
		}
	}
}
