package inspect

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
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
	var list []Work
	for _, p := range processes {
		rows, err := in.rdb.HGetAll(ctx, in.ks.Key(p.Identity+":work")).Result()
		if err == nil && len(rows) == 0 {
			rows, err = in.rdb.HGetAll(ctx, in.ks.Key(p.Identity+":workers")).Result()
		}
		if err != nil {
			return nil, fmt.Errorf("work: %w", err)
		}
		for tid, text := range rows {
			if w, ok := readWork(text); ok {
				w.Process, w.TID = p.Identity, tid
				list = append(list, w)
			}
		}
	}
	slices.SortFunc(list, func(a, b Work) int {
		if c := a.RunAt.Compare(b.RunAt); c != 0 {
			return c
		}
		return strings.Compare(a.TID, b.TID)
	})
	return list, nil
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
