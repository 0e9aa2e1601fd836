package inspect

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

const (
	// noteEvery is how often an operation that changes nothing notes how far it is.
	noteEvery = time.Second
	// endWithin is how long the end of an operation may take after its context has ended.
	endWithin = 5 * time.Second
	// listPage is the most jobs of a queue that one call reads.
	listPage = 500
)

// carrying is the carrying out of an operation by this process.
type carrying struct {
	*Operation
	ticket   *queue.Ticket
	progress func(Operation)
	noted    time.Time // when Redis last knew how far the operation was
	stay     []error   // of single jobs
}

// Run carries out the operation, or goes on with it. It calls progress, which may be nil, after
// each page. If ctx ends, the operation is interrupted, and Run may be called again, by any process.
// The error joins the errors of single jobs, which stay where they are; any other error ends the
// operation, such as a *queue.OperationError if it is cancelled or another process carries it out.
func (o *Operation) Run(ctx context.Context, progress func(Operation)) error {
	c := &carrying{Operation: o, progress: progress, noted: time.Now(),
		ticket: &queue.Ticket{ID: o.ID, Token: rand.Text()}}
	state, err := o.in.store.Take(ctx, c.ticket)
	if err != nil || state == queue.StateDone {
		return err
	}
	// Jobs that were changed before are gone, and are not met again.
	before, err := o.in.Operation(ctx, o.ID)
	o.missing = slices.Clone(o.JIDs)
	if err == nil {
		o.Changed = before.Changed
		c.ticket.Seen, c.ticket.Matched = o.Changed, o.Changed
		err = c.carryOut(ctx)
	}
	return c.end(ctx, err)
}

// carryOut goes through the jobs.
func (c *carrying) carryOut(ctx context.Context) error {
	if c.Queue == "" {
		return c.set(ctx)
	}
	if c.Verb == queue.VerbMove && c.filter.Empty() && len(c.JIDs) == 0 {
		if over, err := c.shift(ctx); over || err != nil {
			return err
		}
	}
	return c.sift(ctx)
}

