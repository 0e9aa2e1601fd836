package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

// Sift is the way of an operation through a queue. If the queue is long, the newest jobs are taken
// off, a page at a time (SiftNewest), and those that stay wait in a list of their own, in order,
// while workers go on with the oldest jobs. When few of these are left, all are the queue again,
// and the oldest are changed where they are (SiftOldest).
type Sift struct {
	Queue string
	Verb  Verb   // VerbDelete, VerbForget, VerbKill or VerbMove
	To    string // the queue of VerbMove
	// Few is how many jobs are few: between two pages, workers must not take more than Few + 1,
	// because they would then take jobs that came meanwhile before older ones.
	Few int
}

// Enter lets the operation go through a queue, until Unsift, or until workers put its jobs back.
// The error is an *OperationError if another operation goes through the queue.
func (s *Store) Enter(ctx context.Context, t *Ticket, queue string) error {
	keys := []string{s.ks.Operation(t.ID), s.ks.Sifts()}
	args := append(t.args(), queue, t.ID)
	if _, err := s.db.Run(ctx, enterScript, keys, args...).Int(); err != nil {
		return fmt.Errorf("queue %s: %w", queue, ticketError(err))
	}
	return nil
}

// NewestJobs returns up to count payloads of a queue that a sift has not passed, the newest first.
func (s *Store) NewestJobs(ctx context.Context, t *Ticket, queue string,
	count int64) ([]string, error) {
	list, edge, err := s.jobsAndEdge(ctx, t, queue, 0, count-1)
	if edge == "" || err != nil {
		return list, err
	}
	if at := slices.Index(list, edge); at >= 0 {
		return list[at:], nil // those before the edge were pushed since the last page
	}
	return nil, nil
}

// OldestJobs returns the payloads of a queue that SiftNewest has left, the oldest first, with those
// that workers have put back: up to Few of each.
func (s *Store) OldestJobs(ctx context.Context, t *Ticket, sift Sift) ([]string, error) {
	list, edge, err := s.jobsAndEdge(ctx, t, sift.Queue, -2*int64(sift.Few), -1)
	list = list[max(0, slices.Index(list, edge)):] // those before the edge have been looked at
	slices.Reverse(list)
	return list, err
}

// jobsAndEdge returns jobs of a queue, the newest first, and the newest that was not looked at.
func (s *Store) jobsAndEdge(ctx context.Context, t *Ticket, queue string,
	first, last int64) (list []string, edge string, err error) {
	pipe := s.db.Shared.Pipeline()
	newest := pipe.HGet(ctx, s.ks.Operation(t.ID), "edge")
	page := pipe.LRange(ctx, s.ks.Queue(queue), first, last)
	if _, err := pipe.Exec(ctx); err != nil && page.Err() != nil {
		return nil, "", fmt.Errorf("queue %s: %w", queue, err)
	}
	return page.Val(), newest.Val(), nil
}

// Chooser says of job i of a page whether it is chosen. j is nil for bytes that are no job.
type Chooser func(i int) (j *Job, chosen bool)

// SiftNewest carries out a page of an operation: page are the newest jobs of the queue, the newest
// first, from NewestJobs. It returns how many it chose and how many jobs it passed. rest is -1
// while there is more to sift, then the number of jobs that are left for SiftOldest. The error may
// be an *EffectsError, which concerns single jobs; a *WrongTypeError or an *OperationError ends the
// operation.
func (s *Store) SiftNewest(ctx context.Context, t *Ticket, sift Sift, page []string,
	chosen Chooser) (changed, passed, rest int, err error) {
	p := &operationPart{store: s, ticket: t, verb: sift.Verb, now: time.Now(), kind: "list"}
	rest = -1
	err = p.pages(p.operands(page, sift, chosen),
		func(page []operand, items [][]Effect) ([]int64, []string, error) {
			if rest >= 0 {
				return nil, nil, nil
			}
			codes, failed, err := p.siftNewest(ctx, sift, page, items)
			if err != nil || len(codes) == 0 {
				return nil, nil, err
			}
			rest = int(codes[0])
			passed += len(codes) - 1
			return codes[1:], failed[1:], nil
		})
	return p.changed, passed, rest, p.errorOf(ctx, err, sift)
}

