package inspect

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

// Work is a job that a process runs.
type Work struct {
	Process string     `json:"process"`
	TID     string     `json:"tid"` // names the thread
	Queue   string     `json:"queue"`
	RunAt   time.Time  `json:"run_at"` // when the run began
	Payload string     `json:"-"`
	Job     *queue.Job `json:"-"` // nil if the payload is no job
}

// WorkInProgress returns the jobs that live processes run, the longest running first.
func (in *Inspector) WorkInProgress(ctx context.Context) ([]Work, error) {
	processes, err := in.Processes(ctx)
	if err != nil {
		return nil, err
	}
	return in.workOf(ctx, processes)
}

func (in *Inspector) workOf(ctx context.Context, processes []Process) ([]Work, error) {
	ids := make([]string, len(processes))
	for i, p := range processes {
		ids[i] = p.Identity
	}
	return in.WorkOf(ctx, ids...)
}

// workPage is of how many processes one round trip reads the work. Each may have 1 MB of payloads.
const workPage = 50

// WorkOf returns the jobs that processes run, the longest running first. It costs a command for
// each process, and one more for each that runs none.
func (in *Inspector) WorkOf(ctx context.Context, ids ...string) ([]Work, error) {
	list, idle, err := in.work(ctx, ":work", ids)
	if err != nil {
		return nil, err
	}
	older, _, err := in.work(ctx, ":workers", idle) // the name that Sidekiq 6 gives the key
	if err != nil {
		return nil, err
	}
	list = append(list, older...)
	slices.SortFunc(list, func(a, b Work) int {
		return cmp.Or(a.RunAt.Compare(b.RunAt), cmp.Compare(a.TID, b.TID))
	})
	return list, nil
}

// work reads the hash of each process whose key ends with suffix. idle are the processes whose hash
// is empty.
func (in *Inspector) work(ctx context.Context, suffix string, ids []string) (list []Work,
	idle []string, err error) {
	for page := range slices.Chunk(ids, workPage) {
		pipe := in.rdb.Pipeline()
		rows := make([]*redis.MapStringStringCmd, len(page))
		for i, id := range page {
			rows[i] = pipe.HGetAll(ctx, in.ks.Key(id+suffix))
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, nil, fmt.Errorf("work: %w", err)
		}
		for i, id := range page {
			for tid, text := range rows[i].Val() {
				if w, ok := readWork(text); ok {
					w.Process, w.TID = id, tid
					list = append(list, w)
				}
			}
			if len(rows[i].Val()) == 0 {
				idle = append(idle, id)
			}
		}
	}
	return list, idle, nil
}

// readWork decodes a field of a process's work hash.
func readWork(text string) (w Work, ok bool) {
	var row struct {
		Queue   string
		Payload json.RawMessage // a string; some versions of Sidekiq write the object itself
		RunAt   json.RawMessage `json:"run_at"`
	}
	if json.Unmarshal([]byte(text), &row) != nil {
		return w, false
	}
	w.Queue, w.Payload = row.Queue, string(row.Payload)
	if s, ok := envelope.Unquote(w.Payload); ok {
		w.Payload = s
	}
	w.RunAt, _ = envelope.ParseTime(string(row.RunAt))
	w.Job, _ = envelope.ParseJob(w.Payload)
	return w, true
}
