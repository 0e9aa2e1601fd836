package inspect

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// Order says how a capsule of a process shares its threads among its queues.
type Order struct {
	Process string       `json:"process"` // its identity
	Tag     string       `json:"tag"`
	Capsule string       `json:"capsule"`
	Threads int          `json:"threads"`
	Mode    string       `json:"mode"` // strict, weighted or random; "": the process does not say
	Queues  []QueueOrder `json:"queues"`
}

// QueueOrder says what a queue gets of a capsule, and why.
type QueueOrder struct {
	Queue   string             `json:"queue"`
	Waiting int64              `json:"waiting"`        // jobs
	Oldest  float64            `json:"oldest_seconds"` // age of the oldest job; 0 without jobs
	Paused  bool               `json:"paused"`
	Weight  int                `json:"weight"` // 0 in strict order
	Floor   *queue.FloorRecord `json:"floor,omitempty"`
	Gets    string             `json:"gets"` // in words
}

// lateShare is the share of a queue whose oldest job is late (docs/scaling.md).
const lateShare = 0.25

// Late reports whether the oldest job is so old that the share of the queue is raised.
func (q *QueueOrder) Late() bool {
	return q.Floor != nil && q.Floor.Late > 0 && q.Oldest > q.Floor.Late
}

// Orders returns the capsules of all live processes, Ruby's too, by identity and name, with the
// queues in their order. Quiet processes, which take no jobs, are left out.
func (in *Inspector) Orders(ctx context.Context) ([]Order, error) {
	processes, err := in.Processes(ctx)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, p := range processes {
		names = append(names, p.Queues...)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	paused, err := in.rdb.SMembers(ctx, in.ks.Paused()).Result()
	if err != nil {
		return nil, fmt.Errorf("orders: %w", err)
	}
	kept, err := in.store.Kept(ctx)
	if err != nil {
		return nil, fmt.Errorf("orders: %w", err)
	}
	// a queue with a problem is shown as empty
	infos, _, err := in.describe(ctx, names, paused, kept)
	if err != nil {
		return nil, fmt.Errorf("orders: %w", err)
	}
	known := map[string]QueueInfo{}
	for _, info := range infos {
		known[info.Name] = info
	}
	var list []Order
	for i := range processes {
		if !processes[i].Quiet {
			list = append(list, processes[i].orders(known)...)
		}
	}
	return list, nil
}

// orders returns the capsules of a process. Sidekiq has them from version 7 on; before, a process
// does not say whether its order is strict.
func (p *Process) orders(known map[string]QueueInfo) (list []Order) {
	capsules := p.capsules
	if len(capsules) == 0 {
		capsules = map[string]capsule{"default": {Concurrency: p.Concurrency}}
	}
	for _, name := range slices.Sorted(maps.Keys(capsules)) {
		c := capsules[name]
		o := Order{Process: p.Identity, Tag: p.Tag, Capsule: name, Threads: c.Concurrency,
			Mode: c.Mode}
		for _, q := range p.Queues {
			weight, serves := c.Weights[q]
			if !serves && c.Weights != nil {
				continue
			}
			info := known[q]
			row := QueueOrder{Queue: q, Waiting: info.Size, Oldest: info.Latency,
				Paused: info.Paused, Weight: weight}
			if f, has := c.Floors[q]; has {
				row.Floor = &f
			}
			o.Queues = append(o.Queues, row)
		}
		for i := range o.Queues {
			o.Queues[i].Gets = o.gets(i)
		}
		list = append(list, o)
	}
	return list
}

// gets says in words what a queue gets, and why.
func (o *Order) gets(i int) string {
	q := &o.Queues[i]
	switch {
	case q.Paused:
		return "nothing, because it is paused"
	case o.Mode == "random":
		return fmt.Sprintf("1 of %d jobs while all queues have jobs", len(o.Queues))
	case o.Mode == "weighted":
		sum := 0
		for _, other := range o.Queues {
			sum += other.Weight
		}
		return fmt.Sprintf("%d of %d jobs while all queues have jobs", q.Weight, sum)
	case o.Mode != "strict":
		return "not known, because this process does not say in what order it takes jobs"
	}
	return strings.Join(append([]string{o.place(i)}, q.besides()...), "; ")
}

// place says what a queue gets by its place in strict order.
func (o *Order) place(i int) string {
	share := 0.0
	var before []string
	for k := range o.Queues {
		switch f := o.Queues[k].Floor; {
		case k < i:
			before = append(before, o.Queues[k].Queue)
		case k > i && f != nil:
			share += o.Queues[k].share()
		}
	}
	switch {
	case i > 0:
		return "what " + strings.Join(before, ", ") + " leave"
	case share > 0:
		return "all jobs but " + percent(share) + " for floors, while it has jobs"
	}
	return "all jobs, while it has jobs"
}

// share is the share of a queue now.
func (q *QueueOrder) share() float64 {
	if q.Late() {
		return max(q.Floor.Share, lateShare)
	}
	return q.Floor.Share
}

// besides says what the floor of a queue gives it and takes from it.
func (q *QueueOrder) besides() (list []string) {
	f := q.Floor
	if f == nil {
		return nil
	}
	late := time.Duration(f.Late * float64(time.Second))
	switch {
	case q.Late():
		list = append(list, fmt.Sprintf("at least %s of the jobs, because its oldest job is older "+
			"than %v", percent(q.share()), late))
	case f.Share > 0 && f.Late > 0 && f.Share < lateShare:
		list = append(list, fmt.Sprintf("at least %s of the jobs, %s from an age of %v on",
			percent(f.Share), percent(lateShare), late))
	case f.Share > 0:
		list = append(list, fmt.Sprintf("at least %s of the jobs", percent(f.Share)))
	case f.Late > 0:
		list = append(list, fmt.Sprintf("at least %s of the jobs from an age of %v on",
			percent(lateShare), late))
	}
	if f.Max > 0 {
		list = append(list, fmt.Sprintf("at most %d threads", f.Max))
	}
	return list
}

// percent is a share as people write it.
func percent(share float64) string {
	return strconv.FormatFloat(share*100, 'g', 4, 64) + " %"
}
