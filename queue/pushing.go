package queue

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"
)

// The most that one slice of a push holds.
const (
	bulkSlice      = 1000    // jobs; a scheduled one counts as bulkScheduled jobs
	bulkScheduled  = 10      // because ZADD takes longer than LPUSH
	bulkSliceBytes = 4 << 20 // bytes of payloads
)

// pushing is a push under way. Jobs are added one by one and sent in slices. A slice is stored
// completely or not at all.
type pushing struct {
	client *Client
	class  string
	o      Options
	chain  func(context.Context, *NewJob) error // the middleware, then collect
	left   int                                  // how many jobs are still to be added

	now     time.Time   // when the slice was begun
	stamp   []byte      // now, in the form of payloads
	scratch []byte      // memory in which a payload is encoded before it is copied
	room    []NewJob    // memory for the next jobs: one allocation for many
	made    []storedJob // of the job that is being added: usually one, none if middleware drops it

	slice         []Batch
	weight, bytes int // of the slice

	jids      []string // of all jobs that were added
	confirmed int      // number of them, from the first on, that are in Redis
	problems  []error  // of jobs whose claims were refused
}

// storedJob is a job in the form in which it is stored, and its place.
type storedJob struct {
	Pushed
	queue      string // the schedule set if empty
	idempotent bool
}

// begin returns a push of n jobs.
func (c *Client) begin(class string, o Options, n int) *pushing {
	p := &pushing{client: c, class: class, o: o, left: n, jids: make([]string, 0, n)}
	p.chain = c.chain(p.collect)
	return p
}

// add passes a job through the middleware and puts it into the slice. If the slice has no room for
// the job, it is sent first.
func (p *pushing) add(ctx context.Context, args []any) error {
	if len(p.slice) == 0 {
		p.readClock()
	}
	j := p.next(args)
	p.jids = append(p.jids, "")
	p.made = p.made[:0]
	if err := p.chain(ctx, j); err != nil {
		return err
	}
	for i := range p.made { // after the middleware, which could drop the error of a slice
		if err := p.put(ctx, &p.made[i]); err != nil {
			return err
		}
	}
	return nil
}

// readClock sets the time of a new slice.
func (p *pushing) readClock() {
	p.now = time.Now()
	p.stamp = p.client.timestamps.AppendTime(p.stamp[:0], p.now, nil)
	if !p.o.At.After(p.now) {
		p.o.At = time.Time{}
	}
}

// next returns the next job. It has its own copies of everything that middleware may change.
func (p *pushing) next(args []any) *NewJob {
	if len(p.room) == 0 {
		p.room = make([]NewJob, min(p.left, bulkSlice/weigh(p.o.At)))
	}
	j := &p.room[0]
	p.room, p.left = p.room[1:], p.left-1
	*j = NewJob{Class: p.class, Args: args, Options: p.o}
	if len(p.client.middleware) > 0 {
		j.Args, j.Tags, j.Extra = slices.Clone(j.Args), slices.Clone(j.Tags), maps.Clone(j.Extra)
		j.Claims = slices.Clone(j.Claims)
	}
	if j.JID == "" {
		j.JID = NewJID()
	}
	if j.Queue == "" {
		j.Queue = "default"
	}
	return j
}

// weigh returns how many jobs a job that is due at t counts as.
func weigh(t time.Time) int {
	if t.IsZero() {
		return 1
	}
	return bulkScheduled
}

// collect is called by the last middleware. It encodes the job.
func (p *pushing) collect(_ context.Context, j *NewJob) (err error) {
	if p.scratch, err = p.client.payload(p.scratch[:0], j, p.now, p.stamp); err != nil {
		return err
	}
	m := storedJob{Pushed{JID: j.JID, Payload: string(p.scratch), At: j.At, Claims: j.Claims,
		at: len(p.jids) - 1}, j.Queue, j.Idempotent}
	if !j.At.IsZero() {
		m.queue = ""
	}
	p.made = append(p.made, m)
	p.jids[len(p.jids)-1] = j.JID
	return nil
}

// put adds a job to the slice or, if the slice is full, sends it and adds the job to a new one.
func (p *pushing) put(ctx context.Context, m *storedJob) error {
	weight, size := weigh(m.At), len(m.Payload)
	if len(m.Claims) > 0 {
		weight = max(weight, claimsWeigh)
	}
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
	n := 1 // a slice rarely has a second batch, but it may have many
	if len(p.slice) == 0 {
		n = min(p.left+1, bulkSlice/weight)
	}
	b := Batch{Queue: m.queue, Jobs: make([]Pushed, 0, n), Idempotent: m.idempotent}
	b.Jobs = append(b.Jobs, m.Pushed)
	p.slice = append(p.slice, b)
	return nil
}

// send sends the slice. Then Redis has the first n jobs.
func (p *pushing) send(ctx context.Context, n int) error {
	if len(p.slice) > 0 {
		if err := p.client.backend.PushBatches(ctx, p.slice); err != nil {
			return err
		}
		p.refuse()
	}
	p.slice, p.weight, p.bytes, p.confirmed = nil, 0, 0, n
	return nil
}

// refuse notes, for each job of the slice that was refused, what the push returns for it.
func (p *pushing) refuse() {
	for i := range p.slice {
		for k := range p.slice[i].Jobs {
			j := &p.slice[i].Jobs[k]
			if j.Refused == nil {
				continue
			}
			jid, err := j.refused()
			p.jids[j.at] = jid
			if err != nil {
				p.problems = append(p.problems, err)
			}
		}
	}
}

// refusals returns the errors of the jobs that were refused.
func (p *pushing) refusals() error {
	if len(p.problems) == 1 {
		return p.problems[0]
	}
	return errors.Join(p.problems...)
}

// chain returns a function that calls the middleware in order, and then last.
func (c *Client) chain(last func(context.Context, *NewJob) error) func(context.Context,
	*NewJob) error {
	next := last
	for i := len(c.middleware) - 1; i >= 0; i-- {
		mw, inner := c.middleware[i], next
		next = func(ctx context.Context, j *NewJob) error { return mw(ctx, j, inner) }
	}
	return next
}

// payload checks a job and encodes its payload in the memory of b, which is empty.
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
