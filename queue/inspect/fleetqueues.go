package inspect

import (
	"context"
	"slices"
	"strings"

	"github.com/kyujobs/kyu/queue"
)

// FleetQueue is a queue over all shards: sums, but of latencies the largest. Each process counts
// once.
type FleetQueue struct {
	QueueStatus
	Shards []QueueShard `json:"shards,omitempty"` // nil if there is one shard
}

// QueueShard is a queue in a shard.
type QueueShard struct {
	Shard   string  `json:"shard"`
	Size    int64   `json:"size"`
	Latency float64 `json:"latency_seconds"`
	Paused  bool    `json:"paused"`
	Parked  int64   `json:"parked"`
}

// PausedIn names the shards in which the queue is paused if it is not paused in all, or "".
func (q *FleetQueue) PausedIn() string {
	var names []string
	for _, s := range q.Shards {
		if s.Paused {
			names = append(names, s.Shard)
		}
	}
	if len(names) == len(q.Shards) {
		return ""
	}
	return strings.Join(names, ", ")
}

// Queues returns the queues to which jobs were ever pushed in any shard, by name.
func (f *Fleet) Queues(ctx context.Context) (list []QueueInfo, away []Away, err error) {
	found, away, err := Each(ctx, f, func(ctx context.Context, m *Member) ([]QueueInfo, error) {
		return m.Queues(ctx)
	})
	at := map[string]int{}
	for _, of := range found {
		for _, q := range of.Value {
			i, known := at[q.Name]
			if !known {
				at[q.Name] = len(list)
				list = append(list, q)
				continue
			}
			list[i].add(q)
		}
	}
	slices.SortFunc(list, func(a, b QueueInfo) int { return strings.Compare(a.Name, b.Name) })
	return list, away, err
}

// add adds the same queue in another shard.
func (q *QueueInfo) add(o QueueInfo) {
	q.Size += o.Size
	q.Parked += o.Parked
	q.Latency = max(q.Latency, o.Latency)
	q.Paused = q.Paused || o.Paused
}

// QueueStatus returns all queues to which jobs were ever pushed in any shard, by name. A queue that
// is paused in one shard is paused; PausedIn says where.
func (f *Fleet) QueueStatus(ctx context.Context) (list []FleetQueue, away []Away, err error) {
	found, away, err := Each(ctx, f, shardQueuesOf)
	if err != nil || !f.Several() {
		for _, of := range found {
			for _, q := range of.Value.list {
				list = append(list, FleetQueue{QueueStatus: q})
			}
		}
		return list, away, err
	}
	processes, more, err := f.Processes(ctx)
	at := map[string]int{}
	for _, of := range found {
		for _, q := range of.Value.list {
			i, known := at[q.Name]
			if !known {
				i = len(list)
				at[q.Name] = i
				list = append(list, FleetQueue{QueueStatus: QueueStatus{QueueInfo: QueueInfo{
					Name: q.Name}, Processes: []string{}}})
			}
			list[i].merge(of.Member.Name, q)
		}
	}
	for i := range list {
		for _, of := range found {
			list[i].pausedEmpty(of.Member.Name, of.Value.paused)
		}
		list[i].servedBy(processes)
	}
	slices.SortFunc(list, func(a, b FleetQueue) int { return strings.Compare(a.Name, b.Name) })
	return list, alsoAway(away, more), err
}

// shardQueues are the queues of a shard.
type shardQueues struct {
	list   []QueueStatus
	paused []string // also queues that never had a job there; nil if the shard is the only one
}

func shardQueuesOf(ctx context.Context, m *Member) (s shardQueues, err error) {
	if s.list, err = m.QueueStatus(ctx); err != nil || m.alone {
		return s, err
	}
	s.paused, err = m.rdb.SMembers(ctx, m.ks.Paused()).Result()
	return s, err
}

