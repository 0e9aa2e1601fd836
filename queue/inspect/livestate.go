package inspect

import "context"

// LiveState is what changes all the time in a fleet. It has no times and no ages, so the states of
// a fleet that rests are equal.
type LiveState struct {
	Processed int64 `json:"processed"` // runs since the beginning, with those that failed
	Failed    int64 `json:"failed"`
	Enqueued  int64 `json:"enqueued"` // jobs in all queues
	Scheduled int64 `json:"scheduled"`
	Retries   int64 `json:"retries"`
	Dead      int64 `json:"dead"`
	Processes int64 `json:"processes"` // live ones
	Busy      int   `json:"busy"`      // running jobs
	Threads   int   `json:"threads"`   // of all processes

	// The first LiveRows of both, by name.
	Queues []LiveQueue   `json:"queues"`
	Fleet  []LiveProcess `json:"fleet"`

	Away []string `json:"away,omitempty"` // shards whose numbers are missing
}

// LiveRows is how many queues and processes a LiveState has at most, so that a state of a large
// fleet is not more than some kilobytes. The sums have all of them.
const LiveRows = 100

// LiveQueue is a queue in a LiveState.
type LiveQueue struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"` // jobs that wait, with those in lanes
	Paused bool   `json:"paused"`
	Parked int64  `json:"parked"` // of Size, those in lanes
}

// LiveProcess is a process in a LiveState, as it was at its last beat.
type LiveProcess struct {
	Identity string `json:"identity"`
	Busy     int    `json:"busy"`    // running jobs
	Threads  int    `json:"threads"` // that run jobs
	Quiet    bool   `json:"quiet"`   // it takes no more jobs
}

// LiveState reads the state. It costs a command for each queue and for each process, four for each
// queue with lanes, and eight more.
func (in *Inspector) LiveState(ctx context.Context) (st LiveState, err error) {
	totals, err := in.Totals(ctx)
	if err != nil {
		return st, err
	}
	queues, err := in.Queues(ctx)
	if err != nil {
		return st, err
	}
	processes, err := in.Processes(ctx)
	if err != nil {
		return st, err
	}
	st = LiveState{Processed: totals.Processed, Failed: totals.Failed,
		Scheduled: totals.Scheduled, Retries: totals.Retries, Dead: totals.Dead,
		Processes: int64(len(processes)), Queues: []LiveQueue{}, Fleet: []LiveProcess{}}
	for i, q := range queues {
		st.Enqueued += q.Size
		if i < LiveRows {
			st.Queues = append(st.Queues, LiveQueue{q.Name, q.Size, q.Paused, q.Parked})
		}
	}
	for i, p := range processes {
		st.Busy += p.Busy
		st.Threads += p.Concurrency
		if i < LiveRows {
			st.Fleet = append(st.Fleet, LiveProcess{p.Identity, p.Busy, p.Concurrency, p.Quiet})
		}
	}
	return st, nil
}