// end notes how the operation ended.
func (c *carrying) end(ctx context.Context, err error) error {
	all := errors.Join(append(c.stay, err)...)
	var stopped *queue.OperationError
	c.Seen, c.Matched = c.ticket.Seen, c.ticket.Matched
	switch {
	case errors.As(err, &stopped):
		c.State = stopped.State
		return all
	case ctx.Err() != nil:
		c.State = queue.StateInterrupted
	case err != nil:
		c.State = queue.StateFailed
	default:
		c.State = queue.StateDone
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
	defer cancel()
	return errors.Join(all, c.in.store.End(ctx, c.ticket, c.State, all))
}

// changed counts changed jobs, and keeps errors of single jobs for the end.
func (c *carrying) changed(n int, err error) error {
	c.Changed += n
	if err == nil || n > 0 {
		c.noted = time.Now()
	}
	if partial(err) {
		c.stay = append(c.stay, err)
		err = nil
	}
	c.Seen, c.Matched = c.ticket.Seen, c.ticket.Matched
	if c.progress != nil {
		c.progress(*c.Operation)
	}
	return err
}

// chooses reports whether the operation is about a job. j is nil if raw is no job.
func (c *carrying) chooses(raw string) (j *queue.Job, chosen bool) {
	if !c.mayChoose(raw) {
		return nil, false
	}
	j, _ = envelope.ParseJob(envelope.Original(raw))
	switch {
	case c.Verb == queue.VerbMove && j != nil && j.Queue == c.To && c.Queue == "":
		return j, false // it has been moved
	case len(c.JIDs) > 0:
		return j, j != nil && slices.Contains(c.JIDs, j.JID)
	}
	return j, c.filter.Match(raw, j, c.AsOf)
}

// mayChoose is quick: most payloads need not be read.
func (c *carrying) mayChoose(raw string) bool {
	if len(c.JIDs) == 0 {
		return c.filter.mayMatch(raw)
	}
	return slices.ContainsFunc(c.JIDs, func(jid string) bool { return strings.Contains(raw, jid) })
}

// find notes that a job that is named was found.
func (c *carrying) find(j *queue.Job) {
	if len(c.JIDs) > 0 && j != nil {
		c.missing = slices.DeleteFunc(c.missing, func(jid string) bool { return jid == j.JID })
	}
}

// foundAll reports whether no job that is named is left.
func (c *carrying) foundAll() bool { return len(c.JIDs) > 0 && len(c.missing) == 0 }

var errFoundAll = errors.New("all jobs that are named were found")

// set goes through a sorted set.
func (c *carrying) set(ctx context.Context) error {
	js := c.in.jobSet(c.Set)
	last, again, before := "", false, c.Changed
	err := js.walk(ctx, func(page []queue.Entry) (gone int, err error) {
		chosen, atLast := c.chosenOf(js, page)
		// A job that moves gets another place among the jobs of its time: some may be missed.
		again = again || c.Verb == queue.VerbMove && page[0].Score == last
		last = page[len(page)-1].Score
		c.ticket.Seen += len(page)
		c.ticket.Matched += len(chosen)
		if len(chosen) == 0 && time.Since(c.noted) < noteEvery {
			return 0, nil
		}
		n, err := js.Operate(ctx, c.ticket, c.Verb, c.To, chosen)
		if err = c.changed(n, err); err == nil && c.foundAll() {
			err = errFoundAll
		}
		if c.Verb == queue.VerbMove {
			return 0, err // the jobs stay in the set, with other bytes
		}
		return max(0, atLast-(len(chosen)-n)), err
	})
	if errors.Is(err, errFoundAll) {
		return nil
	}
	if again && err == nil && c.Changed > before {
		c.ticket.Seen, c.ticket.Matched = 0, c.Changed // moved jobs are seen again, and not chosen
		err = c.set(ctx)
	}
	return err
}

// chosenOf returns the entries of a page that the operation is about, and how many of them have the
// last score of the page.
func (c *carrying) chosenOf(js *JobSet, page []queue.Entry) (chosen []queue.Entry, atLast int) {
	last := page[len(page)-1].Score
	for _, e := range page {
		var is bool
		if e.Job, is = c.chooses(e.Raw); !is || len(c.JIDs) == 0 && js.later(e, c.AsOf) {
			continue
		}
		chosen = append(chosen, e)
		c.find(e.Job)
		if e.Score == last {
			atLast++
		}
	}
	return chosen, atLast
}

// sift goes through a queue, from the newest job to the oldest.
func (c *carrying) sift(ctx context.Context) (err error) {
	store, way := c.in.store, queue.Sift{Queue: c.Queue, Verb: c.Verb, To: c.To}
	if way.To == "" {
		way.To = c.Queue
	}
	putBack := func(ctx context.Context) error {
		return store.Unsift(ctx, c.ID, c.ticket.Token, way)
	}
	if err := putBack(ctx); err != nil { // what an earlier caller has left
		return err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
		defer cancel()
		err = errors.Join(err, putBack(ctx))
	}()
	size := listSize{most: listPage}
	for over := false; !over && !c.foundAll(); {
		page, err := store.NewestJobs(ctx, c.ticket, c.Queue, size.next())
		if err != nil {
			return err
		}
		size.saw(page)
		if over, err = c.siftPage(ctx, way, page); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// siftPage carries out a page of a queue.
func (c *carrying) siftPage(ctx context.Context, way queue.Sift, page []string) (over bool,
	err error) {
	jobs, is := make([]*queue.Job, len(page)), make([]bool, len(page))
	t := c.ticket
	seen, matched := t.Seen, t.Matched
	count := func(n int) {
		t.Seen, t.Matched = seen+n, matched
		for _, chosen := range is[:n] {
			if chosen {
				t.Matched++
			}
		}
	}
	for i, raw := range page {
		jobs[i], is[i] = c.chooses(raw)
		is[i] = is[i] && (len(c.JIDs) > 0 || !inQueueAfter(jobs[i], c.AsOf))
	}
	count(len(page))
	n, passed, over, err := c.in.store.Page(ctx, t, way, page,
		func(i int) (*queue.Job, bool) { return jobs[i], is[i] })
	count(min(passed, len(page)))
	for i := range min(passed, len(page)) {
		if is[i] {
			c.find(jobs[i])
		}
	}
	if len(page) == 0 && passed == 0 && !over && err == nil {
		return c.emptyQueue(ctx)
	}
	var refused *queue.WrongTypeError
	if errors.As(err, &refused) { // nothing of the page was done, and the next would not be either
		return false, err
	}
	return over, c.changed(n, err)
}

// emptyQueue reports whether the queue is empty: then it need not be sifted.
func (c *carrying) emptyQueue(ctx context.Context) (bool, error) {
	n, err := c.in.rdb.LLen(ctx, c.in.ks.Queue(c.Queue)).Result()
	return n == 0, err
}

// shift moves all jobs of a queue to another queue, the oldest first. over is false if a job stands
// in the way: one that came later than the operation, or bytes that are no job.
func (c *carrying) shift(ctx context.Context) (over bool, err error) {
	size := listSize{most: listPage}
	for {
		page, err := c.in.QueuePage(ctx, c.Queue, 0, size.next())
		if err != nil || len(page) == 0 {
			return true, err
		}
		size.saw(page)
		var jobs []*queue.Job
		for _, raw := range page {
			j, _ := envelope.ParseJob(raw)
			if j == nil || inQueueAfter(j, c.AsOf) {
				break
			}
			jobs = append(jobs, j)
		}
		if len(jobs) == 0 {
			return false, nil
		}
		c.ticket.Seen += len(jobs)
		c.ticket.Matched += len(jobs)
		n, err := c.in.store.Shift(ctx, c.ticket, c.Queue, c.To, jobs)
		gone := len(jobs) - n // workers took them
		c.ticket.Seen, c.ticket.Matched = c.ticket.Seen-gone, c.ticket.Matched-gone
		if err != nil {
			return false, err
		}
		if err := c.changed(n, nil); err != nil || ctx.Err() != nil {
			return false, errors.Join(err, ctx.Err())
		}
	}
}

// listSize is how many jobs of a list to read at once, by the sizes of those that were read.
type listSize struct {
	most    int // jobs at once
	average int // bytes
}

func (s *listSize) next() int64 {
	if s.average == 0 {
		return 20
	}
	return int64(max(1, min(s.most, redisdb.PageBytes/s.average)))
}

func (s *listSize) saw(page []string) {
	total := 0
	for _, raw := range page {
		total += len(raw)
	}
	if len(page) > 0 {
		s.average = max(1, total/len(page))
	}
}
