package inspect

import (
	"context"
	"slices"
)

// QueueStatus describes a queue, the processes that serve it, Ruby's too, and how fast it empties.
type QueueStatus struct {
	QueueInfo
	Processes []string `json:"processes"`       // identities of those that take jobs of it
	Quiet     int      `json:"quiet_processes"` // that serve it, but take no more jobs
	Threads   int      `json:"threads"`         // of Processes, that may run jobs of it
	Busy      int      `json:"busy"`            // of these threads, that run jobs of it
	InFlight  int64    `json:"in_flight"`       // jobs that workers of Kyu have taken from it
	In        *float64 `json:"in_per_second"`   // jobs over the last minute; nil without history
	Out       *float64 `json:"out_per_second"`
	Empty     *float64 `json:"empty_in_seconds"` // at these rates; nil: never, or not known
}

// State is what keeps jobs in the queue: "paused", "unserved" if no process serves it, "quiet" if
// all processes that serve it are quiet, or "".
func (q *QueueStatus) State() string {
	switch {
	case q.Paused:
		return "paused"
	case len(q.Processes) > 0:
		return ""
	case q.Quiet > 0:
		return "quiet"
	}
	return "unserved"
}

// QueueStatus returns all queues to which jobs were ever pushed, by name.
func (in *Inspector) QueueStatus(ctx context.Context) ([]QueueStatus, error) {
	f, err := in.look(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(f.queues))
	for i, q := range f.queues {
		names[i] = q.Name
	}
	rates, err := in.Rates(ctx, names)
	if err != nil {
		return nil, err
	}
	list := make([]QueueStatus, len(names))
	for i, q := range f.queues {
		list[i] = f.status(q)
		if rate, known := rates[q.Name]; known {
			list[i].flows(rate)
		}
	}
	return list, nil
}

// status describes one queue.
func (f *sight) status(info QueueInfo) QueueStatus {
	q := QueueStatus{QueueInfo: info, Processes: []string{}}
	for _, p := range f.processes {
		switch {
		case !slices.Contains(p.Queues, info.Name):
		case p.Quiet:
			q.Quiet++
		default:
			q.Processes = append(q.Processes, p.Identity)
			q.Threads += p.threadsFor(info.Name)
		}
	}
	for _, w := range f.work {
		if w.Queue == info.Name && slices.Contains(q.Processes, w.Process) {
			q.Busy++
		}
	}
	for _, o := range f.owners {
		q.InFlight += o.inflight[info.Name]
	}
	return q
}
