package queue

import (
	"context"
	"maps"
	"slices"
	"time"
)

const (
	bulkSlice      = 1000 // jobs in one script
	bulkScheduled  = 10   // jobs that a scheduled one counts for: ZADD costs more than LPUSH
	bulkSliceBytes = 4 << 20
)

// pushing is a push under way: jobs are added one by one, and sent in slices that are
// bounded by count and by bytes. A slice is stored whole or not at all.
type pushing struct {
	client *Client
	class  string
	o      Options
	chain  func(context.Context, *NewJob) error
	left   int // jobs that are still to come, as far as is known

	now     time.Time // of the slice
	stamp   []byte    // the same, as it is written into payloads
	scratch []byte    // where a payload is written, to be copied out
	room    []NewJob  // for the next jobs: made together, for speed
	made    []made    // of the job that is being added: one, as a rule

	slice         []Batch
	weight, bytes int // of the slice

	jids      []string // of all jobs added
	confirmed int      // how many of them Redis has
}

// made is a job as it is to be stored, and where.
type made struct {
	Pushed
	queue      string // empty: the schedule set
	idempotent bool
}

// begin starts a push of n jobs.
func (c *Client) begin(class string, o Options, n int) *pushing {
	p := &pushing{client: c, class: class, o: o, left: n, jids: make([]string, 0, n)}
	p.chain = c.chain(p.collect)
	return p
}

// add passes a job through the middleware to the slice. A slice that has no room for
// it is sent before.
func (p *pushing) add(ctx context.Context, args []any) error {
	if len(p.slice) == 0 {
		p.tell()
	}
	j := p.next(args)
	p.jids = append(p.jids, "")
	p.made = p.made[:0]
	if err := p.chain(ctx, j); err != nil {
		return err
	}
	for i := range p.made { // outside of the middleware, which could lose a slice's error
		if err := p.put(ctx, &p.made[i]); err != nil {
			return err
		}
	}
	return nil
}

// tell tells the time for a new slice.
func (p *pushing) tell() {
	p.now = time.Now()
	p.stamp = p.client.timestamps.AppendTime(p.stamp[:0], p.now, nil)
	if !p.o.At.After(p.now) {
		p.o.At = time.Time{}
	}
}

// next makes the next job. What middleware can write to is the job's own.
func (p *pushing) next(args []any) *NewJob {
	if len(p.room) == 0 {
		p.room = make([]NewJob, min(p.left, bulkSlice/weigh(p.o.At)))
	}
	j := &p.room[0]
	p.room, p.left = p.room[1:], p.left-1
	*j = NewJob{Class: p.class, Args: args, Options: p.o}
	if len(p.client.middleware) > 0 {
		j.Args, j.Tags, j.Extra = slices.Clone(j.Args), slices.Clone(j.Tags), maps.Clone(j.Extra)
	}
	if j.JID == "" {
		j.JID = NewJID()
	}
	if j.Queue == "" {
		j.Queue = "default"
	}
	return j
}

// weigh is how many jobs one counts for that is due at t.
func weigh(t time.Time) int {
	if t.IsZero() {
		return 1
	}
	return bulkScheduled
}

// collect is the end of the middleware.
func (p *pushing) collect(_ context.Context, j *NewJob) (err error) {
	if p.scratch, err = p.client.payload(p.scratch[:0], j, p.now, p.stamp); err != nil {
		return err
	}
	m := made{Pushed{j.JID, string(p.scratch), j.At}, j.Queue, j.Idempotent}
	if !j.At.IsZero() {
		m.queue = ""
	}
	p.made = append(p.made, m)
	p.jids[len(p.jids)-1] = j.JID
	return nil
}

// put adds a job to the slice, or, if the slice is full, to a new one.
func (p *pushing) put(ctx context.Context, m *made) error {
	weight, size := weigh(m.At), len(m.Payload)
	if len(p.slice) > 0 && (p.weight+weight > bulkSlice || p.bytes+size > bulkSliceBytes) {
		if err := p.send(ctx, len(p.jids)-1); err != nil {
			return err
		}
	}
	p.weight += weight
	p.bytes += size
	for i := range p.slice {
		if b := &p.slice[i]; b.Queue == m.queue && b.Idempotent == m.idempotent {
			b.Jobs = append(b.Jobs, m.Pushed)
			return nil
		}
	}
	n := 1 // a second place is rare, and there may be many
	if len(p.slice) == 0 {
		n = min(p.left+1, bulkSlice/weight)
	}
	b := Batch{Queue: m.queue, Jobs: make([]Pushed, 0, n), Idempotent: m.idempotent}
	b.Jobs = append(b.Jobs, m.Pushed)
	p.slice = append(p.slice, b)
	return nil
}

// send stores the slice. With it, Redis has the first n jobs.
func (p *pushing) send(ctx context.Context, n int) error {
	if len(p.slice) > 0 {
		if err := p.client.backend.PushBatches(ctx, p.slice); err != nil {
			return err
		}
	}
	p.slice, p.weight, p.bytes, p.confirmed = nil, 0, 0, n
	return nil
}

func (c *Client) chain(last func(context.Context, *NewJob) error) func(context.Context,
	*NewJob) error {
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
