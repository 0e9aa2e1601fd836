package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kyujobs/kyu/queue/envelope"
)

// SignalRuns is the signal that asks a worker of Kyu to publish its last runs.
const SignalRuns = "RUNS"

const (
	// RunsFor is how long the runs that a process has published are kept.
	RunsFor = time.Minute
	// signalFor is how long a signal waits for its process, as Sidekiq's do.
	signalFor = time.Minute
)

// OutcomeRunning is the RunRecord.Outcome of a run that goes on.
const OutcomeRunning = "running"

// RunRecord is a run of a job in a process: one of its last, or one that goes on.
type RunRecord struct {
	TID     string // names the thread
	Queue   string
	Class   string // as in the metrics; of an ActiveJob its own
	JID     string // "" if it is longer than 36 bytes
	Started time.Time
	Took    time.Duration // of a run that goes on: until now
	Outcome string        // a worker.Outcome, or OutcomeRunning
}

// RunJSON is a RunRecord as a process publishes it.
type RunJSON struct {
	TID     string  `json:"tid"`
	Queue   string  `json:"queue"`
	Class   string  `json:"class"`
	JID     string  `json:"jid,omitempty"`
	Started float64 `json:"at"` // in Unix seconds
	Seconds float64 `json:"s"`
	Outcome string  `json:"outcome"`
}

// RunsJSON is what a process publishes.
type RunsJSON struct {
	At      float64   `json:"at"` // by the clock of the process, in Unix seconds
	Threads []string  `json:"threads"`
	Runs    []RunJSON `json:"runs"`
}

// AskRuns asks a process for its last runs. It answers with its next beat or the one after: within
// about two seconds. asked is false if it is no worker of Kyu: Ruby's Sidekiq does not know them.
func (s *Store) AskRuns(ctx context.Context, identity string) (asked bool, err error) {
	keys := []string{s.ks.Owner(identity), s.ks.Signals(identity)}
	n, err := s.db.Run(ctx, askScript, keys, SignalRuns, int(signalFor.Seconds())).Int()
	if err != nil {
		return false, fmt.Errorf("ask for runs: %w", err)
	}
	return n == 1, nil
}

// PublishRuns writes the last runs of the process, where they stay for RunsFor. threads are the
// names of its threads. It is for package worker.
func (o *Owner) PublishRuns(ctx context.Context, threads []string, runs []RunRecord,
	now time.Time) error {
	all := RunsJSON{At: envelope.Unix(now), Threads: append([]string{}, threads...),
		Runs: make([]RunJSON, len(runs))}
	for i, r := range runs {
		all.Runs[i] = RunJSON{r.TID, r.Queue, r.Class, r.JID, envelope.Unix(r.Started),
			r.Took.Seconds(), r.Outcome}
	}
	text, err := json.Marshal(all) // invalid UTF-8 becomes U+FFFD
	if err == nil {
		err = o.store.db.Own.Set(ctx, o.store.ks.Runs(o.Identity), text, RunsFor).Err()
	}
	if err != nil {
		return fmt.Errorf("publish runs: %w", err)
	}
	return nil
}
