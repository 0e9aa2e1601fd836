package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/kyujobs/kyu/queue/envelope"
)

const waitFor = time.Second // for replicas to confirm a push

// Client pushes jobs. It is safe for concurrent use.
type Client struct {
	backend    Backend
	middleware []ClientMiddleware
	timestamps Timestamps
	maxPayload int
}

// ClientMiddleware runs around every push, for each job of a bulk push too. It
// may change the job, add fields to Extra, or leave out next: then the job is
// not pushed, and its JID is returned as "". It may run more than once for a job
// that is pushed again. Args, Tags and Extra are the job's own, to be changed freely;
// what they point to, as a map among the arguments, is the caller's.
type ClientMiddleware func(ctx context.Context, j *NewJob,
	next func(context.Context, *NewJob) error) error

// Backend is where pushed jobs go: a Store, or a test's collector.
type Backend interface {
	// PushBatches stores the jobs of all batches, or none.
	PushBatches(ctx context.Context, batches []Batch) error
}

// Batch is jobs for one queue, or, if Queue is empty, for the schedule set.
type Batch struct {
	Queue      string
	Jobs       []Pushed
	Idempotent bool
}

// Pushed is a job as it is stored.
type Pushed struct {
	JID     string
	Payload string
	At      time.Time // zero in a queue
}

// NewClient makes a client. The first middleware is the outermost.
func NewClient(b Backend, middleware ...ClientMiddleware) *Client {
	c := &Client{backend: b, middleware: middleware, timestamps: Float,
		maxPayload: DefaultMaxPayload}
	if s, ok := b.(*Store); ok {
		c.maxPayload = s.maxPayload
		if s.timestamps == Millis {
			c.timestamps = Millis
		}
	}
	return c
}

// Push stores a job and returns its JID. When it returns without an error the
// job is in Redis. An *InvalidError or *TooLargeError, or an error that says so,
// means that nothing was pushed. ErrUnknown means that the reply was lost: the
// job may be in Redis. It is never pushed twice behind your back; with Idempotent
// set you can repeat the push with the JID that was returned.
func (c *Client) Push(ctx context.Context, class string, args []any,
	o Options) (jid string, err error) {
	p := c.begin(class, o, 1)
	if err := p.add(ctx, args); err != nil {
		return "", err
	}
	err = p.send(ctx, 1)
	return p.jids[0], err
}

// PushIn pushes a job that is due in d. A d of zero or less is now.
func (c *Client) PushIn(ctx context.Context, d time.Duration, class string, args []any,
	o Options) (string, error) {
	o.At = time.Now().Add(d)
	return c.Push(ctx, class, args, o)
}

// PushAt pushes a job that is due at t. A past t is now.
func (c *Client) PushAt(ctx context.Context, t time.Time, class string, args []any,
	o Options) (string, error) {
	o.At = t
	return c.Push(ctx, class, args, o)
}

// PushBulk pushes a job for each element of args, in slices of 1,000 (100 when
// scheduled) or of 4 MiB, and keeps their order. It returns the JIDs, "" for a job
// that middleware held back. After an error, those of the jobs that Redis confirmed:
// the slice that failed was pushed not at all or, with ErrUnknown, perhaps, to all of
// its queues alike. A JID in o is refused for more than one job.
func (c *Client) PushBulk(ctx context.Context, class string, args [][]any,
	o Options) (jids []string, err error) {
	if o.JID != "" && len(args) > 1 {
		return nil, &InvalidError{"jid", "one JID was given for several jobs"}
	}
	p := c.begin(class, o, len(args))
	for i := range args {
		if err := p.add(ctx, args[i]); err != nil {
			return p.jids[:p.confirmed], err
		}
	}
	if err := p.send(ctx, len(p.jids)); err != nil {
		return p.jids[:p.confirmed], err
	}
	return p.jids, nil
}

// PushBatches stores the jobs of all batches, or none. Of an idempotent batch, jobs
// that were pushed before are left out.
func (s *Store) PushBatches(ctx context.Context, batches []Batch) error {
	n := 0
	for i := range batches {
		n += 3 + 2*len(batches[i].Jobs)
	}
	keys, args := append(make([]string, 0, 2), s.ks.Queues()), make([]any, 0, n)
	for i := range batches {
		if len(batches[i].Jobs) > 0 {
			keys, args = s.destination(keys, args, &batches[i])
		}
	}
	if len(args) == 0 {
		return nil
	}
	if s.replicas == 0 {
		return pushError(s.db.Run(ctx, pushScript, keys, args...).Err())
	}
	return s.pushAndWait(ctx, keys, args)
}

// destination adds a batch to the keys and arguments of a push.
func (s *Store) destination(keys []string, args []any, b *Batch) ([]string, []any) {
	dest, life := s.ks.Queue(b.Queue), 0
	if b.Queue == "" {
		dest = s.ks.Schedule()
	}
	if b.Idempotent {
		life = int(markerLife.Seconds())
	}
	keys, args = append(keys, dest), append(args, b.Queue, life, len(b.Jobs))
	for i := range b.Jobs {
		j := &b.Jobs[i]
		if b.Idempotent {
			keys = append(keys, s.ks.Pushed(j.JID))
		}
		if b.Queue == "" {
			args = append(args, envelope.Score(j.At))
		}
		args = append(args, &j.Payload)
	}
	return keys, args
}

// pushAndWait confirms a push when enough replicas have it. WAIT counts what its own
// connection has written, so both go over one.
func (s *Store) pushAndWait(ctx context.Context, keys []string, args []any) error {
	conn := s.db.Shared.Conn()
	defer conn.Close()
	if err := s.db.RunOn(ctx, conn, pushScript, keys, args...).Err(); err != nil {
		return pushError(err)
	}
	n, err := conn.Wait(ctx, s.replicas, waitFor).Result()
	switch {
	case err != nil:
		return fmt.Errorf("push: %w (%w)", ErrUnknown, err)
	case n < int64(s.replicas):
		return fmt.Errorf("push: %w: it is in Redis, but %d of %d replicas have confirmed it "+
			"within %v: a failover may lose it", ErrUnknown, n, s.replicas, waitFor)
	}
	return nil
}
