package inspect

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

// Request is a bulk operation that a person wants: what it does, to which jobs.
type Request struct {
	Verb queue.Verb
	Set  string // the name of a JobSet; empty if Queue is set
	// Queue is a queue. Its jobs can be deleted, killed and moved.
	Queue  string
	To     string   // the queue of VerbMove
	Filter Filter   // of the jobs; empty: all
	JIDs   []string // if there are any: only these jobs
	// Entries are the jobs of JIDs if the caller has read them from the set: they are not searched
	// for.
	Entries []queue.Entry
	AsOf    time.Time // jobs that came later stay; see Inspector.Now
	By      string    // the person
	Host    string    // of the person
}

// Operation is a bulk operation: a record in Redis, which any process can carry out and go on with.
type Operation struct {
	ID      string     `json:"id"`
	Verb    queue.Verb `json:"verb"`
	Set     string     `json:"set,omitempty"`
	Queue   string     `json:"queue,omitempty"`
	To      string     `json:"to,omitempty"`
	Filter  string     `json:"filter,omitempty"`
	JIDs    []string   `json:"jids,omitempty"`
	AsOf    time.Time  `json:"as_of"`
	By      string     `json:"by"`
	Host    string     `json:"host"`
	Began   time.Time  `json:"began"`
	Ended   time.Time  `json:"ended,omitzero"`
	State   string     `json:"state"`   // see queue.StateRunning and the others
	Seen    int        `json:"seen"`    // jobs that it has looked at
	Matched int        `json:"matched"` // of these, those that it has chosen
	Changed int        `json:"changed"` // the others had gone before, or stay because of an error
	Error   string     `json:"error,omitempty"`

	in      *Inspector
	filter  Filter
	entries []queue.Entry
	missing []string // of JIDs: those that Run has not found
}

// Missing returns the JIDs of the request that Run has not found.
func (o *Operation) Missing() []string { return o.missing }

// keptOperations is more than the operations whose records are kept.
const keptOperations = 100_000

// Now returns Redis's time, for Request.AsOf.
func (in *Inspector) Now(ctx context.Context) (time.Time, error) {
	now, err := in.rdb.Time(ctx).Result()
	if err != nil {
		return now, fmt.Errorf("the time of Redis: %w", err)
	}
	return now, nil
}

// Begin writes the record of an operation, which Run carries out. The error says what is wrong with
// the request; then nothing was written.
func (in *Inspector) Begin(ctx context.Context, r Request) (*Operation, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	now, err := in.Now(ctx)
	if err != nil {
		return nil, err
	}
	if r.AsOf.IsZero() {
		r.AsOf = now
	}
	o := &Operation{ID: strings.ToLower(rand.Text()[:10]), Verb: r.Verb, Set: r.Set,
		Queue: r.Queue, To: r.To, Filter: r.Filter.String(), JIDs: r.JIDs, AsOf: r.AsOf, By: r.By,
		Host: r.Host, Began: now, State: queue.StateInterrupted, in: in, filter: r.Filter,
		entries: r.Entries}
	if err := in.forget(ctx, now); err != nil {
		return nil, err
	}
	_, err = in.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.HSet(ctx, in.ks.Operation(o.ID), "verb", string(o.Verb), "set", o.Set, "queue", o.Queue,
			"to", o.To, "filter", o.Filter, "jids", strings.Join(o.JIDs, " "), "as_of",
			o.AsOf.UnixMicro(), "by", o.By, "host", o.Host, "began", now.UnixMilli(), "state",
			o.State, "seen", 0, "matched", 0, "changed", 0)
		p.ZAdd(ctx, in.ks.Operations(), redis.Z{Score: float64(now.UnixMilli()), Member: o.ID})
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("operation: %w", err)
	}
	return o, nil
}

// check returns what is wrong with a request.
func (r *Request) check() error {
	inQueue := []queue.Verb{queue.VerbDelete, queue.VerbForget, queue.VerbKill, queue.VerbMove}
	switch {
	case (r.Set == "") == (r.Queue == ""):
		return errors.New("operation: want a set or a queue")
	case r.Queue != "" && !slices.Contains(inQueue, r.Verb):
		return fmt.Errorf("operation: %s: the jobs of a queue can be deleted, killed or moved",
			r.Verb)
	case r.Set == redisdb.KeyDead && (r.Verb == queue.VerbKill || r.Verb == queue.VerbMove):
		return fmt.Errorf("operation: %s: the jobs are dead already; they can be retried or "+
			"deleted", r.Verb)
	case r.Verb == queue.VerbMove && !envelope.QueueName(r.To):
		return fmt.Errorf("operation: move to the queue %q: want 1 to 512 bytes without a line "+
			"break", r.To)
	case r.Verb == queue.VerbMove && r.To == r.Queue:
		return fmt.Errorf("operation: move: the jobs are in the queue %s already", r.To)
	}
	return nil
}

