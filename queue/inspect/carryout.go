package inspect

import (
	"cmp"
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
	// suspendFor is how long lanes of a queue stay off after the operation on it has last said so,
	// which it does every suspendEvery.
	suspendFor   = 15 * time.Second
	suspendEvery = 3 * time.Second
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
	off      time.Time // when the lanes of the queue were last said to be off
	stay     []error   // of single jobs
}

// Run carries out the operation, or goes on with it. It calls progress, which may be nil, after
// each page. If ctx ends, the operation is interrupted, and Run may be called again, by any
// process. The error joins the errors of single jobs, which stay where they are; any other error
// ends the operation, such as a *queue.OperationError if it is cancelled or another process carries
// it out.
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
func (c *carrying) carryOut(ctx context.Context) (err error) {
	if c.Queue == "" {
		return c.set(ctx)
	}
	way := queue.Sift{Queue: c.Queue, Verb: c.Verb, To: cmp.Or(c.To, c.Queue), Few: fewJobs}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), endWithin)
		defer cancel()
		err = errors.Join(err, c.putBack(ctx, way))
		if !c.off.IsZero() {
			err = errors.Join(err, c.in.store.Suspend(ctx, c.Queue, 0))
		}
	}()
	err = c.putBack(ctx, way) // what an earlier caller has left
	if err = errors.Join(err, c.enter(ctx), c.noLanes(ctx)); err != nil {
		return err
	}
	if c.Verb == queue.VerbMove && c.filter.Empty() && len(c.JIDs) == 0 {
		if over, err := c.shift(ctx); over || err != nil {
			return err
		}
	}
	return c.sift(ctx, way)
}

// noLanes keeps the lanes of the queue off: the operation goes through the list of the queue, where
// all jobs are then. If the operation dies, they come on again by themselves.
func (c *carrying) noLanes(ctx context.Context) error {
	if c.Queue == "" || time.Since(c.off) < suspendEvery {
		return nil
	}
	c.off = time.Now()
	return c.in.store.Suspend(ctx, c.Queue, suspendFor)
}

// enter lets the operation go through its queue, also if the caller of another one has died there.
func (c *carrying) enter(ctx context.Context) error {
	err := c.in.store.Enter(ctx, c.ticket, c.Queue)
	var busy *queue.OperationError
	if !errors.As(err, &busy) || busy.Other == "" {
		return err
	}
	if ids, _ := c.in.store.PutBack(ctx, map[string]string{c.Queue: busy.Other}); len(ids) == 0 {
		return err // its caller lives
	}
	return c.in.store.Enter(ctx, c.ticket, c.Queue)
}

