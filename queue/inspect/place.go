package inspect

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// PlaceKind is a kind of place in which a job can be.
type PlaceKind string

// The kinds of places, in the order in which a job moves through them.
const (
	InSchedule PlaceKind = "scheduled"
	InRetry    PlaceKind = "retries"
	InHold     PlaceKind = "held"
	InQueue    PlaceKind = "queue"
	InLane     PlaceKind = "lane"      // of a queue: a limit keeps it, or it waits for its turn
	InLanding  PlaceKind = "landed"    // a doorbell has just brought it to a process
	InFlight   PlaceKind = "in flight" // a worker of Kyu has it
	InRuby     PlaceKind = "running"   // a process of Ruby runs it
	InDead     PlaceKind = "dead"
	// InOperation is a job of a queue that a bulk operation has passed or chosen, while it runs.
	InOperation PlaceKind = "in operation"
	InTrash     PlaceKind = "trash" // it was deleted, and can be restored
)

// Place says where a job is.
type Place struct {
	Kind    PlaceKind `json:"kind"`
	Queue   string    `json:"queue,omitempty"`   // of InQueue, InLane, InLanding, InFlight, InRuby
	Lane    string    `json:"lane,omitempty"`    // of InLane
	Class   string    `json:"class,omitempty"`   // of InHold
	Process string    `json:"process,omitempty"` // the identity, of InLanding, InFlight, InRuby
	Before  int64     `json:"before,omitempty"`  // of InQueue, InLane: jobs that are taken first
	At      time.Time `json:"at,omitzero"`       // of sets: when it is due, died, or was held
	// Operation is the id, of InOperation and InTrash.
	Operation string `json:"operation,omitempty"`
}

// walkPage is how many jobs one call of a walk reads.
const walkPage = 500

// Walk calls fn with each job in Redis and its place, until fn returns false: first the sets from
// which jobs go to queues, then the queues, their lanes and what bulk operations hold of them, then
// the jobs that processes have, then the dead set and the trash. A job that moves on meanwhile is
// met at least once. One that goes back, such as a job that fails, may be missed.
func (in *Inspector) Walk(ctx context.Context, fn func(p Place, raw string) bool) error {
	w := &walk{in: in, fn: fn}
	return w.run(ctx)
}

// walkSteps is the number of the steps of a walk.
const walkSteps = 9

// run walks from w.from on.
func (w *walk) run(ctx context.Context) error {
	steps := [walkSteps]func(context.Context) error{w.sets, w.queues, w.lanes, w.operations,
		w.landings, w.flights, w.ruby, w.dead, w.trash}
	for i := w.from.step; i < walkSteps; i++ {
		if i > w.from.step {
			w.from.key = ""
		}
		w.reached.step, w.reached.key, w.reached.at = i, "", 0
		if err := steps[i](ctx); err != nil || w.over {
			return err
		}
	}
	return nil
}

// enter says where to begin in a place of the present step. ok is false for a place before w.from.
// The places of a step are entered in the order of their keys.
func (w *walk) enter(key string) (at uint64, ok bool) {
	if w.over || key < w.from.key {
		return 0, false
	}
	if key == w.from.key {
		at = w.from.at
	}
	w.reached.key, w.reached.at = key, at
	return at, true
}

// walk is one Walk.
type walk struct {
	in      *Inspector
	fn      func(Place, string) bool
	over    bool   // fn has returned false
	from    Cursor // where it begins
	reached Cursor
}

// meet passes a job on, and reports whether the walk goes on.
func (w *walk) meet(p Place, raw string) bool {
	w.reached.Read++
	w.over = w.over || !w.fn(p, raw)
	return !w.over
}

func (w *walk) sets(ctx context.Context) error {
	held, err := w.in.HeldClasses(ctx)
	if err != nil {
		return err
	}
	if err := w.set(ctx, "1", w.in.ScheduleSet(), Place{Kind: InSchedule}); err != nil {
		return err
	}
	if err := w.set(ctx, "2", w.in.RetrySet(), Place{Kind: InRetry}); err != nil {
		return err
	}
	slices.SortFunc(held, func(a, b Held) int { return cmp.Compare(a.Class, b.Class) })
	for _, h := range held {
		p := Place{Kind: InHold, Class: h.Class}
		if err := w.set(ctx, "3"+h.Class, w.in.HoldSet(h.Class), p); err != nil {
			return err
		}
	}
	return nil
}

func (w *walk) dead(ctx context.Context) error {
	return w.set(ctx, "dead", w.in.DeadSet(), Place{Kind: InDead})
}