// SiftOldest carries out a page of an operation: page are jobs that follow each other in a list
// from OldestJobs. It returns how many it chose; for the error see SiftNewest.
func (s *Store) SiftOldest(ctx context.Context, t *Ticket, sift Sift, page []string,
	chosen Chooser) (int, error) {
	p := &operationPart{store: s, ticket: t, verb: sift.Verb, now: time.Now(), kind: "list"}
	err := p.pages(p.operands(page, sift, chosen),
		func(page []operand, items [][]Effect) ([]int64, []string, error) {
			return p.siftOldest(ctx, sift, page, items)
		})
	return p.changed, p.errorOf(ctx, err, sift)
}

// errorOf returns the error of a part of a sift.
func (p *operationPart) errorOf(ctx context.Context, err error, sift Sift) error {
	if err = p.error(ctx, err, p.store.ks.Queue(sift.Queue)); err != nil {
		return fmt.Errorf("queue %s: %w", sift.Queue, err)
	}
	return nil
}

// operands returns what becomes of the jobs of a page.
func (p *operationPart) operands(page []string, sift Sift, chosen Chooser) []operand {
	list := make([]operand, len(page))
	for i, raw := range page {
		o := operand{raw: raw, stays: true}
		if j, is := chosen(i); is && (sift.Verb != VerbMove || j != nil) {
			o.stays = false
			if sift.Verb == VerbMove {
				o.payload, o.queue = inQueue(j, sift.To), sift.To
			} else {
				p.remove(&o, j)
			}
		}
		list[i] = o
	}
	return list
}

func (p *operationPart) siftNewest(ctx context.Context, sift Sift, page []operand,
	items [][]Effect) ([]int64, []string, error) {
	s := p.store
	chosen := s.ks.Trash(p.ticket.ID)
	if sift.Verb == VerbMove {
		chosen = s.ks.Staged(sift.Queue)
	}
	keys := []string{s.ks.Operation(p.ticket.ID), s.ks.Queue(sift.Queue), s.ks.Queues(),
		s.ks.Dead(), chosen, s.ks.Sifted(sift.Queue)}
	args := append(p.siftArgs(sift, sift.Queue), sift.Few)
	if len(page) == 0 {
		args = append(args, "", "") // no job has these bytes
	}
	return s.runEffects(ctx, s.db.Shared, siftScript, keys, appendOperands(args, page), items)
}

func (p *operationPart) siftOldest(ctx context.Context, sift Sift, page []operand,
	items [][]Effect) ([]int64, []string, error) {
	s := p.store
	chosen := s.ks.Trash(p.ticket.ID)
	if sift.Verb == VerbMove {
		chosen = s.ks.Queue(sift.To)
	}
	keys := []string{s.ks.Operation(p.ticket.ID), s.ks.Queue(sift.Queue), s.ks.Queues(),
		s.ks.Dead(), chosen}
	// Jobs that workers have put back meanwhile may be behind those of OldestJobs.
	args := append(p.siftArgs(sift, sift.To), 3*sift.Few)
	return s.runEffects(ctx, s.db.Shared, tailScript, keys, appendOperands(args, page), items)
}

// siftArgs are the arguments that both scripts have. queue is their name of a queue.
func (p *operationPart) siftArgs(sift Sift, queue string) []any {
	s := p.store
	return append(p.ticket.args(), string(sift.Verb), envelope.Score(p.now),
		envelope.Score(p.now.Add(-s.deadLimits.age)), s.deadLimits.max, queue,
		int(TrashFor.Seconds()))
}