// end notes how the operation ended.
func (c *carrying) end(ctx context.Context, err error) error {
	all := errors.Join(append(c.stay, err)...)
	var stopped *queue.OperationError
	c.Seen, c.Matched = c.ticket.Seen, c.ticket.Matched
	switch {
	case errors.As(err, &stopped) && stopped.State != "waits":
		c.State = stopped.State
		return all
	case ctx.Err() != nil, stopped != nil:
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
	if len(c.entries) > 0 {
		return c.known(ctx, js)
	}
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

// known carries out the operation on entries that the caller has read.
func (c *carrying) known(ctx context.Context, js *JobSet) error {
	c.ticket.Seen, c.ticket.Matched = len(c.entries), len(c.entries)
	n, err := js.Operate(ctx, c.ticket, c.Verb, c.To, c.entries)
	if n == len(c.entries) {
		c.missing = nil
	}
	return c.changed(n, err)
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

// sift goes through a queue: first from the newest job on, while it is long, then through the
// oldest jobs.
func (c *carrying) sift(ctx context.Context, way queue.Sift) error {
	size := listSize{most: listPage}
	rest, err := c.short(ctx, &way, &size)
	for rest < 0 && err == nil && !c.foundAll() {
		var page []string
		if page, err = c.in.store.NewestJobs(ctx, c.ticket, c.Queue, size.next()); err == nil {
			size.saw(page)
			rest, err = c.newest(ctx, way, page)
		}
	}
	if err == nil && rest > 0 && !c.foundAll() {
		err = c.oldest(ctx, way)
	}
	return errors.Join(err, ctx.Err())
}

// fewJobs is how many jobs are few if their payloads are small.
const fewJobs = 5000

// putBack puts back what the operation holds of the queue.
func (c *carrying) putBack(ctx context.Context, way queue.Sift) error {
	return c.in.store.Unsift(ctx, c.ID, c.ticket.Token, way)
}

// short decides by the sizes of some jobs how many are few, and returns how many jobs a short queue
// has, or -1 for a long one.
func (c *carrying) short(ctx context.Context, way *queue.Sift, size *listSize) (int, error) {
	page, err := c.in.QueuePage(ctx, c.Queue, 0, size.next())
	if err != nil {
		return 0, err
	}
	size.saw(page)
	way.Few = max(1, min(fewJobs, 4*redisdb.PageBytes/max(size.average, 1)))
	n, err := c.in.rdb.LLen(ctx, c.in.ks.Queue(c.Queue)).Result()
	if err != nil || n > int64(way.Few) {
		return -1, err
	}
	return int(n), nil
}

// choice are the jobs of a page, and which of them are chosen.
type choice struct {
	jobs []*queue.Job
	is   []bool
}

func (c *carrying) choose(page []string) choice {
	ch := choice{make([]*queue.Job, len(page)), make([]bool, len(page))}
	for i, raw := range page {
		ch.jobs[i], ch.is[i] = c.chooses(raw)
		ch.is[i] = ch.is[i] && (len(c.JIDs) > 0 || !inQueueAfter(ch.jobs[i], c.AsOf))
	}
	return ch
}

func (ch choice) of(i int) (*queue.Job, bool) { return ch.jobs[i], ch.is[i] }

// count is how many of the first n jobs are chosen.
func (ch choice) count(n int) (chosen int) {
	for _, is := range ch.is[:n] {
		if is {
			chosen++
		}
	}
	return chosen
}

// newest carries out a page of the newest jobs of a long queue. rest is -1 while it is long.
func (c *carrying) newest(ctx context.Context, way queue.Sift, page []string) (rest int,
	err error) {
	if err := c.noLanes(ctx); err != nil {
		return -1, err
	}
	t, ch := c.ticket, c.choose(page)
	seen, matched := t.Seen, t.Matched
	t.Seen, t.Matched = seen+len(page), matched+ch.count(len(page))
	n, passed, rest, err := c.in.store.SiftNewest(ctx, t, way, page, ch.of)
	passed = min(passed, len(page)) // workers have taken the others
	t.Seen, t.Matched = seen+passed, matched+ch.count(passed)
	for i := range passed {
		if ch.is[i] {
			c.find(ch.jobs[i])
		}
	}
	var refused *queue.WrongTypeError
	if errors.As(err, &refused) { // nothing of the page was done, and the next would not be either
		return rest, err
	}
	return rest, c.changed(n, err)
}

// oldest carries out the operation on the oldest jobs. A page of a move is older than the
// next, because the jobs go behind each other; a page of others is newer: the trash has the oldest
// job at its end.
func (c *carrying) oldest(ctx context.Context, way queue.Sift) error {
	jobs, err := c.in.store.OldestJobs(ctx, c.ticket, way)
	if err != nil {
		return err
	}
	var pages [][]string
	for some := range slices.Chunk(jobs, oldestPage) {
		pages = append(pages, some)
	}
	if c.Verb != queue.VerbMove {
		slices.Reverse(pages)
	}
	for _, page := range pages {
		if err := c.noLanes(ctx); err != nil {
			return err
		}
		ch := c.choose(page)
		c.ticket.Seen += len(page)
		c.ticket.Matched += ch.count(len(page))
		for i := range page {
			if ch.is[i] {
				c.find(ch.jobs[i])
			}
		}
		n, err := 0, error(nil)
		if ch.count(len(page)) > 0 || time.Since(c.noted) > noteEvery {
			n, err = c.in.store.SiftOldest(ctx, c.ticket, way, page, ch.of)
		}
		var refused *queue.WrongTypeError
		if errors.As(err, &refused) {
			return err
		}
		if err = c.changed(n, err); err != nil || ctx.Err() != nil || c.foundAll() {
			return err
		}
	}
	return nil
}

// oldestPage is the most jobs that one call changes where they are: as many as may have effects,
// so a page is one call.
const oldestPage = queue.MaxEffectItems

// shift moves all jobs of a queue to another queue, the oldest first. over is false if a job stands
// in the way: one that came later than the operation, or bytes that are no job.
func (c *carrying) shift(ctx context.Context) (over bool, err error) {
	size := listSize{most: listPage}
	for {
		if err := c.noLanes(ctx); err != nil {
			return false, err
		}
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