// set walks through a sorted set. place is the key of the set in its step.
func (w *walk) set(ctx context.Context, place string, js *JobSet, p Place) error {
	cursor, ok := w.enter(place)
	if !ok {
		return nil
	}
	for {
		flat, next, err := w.in.rdb.ZScan(ctx, js.Key(), cursor, "", walkPage).Result()
		if err != nil {
			return js.wrap(err)
		}
		for i := 0; i+1 < len(flat); i += 2 {
			p.At, _ = envelope.ParseTime(flat[i+1])
			if !w.meet(p, flat[i]) {
				return nil
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
		w.reached.at = cursor
	}
}

// queues walks through the queues from the end to which jobs are pushed: a push then makes the next
// page repeat a job, and makes it miss none.
func (w *walk) queues(ctx context.Context) error {
	names, err := w.in.rdb.SMembers(ctx, w.in.ks.Queues()).Result()
	if err != nil {
		return fmt.Errorf("queues: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		p := Place{Kind: InQueue, Queue: name}
		if err := w.list(ctx, name, w.in.ks.Queue(name), p); err != nil {
			return err
		}
	}
	return nil
}

// lanes walks through what a source keeps besides the queues, in no order.
func (w *walk) lanes(ctx context.Context) error {
	cursor, _ := w.enter("lanes")
	for {
		w.reached.at = cursor
		lists, next, err := w.in.store.KeptLists(ctx, cursor)
		if err != nil {
			return err
		}
		for _, l := range lists {
			p := Place{Kind: InLane, Queue: l.Queue, Lane: l.Lane}
			if l.Returns {
				p.Kind = InQueue
			}
			if err := w.pages(ctx, l.Key, p, 0, func(int64) {}); err != nil || w.over {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

// operations walks through the jobs of queues that bulk operations hold.
func (w *walk) operations(ctx context.Context) error {
	sifts, err := w.in.rdb.HGetAll(ctx, w.in.ks.Sifts()).Result()
	if err != nil {
		return fmt.Errorf("operations: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(sifts)) {
		p := Place{Kind: InOperation, Queue: name, Operation: sifts[name]}
		for i, key := range []string{w.in.ks.Sifted(name), w.in.ks.Staged(name)} {
			place := fmt.Sprint(name, "\n", i) // no name has a line break
			if err := w.list(ctx, place, key, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// trash walks through the deleted jobs.
func (w *walk) trash(ctx context.Context) error {
	list, err := w.in.Operations(ctx, keptOperations)
	if err != nil {
		return err
	}
	slices.SortFunc(list, func(a, b *Operation) int { return cmp.Compare(a.ID, b.ID) })
	for _, o := range list {
		p, key := Place{Kind: InTrash, Queue: o.Queue, Operation: o.ID}, w.in.ks.Trash(o.ID)
		if o.Verb != queue.VerbDelete {
			continue
		}
		if o.Queue != "" {
			err = w.list(ctx, o.ID, key, p)
		} else {
			err = w.set(ctx, o.ID, w.in.jobSet(strings.TrimPrefix(key, string(w.in.ks))), p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// list walks through a list. place is the key of the list in its step.
func (w *walk) list(ctx context.Context, place, key string, p Place) error {
	from, ok := w.enter(place)
	if !ok {
		return nil
	}
	return w.pages(ctx, key, p, int64(from), func(at int64) { w.reached.at = uint64(at) })
}

// pages walks through a list from an index on, a page at a time. reach gets the index of each.
func (w *walk) pages(ctx context.Context, key string, p Place, from int64,
	reach func(at int64)) error {
	for at := from; !w.over; at += walkPage {
		reach(at)
		pipe := w.in.rdb.Pipeline()
		size, page := pipe.LLen(ctx, key), pipe.LRange(ctx, key, at, at+walkPage-1)
		if _, err := pipe.Exec(ctx); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		for i, raw := range page.Val() {
			if p.Kind == InQueue || p.Kind == InLane {
				p.Before = size.Val() - at - int64(i) - 1
			}
			if !w.meet(p, raw) {
				return nil
			}
		}
		if len(page.Val()) < walkPage {
			return nil
		}
	}
	return nil
}

func (w *walk) landings(ctx context.Context) error {
	return w.owned(ctx, w.in.ks.Landing("*", "*"), func(key string, p Place) error {
		p.Kind = InLanding
		return w.list(ctx, key, key, p)
	})
}

func (w *walk) flights(ctx context.Context) error {
	return w.owned(ctx, w.in.ks.Inflight("*", "*"), func(key string, p Place) error {
		p.Kind = InFlight
		raws, err := w.in.rdb.HVals(ctx, key).Result()
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		for _, raw := range raws {
			if !w.meet(p, raw) {
				break
			}
		}
		return nil
	})
}

// owned calls fn with each key that matches the pattern of a key of a queue and an owner.
func (w *walk) owned(ctx context.Context, pattern string,
	fn func(key string, p Place) error) error {
	// The keys come in no order: there is no place among them to go on from.
	w.from.key = ""
	parts := strings.Split(pattern, "*") // before the queue, before the owner, ""
	for cursor := uint64(0); !w.over; {
		keys, next, err := w.in.rdb.Scan(ctx, cursor, pattern, 1000).Result()
		if err != nil {
			return fmt.Errorf("%s: %w", pattern, err)
		}
		for _, key := range keys {
			queue, owner, _ := strings.Cut(strings.TrimPrefix(key, parts[0]), parts[1])
			if err := fn(key, Place{Queue: queue, Process: owner}); err != nil || w.over {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
	return nil
}

// ruby walks through the jobs that processes of Ruby run. Kyu's are in flight.
func (w *walk) ruby(ctx context.Context) error {
	work, err := w.in.WorkInProgress(ctx)
	if err != nil {
		return err
	}
	served, err := w.in.Served(ctx)
	if err != nil {
		return err
	}
	for _, job := range work {
		if _, ours := served[job.Process]; ours {
			continue
		}
		if !w.meet(Place{Kind: InRuby, Queue: job.Queue, Process: job.Process}, job.Payload) {
			return nil
		}
	}
	return nil
}
