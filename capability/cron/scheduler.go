package cron

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
)

const (
	// ownEvery is how often a process says that it is there, and reads Redis's clock.
	ownEvery = 10 * time.Second
	// goneAfter is how long the processes of a schedule may be silent before another schedule of
	// the same name takes over.
	goneAfter = time.Minute
	// maxBackoff is the longest wait between two attempts while Redis does not answer.
	maxBackoff = 5 * time.Second
)

// Config says what a Scheduler pushes, and where to.
type Config struct {
	// Store must have been opened with Capability(). Of several shards it is that of Home.
	Store    *queue.Store
	Client   *queue.Client // queue.NewClient(Store) if nil; it must push to Store
	Schedule Schedule
	Queues   []string     // that this process serves, for Schedule.ListenedQueuesOnly
	Logger   *slog.Logger // slog.Default() if nil
	// Clock is time.Now if nil. Only its differences are used, because Redis's clock decides.
	Clock func() time.Time
}

// Scheduler pushes the jobs of a schedule when they are due. Any number of processes may run the
// same schedule: each slot is pushed once.
type Scheduler struct {
	Config
	digest  string
	clock   clock
	tracks  []track
	number  int64     // of this process; 0 before Redis gave it one
	owns    bool      // this schedule counts
	entered bool      // Redis has the entries
	ownAt   time.Time // when to call own again, by Redis's clock
	outage  outage
	told    bool // that another schedule owns the name
}

// track is an entry, and where it stands.
type track struct {
	entry  Entry
	timing timing
	last   time.Time // the last slot that was claimed or skipped
	next   time.Time // the first slot after last; zero if there is none
}

// New returns a Scheduler. The error has all problems of the schedule.
func New(c Config) (*Scheduler, error) {
	if err := c.Schedule.Check(); err != nil {
		return nil, err
	}
	if c.Client == nil {
		c.Client = queue.NewClient(c.Store)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Clock == nil {
		c.Clock = time.Now
	}
	s := &Scheduler{Config: c, digest: c.Schedule.digest(), clock: clock{local: c.Clock}}
	s.outage.log = c.Logger
	for _, e := range c.Schedule.Entries {
		if c.Schedule.ListenedQueuesOnly && !slices.Contains(c.Queues, e.QueueName()) {
			continue
		}
		t, err := e.timing()
		if err != nil {
			return nil, err
		}
		s.tracks = append(s.tracks, track{entry: e, timing: t})
	}
	return s, nil
}

// Run pushes jobs until ctx ends, and then returns nil. While Redis is away it tries again and
// again, and then makes up for missed slots as each entry's Misfire says.
func (s *Scheduler) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		wait, err := s.round(ctx)
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			wait = s.outage.failed(s.clock.now(), err)
		} else {
			s.outage.ended(s.clock.now())
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
	return nil
}

// round does what is due, and returns how long nothing will be due. A Store that was away at the
// start is connected.
func (s *Scheduler) round(ctx context.Context) (time.Duration, error) {
	if !s.Store.Connected() {
		if err := s.connect(ctx); err != nil {
			return 0, err
		}
	}
	if now := s.clock.now(); s.number == 0 || !now.Before(s.ownAt) {
		if err := s.own(ctx); err != nil {
			return 0, err
		}
	}
	if s.owns && !s.entered {
		if err := s.enter(ctx); err != nil {
			return 0, err
		}
	}
	until := s.ownAt
	var problems []error
	for i := range s.tracks {
		t := &s.tracks[i]
		if !s.owns || !s.entered || t.entry.Disabled {
			continue
		}
		if err := s.serve(ctx, t); err != nil {
			problems = append(problems, fmt.Errorf("entry %s: %w", t.entry.Name, err))
			if !redisdb.Answered(err) && !errors.Is(err, queue.ErrClaim) {
				break // Redis is away: the other entries would wait for the same
			}
		}
		if !t.next.IsZero() && t.next.Before(until) {
			until = t.next
		}
	}
	if !s.owns || !s.entered {
		until = s.ownAt
	}
	return max(0, until.Sub(s.clock.now())), errors.Join(problems...)
}

// connectLimit is how long an attempt to connect may take.
const connectLimit = 5 * time.Second

func (s *Scheduler) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	return s.Store.Connect(ctx)
}

// serve claims the slots of an entry that are due, the earliest first.
func (s *Scheduler) serve(ctx context.Context, t *track) error {
	now := s.clock.now()
	if t.next.IsZero() || t.next.After(now) {
		return nil
	}
	for _, slot := range due(t.timing, t.last, now, t.entry.Misfire) {
		ended, err := s.claim(ctx, t, slot)
		if err != nil || !ended {
			return err
		}
		t.advance(slot)
	}
	t.advance(now) // slots that were missed and are not made up for are over
	return nil
}

// advance notes that all slots up to a time are over.
func (t *track) advance(to time.Time) {
	t.last = later(t.last, to)
	t.next = t.timing.next(t.last)
}

// outage logs once when the pushes of slots begin to fail, and once when they work again.
type outage struct {
	log      *slog.Logger
	since    time.Time
	attempts int
}

// failed returns how long to wait before the next attempt.
func (o *outage) failed(now time.Time, err error) time.Duration {
	if o.attempts == 0 {
		o.since = now
		o.log.Warn("Scheduled jobs cannot be pushed: trying again", "err", err)
	}
	o.attempts++
	wait := min(maxBackoff, 100*time.Millisecond<<min(o.attempts, 10))
	return wait/2 + rand.N(wait/2)
}

func (o *outage) ended(now time.Time) {
	if o.attempts > 0 {
		o.log.Info("Scheduled jobs are pushed again", "after", now.Sub(o.since).Round(
			time.Millisecond))
	}
	o.attempts = 0
}