func appendOperands(args []any, page []operand) []any {
	for _, o := range page {
		to := ""
		if !o.stays {
			to = "1" + o.payload
			if o.payload == "" {
				to += o.raw
			}
		}
		args = append(args, o.raw, to)
	}
	return args
}

// Shift moves the oldest jobs of a queue, the oldest first, behind the jobs of another queue. It
// returns how many it moved: workers may have taken the others. The error may be a *WrongTypeError
// or an *OperationError.
func (s *Store) Shift(ctx context.Context, t *Ticket, from, to string, page []*Job) (int, error) {
	p := &operationPart{store: s, ticket: t, verb: VerbMove, kind: "list"}
	list := make([]operand, len(page))
	for i, j := range page {
		list[i] = operand{raw: j.Raw(), payload: inQueue(j, to), queue: to}
	}
	keys := []string{s.ks.Operation(t.ID), s.ks.Queue(from), s.ks.Queues(), s.ks.Queue(to)}
	err := p.pages(list, func(page []operand, _ [][]Effect) ([]int64, []string, error) {
		args := append(t.args(), to)
		for _, o := range page {
			args = append(args, o.raw, o.payload)
		}
		codes, err := s.db.Run(ctx, shiftScript, keys, args...).Int64Slice()
		return codes, make([]string, len(codes)), err
	})
	if err = p.error(ctx, err, s.ks.Queue(from)); err != nil {
		err = fmt.Errorf("queue %s: %w", from, err)
	}
	return p.changed, err
}

// Unsift puts the jobs that an operation holds back: those that stay to their queue, and those that
// were chosen for another queue to that one. An empty token puts them back only once the ticket of
// the operation has ended: its caller is dead, or stalls and cannot go on.
func (s *Store) Unsift(ctx context.Context, id, token string, sift Sift) error {
	for {
		if left, err := s.unsift(ctx, id, token, sift, operationPage); left == 0 || err != nil {
			return err
		}
	}
}

// unsift puts up to most jobs back. It returns how many are left.
func (s *Store) unsift(ctx context.Context, id, token string, sift Sift, most int) (int64, error) {
	keys := []string{s.ks.Operation(id), s.ks.Queue(sift.Queue), s.ks.Queues(),
		s.ks.Sifted(sift.Queue), s.ks.Staged(sift.Queue), s.ks.Queue(sift.To), s.ks.Sifts()}
	left, err := s.db.RunOwn(ctx, unsiftScript, keys, sift.Queue, sift.To, id, token, most).Int64()
	if err == nil && left < 0 {
		places := map[string]string{s.ks.Queues(): "set"}
		for _, key := range []string{keys[1], keys[3], keys[4], keys[5]} {
			places[key] = "list"
		}
		err = s.wrongTypes(ctx, places, 1)
	}
	if err != nil {
		err = fmt.Errorf("queue %s: put back the jobs of operation %s: %w", sift.Queue, id,
			ticketError(err))
	}
	return left, err
}

// PutBack puts the jobs back that operations hold whose callers have died. sifts are from a Sweep:
// workers call it, so no job stays with a dead operation. It returns the ids of the operations. The
// error joins those of single operations.
func (s *Store) PutBack(ctx context.Context, sifts map[string]string) (ids []string, err error) {
	for queue, id := range sifts {
		to, problem := s.db.Own.HGet(ctx, s.ks.Operation(id), "to").Result()
		if problem != nil && !redisdb.Answered(problem) && !errors.Is(problem, redis.Nil) {
			return ids, fmt.Errorf("operation %s: %w", id, problem)
		}
		if to == "" {
			to = queue // nothing is staged without it
		}
		problem = s.Unsift(ctx, id, "", Sift{Queue: queue, To: to})
		var taken *OperationError
		switch {
		case problem == nil:
			ids = append(ids, id)
		case !errors.As(problem, &taken): // else its caller lives
			err = errors.Join(err, problem)
		}
	}
	return ids, err
}
