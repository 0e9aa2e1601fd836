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

// workOf returns the jobs that these processes run, the longest running first.
func (in *Inspector) workOf(ctx context.Context, processes []Process) (list []Work, err error) {
	none, err := in.readWorkOf(ctx, processes, ":work", &list)
	if err == nil {
		_, err = in.readWorkOf(ctx, none, ":workers", &list) // Sidekiq up to 6.4.1
	}
	if err != nil {
		return nil, fmt.Errorf("work: %w", err)
	}
	slices.SortFunc(list, func(a, b Work) int {
		return cmp.Or(a.RunAt.Compare(b.RunAt), cmp.Compare(a.TID, b.TID))
	})
	return list, nil
}

// workPage is of how many processes one round trip reads the work. Each may have 1 MB of payloads.
const workPage = 50

// readWorkOf appends the work of processes that is under their keys with a suffix. It returns the
// processes that have none there.
func (in *Inspector) readWorkOf(ctx context.Context, processes []Process, suffix string,
	list *[]Work) (none []Process, err error) {
	for page := range slices.Chunk(processes, workPage) {
		pipe := in.rdb.Pipeline()
		rows := make([]*redis.MapStringStringCmd, len(page))
		for i, p := range page {
			rows[i] = pipe.HGetAll(ctx, in.ks.Key(p.Identity+suffix))
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, err
		}
		for i, p := range page {
			if len(rows[i].Val()) == 0 {
				none = append(none, p)
			}
			for tid, text := range rows[i].Val() {
				if w, ok := readWork(text); ok {
					w.Process, w.TID = p.Identity, tid
					*list = append(*list, w)
				}
			}
		}
	}
	return none, nil
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