// forget takes operations whose records have expired off the list.
func (in *Inspector) forget(ctx context.Context, now time.Time) error {
	old := now.Add(-queue.OperationsFor).UnixMilli()
	ids, err := in.rdb.ZRangeArgs(ctx, redis.ZRangeArgs{Key: in.ks.Operations(), ByScore: true,
		Start: "-inf", Stop: strconv.FormatInt(old, 10), Count: 100}).Result()
	for _, id := range ids {
		if n, err := in.rdb.Exists(ctx, in.ks.Operation(id)).Result(); err == nil && n == 0 {
			in.rdb.ZRem(ctx, in.ks.Operations(), id)
		}
	}
	if err != nil {
		return fmt.Errorf("operations: %w", err)
	}
	return nil
}

// Operation returns an operation. The error is queue.ErrNotFound if there is no record of it.
func (in *Inspector) Operation(ctx context.Context, id string) (*Operation, error) {
	fields, err := in.rdb.HGetAll(ctx, in.ks.Operation(id)).Result()
	if err == nil && len(fields) == 0 {
		err = fmt.Errorf("%w: records are kept for %d days", queue.ErrNotFound,
			int(queue.OperationsFor.Hours()/24))
	}
	now, timeErr := in.Now(ctx)
	if err = errors.Join(err, timeErr); err != nil {
		return nil, fmt.Errorf("operation %s: %w", id, err)
	}
	return in.readOperation(id, fields, now)
}

// Operations returns the last count operations, the latest first.
func (in *Inspector) Operations(ctx context.Context, count int64) ([]*Operation, error) {
	ids, err := in.rdb.ZRangeArgs(ctx, redis.ZRangeArgs{Key: in.ks.Operations(), Start: 0,
		Stop: count - 1, Rev: true}).Result()
	if err != nil || len(ids) == 0 {
		return nil, wrapped("operations", err)
	}
	pipe := in.rdb.Pipeline()
	now := pipe.Time(ctx)
	rows := make([]*redis.MapStringStringCmd, len(ids))
	for i, id := range ids {
		rows[i] = pipe.HGetAll(ctx, in.ks.Operation(id))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, wrapped("operations", err)
	}
	var list []*Operation
	for i, row := range rows {
		if len(row.Val()) == 0 {
			continue // its record has expired
		}
		o, err := in.readOperation(ids[i], row.Val(), now.Val())
		if err != nil {
			return nil, err
		}
		list = append(list, o)
	}
	return list, nil
}

func wrapped(what string, err error) error {
	if err != nil {
		err = fmt.Errorf("%s: %w", what, err)
	}
	return err
}

// readOperation decodes a record. now is Redis's time.
func (in *Inspector) readOperation(id string, row map[string]string, now time.Time) (*Operation,
	error) {
	number := func(key string) int64 { n, _ := strconv.ParseInt(row[key], 10, 64); return n }
	filter, err := ParseFilter(row["filter"])
	if err != nil {
		return nil, fmt.Errorf("operation %s, which another version has written: %w", id, err)
	}
	o := &Operation{ID: id, Verb: queue.Verb(row["verb"]), Set: row["set"], Queue: row["queue"],
		To: row["to"], Filter: row["filter"], JIDs: strings.Fields(row["jids"]),
		AsOf: time.UnixMicro(number("as_of")), By: row["by"], Host: row["host"],
		Began: time.UnixMilli(number("began")), State: row["state"], Seen: int(number("seen")),
		Matched: int(number("matched")), Changed: int(number("changed")), Error: row["error"],
		in: in, filter: filter}
	if ended := number("ended"); ended > 0 {
		o.Ended = time.UnixMilli(ended)
	}
	if o.State == queue.StateRunning && time.UnixMilli(number("until")).Before(now) {
		o.State = queue.StateInterrupted
	}
	return o, nil
}

// Cancel makes the operation stop before its next page. What it has changed stays changed.
func (o *Operation) Cancel(ctx context.Context) error {
	state, err := o.in.store.Cancel(ctx, o.ID)
	if err == nil && state != queue.StateRunning && state != queue.StateInterrupted {
		err = fmt.Errorf("operation %s is not running: it is %s", o.ID, state)
	}
	return err
}

// Undo puts the jobs back that an operation deleted, with the same bytes: those of a set with their
// times, those of a queue to the end that is taken next. It returns how many it put back, also with
// an error: then it may be called again. An operation that was interrupted is cancelled. A lock
// that a deleted job held stays free.
func (in *Inspector) Undo(ctx context.Context, id string) (n int, err error) {
	o, err := in.Operation(ctx, id)
	switch {
	case err != nil:
		return 0, err
	case o.Verb != queue.VerbDelete:
		return 0, fmt.Errorf("operation %s: only deletions can be undone, and this is a %s", id,
			o.Verb)
	case o.State == queue.StateRunning:
		return 0, fmt.Errorf("operation %s is still running: cancel it first", id)
	case o.State == queue.StateInterrupted: // its caller may only be slow, and would delete them
		if _, err := in.store.Cancel(ctx, id); err != nil {
			return 0, err
		}
	}
	for {
		some, left, err := in.store.Restore(ctx, id, o.Set, o.Queue)
		n += some
		if err != nil {
			return n, err
		}
		if left == 0 {
			break
		}
	}
	if n == 0 {
		err = fmt.Errorf("operation %s: the trash is empty: the jobs were restored before, or "+
			"deleted more than %v ago", id, queue.TrashFor)
	}
	return n, err
}
