package queue

import (
	"context"
	"fmt"
	"time"
)

const (
	bulkSlice          = 1000 // jobs in one script
	bulkSliceScheduled = 100  // ZADD costs more than LPUSH

	waitFor = time.Second // for replicas to confirm a push
)

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
// that is pushed again.
type ClientMiddleware func(ctx context.Context, j *NewJob, next func(context.Context, *NewJob) error) error

// Backend is where pushed jobs go: a Store, or a test's collector.
type Backend interface {
	// PushBatch stores jobs that go to one place, all or none.
	PushBatch(ctx context.Context, b Batch) error
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
	c := &Client{backend: b, middleware: middleware, timestamps: Float, maxPayload: DefaultMaxPayload}
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
func (c *Client) Push(ctx context.Context, class string, args []any, o Options) (jid string, err error) {
	jids, err := c.push(ctx, class, [][]any{args}, o)
	if len(jids) == 1 {
		jid = jids[0]
	}
	return jid, err
}

// PushIn pushes a job that is due in d. A d of zero or less is now.
func (c *Client) PushIn(ctx context.Context, d time.Duration, class string, args []any, o Options) (string, error) {
	o.At = time.Now().Add(d)
	return c.Push(ctx, class, args, o)
}

// PushAt pushes a job that is due at t. A past t is now.
func (c *Client) PushAt(ctx context.Context, t time.Time, class string, args []any, o Options) (string, error) {
	o.At = t
	return c.Push(ctx, class, args, o)
}

// PushBulk pushes a job for each element of args, 1,000 at a time (100 when
// scheduled), and keeps their order. It returns the JIDs, "" for a job that
// middleware held back. After an error, those of the jobs that Redis confirmed:
// the slice that failed was pushed not at all or, with ErrUnknown, perhaps. A JID
// in o is refused for more than one job.
func (c *Client) PushBulk(ctx context.Context, class string, args [][]any, o Options) (jids []string, err error) {
	if o.JID != "" && len(args) > 1 {
		return nil, &InvalidError{"jid", "one JID was given for several jobs"}
	}
	size := bulkSlice
	if o.At.After(time.Now()) {
		size = bulkSliceScheduled
	}
	jids = make([]string, 0, len(args))
	for start := 0; start < len(args); start += size {
		got, err := c.push(ctx, class, args[start:min(start+size, len(args))], o)
		if err != nil {
			return jids, err
		}
		jids = append(jids, got...)
	}
	return jids, nil
}

// push stores one slice. After an error jids still names the jobs, so that a
// push whose outcome is unknown can be repeated.
func (c *Client) push(ctx context.Context, class string, slice [][]any, o Options) (jids []string, err error) {
	now := time.Now()
	if !o.At.After(now) {
		o.At = time.Time{}
	}
	var batches []Batch
	var scratch []byte // where a payload is written, to be copied out
	stamp := c.timestamps.appendTime(nil, now, nil)
	collect := func(_ context.Context, j *NewJob) (err error) {
		if scratch, err = c.payload(scratch[:0], j, now, stamp); err != nil {
			return err
		}
		batches = addTo(batches, j, Pushed{j.JID, string(scratch), j.At}, len(slice))
		jids[len(jids)-1] = j.JID
		return nil
	}
	chain := c.chain(collect)
	jids = make([]string, 0, len(slice))
	jobs := make([]NewJob, len(slice)) // together, for speed
	for i, args := range slice {
		j := &jobs[i]
		*j = NewJob{Class: class, Args: args, Options: o}
		if j.JID == "" {
			j.JID = NewJID()
		}
		if j.Queue == "" {
			j.Queue = "default"
		}
		jids = append(jids, "")
		if err := chain(ctx, j); err != nil {
			return nil, err
		}
	}
	for _, b := range batches {
		if err := c.backend.PushBatch(ctx, b); err != nil {
			return jids, err
		}
	}
	return jids, nil
}

// addTo puts a job with the others that go to the same place, of which there may be
// n: middleware may have sent jobs of one bulk push to several queues.
func addTo(batches []Batch, j *NewJob, p Pushed, n int) []Batch {
	name := j.Queue
	if !p.At.IsZero() {
		name = ""
	}
	for i := range batches {
		if batches[i].Queue == name && batches[i].Idempotent == j.Idempotent {
			batches[i].Jobs = append(batches[i].Jobs, p)
			return batches
		}
	}
	if len(batches) > 0 {
		n = 1 // a second place is rare, and there may be many
	}
	b := Batch{Queue: name, Jobs: make([]Pushed, 0, n), Idempotent: j.Idempotent}
	b.Jobs = append(b.Jobs, p)
	return append(batches, b)
}

func (c *Client) chain(last func(context.Context, *NewJob) error) func(context.Context, *NewJob) error {
	next := last
	for i := len(c.middleware) - 1; i >= 0; i-- {
		mw, inner := c.middleware[i], next
		next = func(ctx context.Context, j *NewJob) error { return mw(ctx, j, inner) }
	}
	return next
}

// payload writes the job's payload to b, which is empty.
func (c *Client) payload(b []byte, j *NewJob, now time.Time, stamp []byte) ([]byte, error) {
	if err := j.check(); err != nil {
		return nil, err
	}
	payload, err := j.appendPayload(b, now, stamp)
	if err != nil {
		return nil, err
	}
	if len(payload) > c.maxPayload {
		return nil, &TooLargeError{j.Class, len(payload), c.maxPayload}
	}
	return payload, nil
}

// PushBatch stores the jobs of a batch, all or none. Of an idempotent batch,
// jobs that were pushed before are left out.
func (s *Store) PushBatch(ctx context.Context, b Batch) error {
	dest, ttl := s.ks.queue(b.Queue), 0
	if b.Queue == "" {
		dest = s.ks.key(keySchedule)
	}
	if b.Idempotent {
		ttl = int(markerLife.Seconds())
	}
	keys := []string{dest, s.ks.key(keyQueues)}
	args := make([]any, 0, 2+2*len(b.Jobs))
	args = append(args, b.Queue, ttl)
	for i := range b.Jobs {
		j, due := &b.Jobs[i], ""
		if !j.At.IsZero() {
			due = score(j.At)
		}
		if b.Idempotent {
			keys = append(keys, s.ks.pushed(j.JID))
		}
		args = append(args, due, &j.Payload)
	}
	if s.replicas == 0 {
		return pushError(s.run(ctx, pushScript, keys, args...).Err())
	}
	return s.pushAndWait(ctx, keys, args)
}

// pushAndWait confirms a push when enough replicas have it. WAIT counts what its own
// connection has written, so both go over one.
func (s *Store) pushAndWait(ctx context.Context, keys []string, args []any) error {
	conn := s.rdb.Conn()
	defer conn.Close()
	if err := s.runOn(ctx, conn, pushScript, keys, args...).Err(); err != nil {
		return pushError(err)
	}
	n, err := conn.Wait(ctx, s.replicas, waitFor).Result()
	switch {
	case err != nil:
		return fmt.Errorf("push: %w (%w)", ErrUnknown, err)
	case n < int64(s.replicas):
		return fmt.Errorf("push: %w: it is in Redis, but %d of %d replicas have confirmed it within %v: a failover may lose it", ErrUnknown, n, s.replicas, waitFor)
	}
	return nil
}
