package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue/envelope"
)

// DueSets are the sets whose jobs become due, in the order in which Sidekiq reads them.
var DueSets = []string{redisdb.KeyRetry, redisdb.KeySchedule}

// maxPageErrors is how many calls of a round may fail before a Promotion or a Release ends the
// round. A page of 1,000 members is halved ten times until a faulty member is alone.
const maxPageErrors = 16

// Promotion moves the due jobs of a set ("retry" or "schedule") to the back of their queues, in
// rounds. A round walks through the due jobs a page at a time. Members that are no jobs go to the
// dead set unchanged. A round passes over members that cannot be moved, and the next round tries
// them again. Several pollers, Ruby's too, may share a set: each job is moved once. A Promotion is
// for one goroutine.
type Promotion struct {
	store  *Store
	set    string
	page   redisdb.PageSize
	skip   int // due members at the front of the set that this round has passed over
	errors int // calls of this round that failed
}

// Promotion returns a walk through the due jobs of a set, in pages of up to count jobs.
func (s *Store) Promotion(set string, count int) *Promotion {
	return &Promotion{store: s, set: set, page: redisdb.NewPageSize(count, redisdb.PageBytes)}
}

// Next moves a page. moved is the number of jobs that it moved, due the number that it read. more
// reports whether the round goes on, also after an error. The error is about a page or, if it is a
// *WrongTypeError, about jobs that stay.
func (p *Promotion) Next(ctx context.Context, now time.Time) (moved, due int, more bool,
	err error) {
	s := p.store
	from := sortedSet{s, s.db.Own, s.ks.Key(p.set)}
	entries, left, err := from.read(ctx, "-inf", envelope.Score(now), p.skip, &p.page)
	if err != nil {
		more = p.failed(err, redisdb.Answered(err)) // an error of Redis is about the set
		return 0, 0, more, fmt.Errorf("promote %s: %w", p.set, err)
	}
	moves := make([]move, len(entries))
	for i := range entries {
		e := &entries[i]
		e.Parse()
		moves[i] = move{member: e.Raw, payload: envelope.ForDeadSet(e.Raw)} // unless it is a job
		if e.Job != nil {
			moves[i] = move{e.Raw, s.Enqueued(e.Job, now), cmp.Or(e.Job.Queue, "default")}
		}
	}
	failpoint.Hit("promote_before")
	moved, stayed, err := from.move(ctx, moves, now, p.page)
	if err != nil {
		more = p.failed(err, redisdb.ServesNobody(err))
		return moved, moved, more, fmt.Errorf("promote %s: %w", p.set, err)
	}
	p.page.Grow()
	p.skip += stayed.jobs
	if more = left > 0; !more {
		p.skip, p.errors = 0, 0
	}
	return moved, len(moves), more, stayed.err()
}

// failed counts a page that could not be read or moved, and reports whether the round goes on. An
// error that no page can cause ends the round; the next round begins where it ended. After any
// other error a smaller page may succeed, and a single member that still fails is passed over.
func (p *Promotion) failed(err error, notByPage bool) (more bool) {
	p.errors++
	if notByPage = notByPage || redisdb.Unsent(err); !notByPage {
		if p.page.Smallest() {
			p.skip++
		}
		p.page.Shrink()
	}
	if notByPage || p.errors >= maxPageErrors {
		p.errors = 0
		return false
	}
	return true
}

// Promote moves due jobs of a set, until it has read count of them or all. moved is the number of
// jobs that it moved, due the number that it read. The error joins those of all pages.
func (s *Store) Promote(ctx context.Context, set string, now time.Time, count int) (moved, due int,
	err error) {
	var problems []error
	p := s.Promotion(set, count)
	for more := true; more && due < count; {
		var m, d int
		m, d, more, err = p.Next(ctx, now)
		moved, due = moved+m, due+d
		problems = append(problems, err)
	}
	return moved, due, errors.Join(problems...)
}