// pausedEmpty notes that the queue is paused in a shard in which it never had a job.
func (q *FleetQueue) pausedEmpty(shard string, paused []string) {
	if !slices.ContainsFunc(q.Shards, func(s QueueShard) bool { return s.Shard == shard }) {
		q.merge(shard, QueueStatus{QueueInfo: QueueInfo{Paused: slices.Contains(paused, q.Name)}})
	}
}

// merge adds the queue of a shard.
func (q *FleetQueue) merge(shard string, o QueueStatus) {
	q.add(o.QueueInfo)
	q.Busy += o.Busy
	q.InFlight += o.InFlight
	q.Shards = append(q.Shards, QueueShard{shard, o.Size, o.Latency, o.Paused, o.Parked})
	if o.In == nil || o.Out == nil {
		return
	}
	r := Rate{*o.In, *o.Out}
	if q.In != nil {
		r.In, r.Out = r.In+*q.In, r.Out+*q.Out
	}
	q.flows(r)
}

// servedBy notes the processes that serve the queue, and when it is empty at its rates.
func (q *FleetQueue) servedBy(processes []FleetProcess) {
	for _, p := range processes {
		switch {
		case !slices.Contains(p.Queues, q.Name):
		case p.Quiet:
			q.Quiet++
		default:
			q.Processes = append(q.Processes, p.Identity)
			q.Threads += p.threadsFor(q.Name)
		}
	}
	if q.In != nil {
		q.flows(Rate{*q.In, *q.Out})
	}
}

// Pause pauses a queue in all shards. A shard that is away is not paused: the caller says so.
func (f *Fleet) Pause(ctx context.Context, name string) ([]Away, error) {
	return f.steer(ctx, func(ctx context.Context, s *queue.Store) error {
		return s.Pause(ctx,
			name)
	})
}

// Unpause ends the pause of a queue in all shards.
func (f *Fleet) Unpause(ctx context.Context, name string) ([]Away, error) {
	return f.steer(ctx, func(ctx context.Context, s *queue.Store) error {
		return s.Unpause(ctx, name)
	})
}

func (f *Fleet) steer(ctx context.Context,
	do func(context.Context, *queue.Store) error) ([]Away, error) {
	_, away, err := Each(ctx, f, func(ctx context.Context, m *Member) (struct{}, error) {
		return struct{}{}, do(ctx, m.Store)
	})
	return away, err
}

// Queue returns one queue over all shards. A queue to which no job was pushed is empty.
func (f *Fleet) Queue(ctx context.Context, name string) (q FleetQueue, away []Away, err error) {
	found, away, err := Each(ctx, f, func(ctx context.Context, m *Member) (QueueInfo, error) {
		return m.Queue(ctx, name)
	})
	q.QueueInfo = QueueInfo{Name: name}
	for _, of := range found {
		q.merge(of.Member.Name, QueueStatus{QueueInfo: of.Value})
	}
	return q, away, err
}

// FleetPayload is a payload of a queue, and its shard.
type FleetPayload struct {
	Raw   string
	Shard string
}

// QueuePage returns up to count payloads of a queue, after the first offset, and how many there
// are. Those of the first shard come first: no order holds between jobs of different shards, which
// workers take in turn.
func (f *Fleet) QueuePage(ctx context.Context, name string, offset,
	count int64) (page []FleetPayload, total int64, away []Away, err error) {
	infos, away, err := Each(ctx, f, func(ctx context.Context, m *Member) (QueueInfo, error) {
		return m.Queue(ctx, name)
	})
	for _, of := range infos {
		from := max(offset-total, 0)
		listed := of.Value.Listed()
		if left := count - int64(len(page)); from < listed && left > 0 {
			raws, err := of.Member.QueuePage(ctx, name, from, left)
			if err != nil {
				return page, total, away, err
			}
			for _, raw := range raws {
				page = append(page, FleetPayload{raw, of.Member.Name})
			}
		}
		total += listed
	}
	return page, total, away, err
}
