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

// RunsWait is long enough for a process of Kyu to tell its last runs: it reads a question with its
// next beat, within about a second, and answers at once.
const RunsWait = 3 * time.Second

const (
	// runsFresh is how old an answer may be that is not asked for again.
	runsFresh = 2 * time.Second
	// runsLook is the time between two looks for answers.
	runsLook = 100 * time.Millisecond
)

// Telling says whether a process has told its last runs.
type Telling string

// The ways to answer.
const (
	Told   Telling = "told"
	Silent Telling = "silent" // a worker of Kyu that did not answer in time
	Ruby   Telling = "ruby"   // Ruby's Sidekiq does not keep its runs
)

// ProcessRuns are the last runs of a process, at most 1,000, and those that go on.
type ProcessRuns struct {
	Process string      `json:"process"`
	State   Telling     `json:"state"`
	At      time.Time   `json:"at,omitzero"` // of the answer, by the clock of the process
	Age     float64     `json:"age_seconds"` // of the answer, by Redis's clock
	Threads []string    `json:"threads"`     // their names, as the process lists them
	Runs    []ThreadRun `json:"runs"`        // the one that began last is first
}

// ThreadRun is a run of a job in a thread.
type ThreadRun struct {
	Process string    `json:"process"`
	TID     string    `json:"tid"` // names the thread
	Queue   string    `json:"queue"`
	Class   string    `json:"class"` // as in the metrics; of an ActiveJob its own
	JID     string    `json:"jid"`   // "" if it is longer than 36 bytes
	Started time.Time `json:"started_at"`
	Seconds float64   `json:"seconds"` // of a run that goes on: until the answer
	Outcome string    `json:"outcome"` // a worker.Outcome, or queue.OutcomeRunning
}

// Failed reports whether the run ended with an error: the job is retried, dead or dropped.
func (r *ThreadRun) Failed() bool {
	return slices.Contains([]string{"retry", "dead", "dropped"}, r.Outcome)
}

// Running reports whether the run went on at the time of the answer.
func (r *ThreadRun) Running() bool { return r.Outcome == queue.OutcomeRunning }

// Runs asks processes for their last runs, and waits for their answers at most as long as wait. An
// answer of the last two seconds is taken as it is, and an older one, of at most a minute, if no
// newer one comes. The list is in the order of the ids.
func (in *Inspector) Runs(ctx context.Context, wait time.Duration,
	ids ...string) ([]ProcessRuns, error) {
	ages, err := in.runsAges(ctx, ids)
	if err != nil {
		return nil, err
	}
	states := map[string]Telling{}
	asked, began := []string{}, time.Now()
	for _, id := range ids {
		if states[id] = Told; ages[id] >= 0 && ages[id] < runsFresh {
			continue
		}
		ours, err := in.store.AskRuns(ctx, id)
		switch {
		case err != nil:
			return nil, err
		case ours:
			asked = append(asked, id)
		default:
			states[id] = Ruby
		}
	}
	if err := in.awaitRuns(ctx, asked, began, wait); err != nil {
		return nil, err
	}
	list := make([]ProcessRuns, len(ids))
	for i, id := range ids {
		if list[i], err = in.readRuns(ctx, id, states[id]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// awaitRuns waits until processes have answered after the time began.
func (in *Inspector) awaitRuns(ctx context.Context, ids []string, began time.Time,
	wait time.Duration) error {
	looks := time.NewTicker(runsLook)
	defer looks.Stop()
	for len(ids) > 0 && time.Since(began) < wait {
		select {
		case <-looks.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		ages, err := in.runsAges(ctx, ids)
		if err != nil {
			return err
		}
		ids = slices.DeleteFunc(ids, func(id string) bool {
			return ages[id] >= 0 && ages[id] < time.Since(began)
		})
	}
	return nil
}

// runsAges returns how old the answers of processes are, by Redis's clock; -1 without one.
func (in *Inspector) runsAges(ctx context.Context, ids []string) (map[string]time.Duration, error) {
	ages := map[string]time.Duration{}
	if len(ids) == 0 {
		return ages, nil
	}
	pipe := in.rdb.Pipeline()
	left := make([]*redis.DurationCmd, len(ids))
	for i, id := range ids {
		left[i] = pipe.PTTL(ctx, in.ks.Runs(id))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("runs: %w", err)
	}
	for i, id := range ids {
		if ages[id] = -1; left[i].Val() > 0 {
			ages[id] = max(queue.RunsFor-left[i].Val(), 0)
		}
	}
	return ages, nil
}

// readRuns reads the answer of a process. Without one, a worker of Kyu is silent.
func (in *Inspector) readRuns(ctx context.Context, id string, state Telling) (p ProcessRuns,
	err error) {
	p = ProcessRuns{Process: id, State: state, Threads: []string{}, Runs: []ThreadRun{}}
	if state == Ruby {
		return p, nil
	}
	pipe := in.rdb.Pipeline()
	text, left := pipe.Get(ctx, in.ks.Runs(id)), pipe.PTTL(ctx, in.ks.Runs(id))
	if _, err := pipe.Exec(ctx); err != nil && err != redis.Nil {
		return p, fmt.Errorf("runs of %s: %w", id, err)
	}
	var all queue.RunsJSON
	if json.Unmarshal([]byte(text.Val()), &all) != nil {
		p.State = Silent
		return p, nil
	}
	p.At, p.Age = envelope.FromUnix(all.At), max(queue.RunsFor-left.Val(), 0).Seconds()
	p.Threads = append(p.Threads, all.Threads...)
	for _, r := range all.Runs {
		p.Runs = append(p.Runs, ThreadRun{Process: id, TID: r.TID, Queue: r.Queue, Class: r.Class,
			JID: r.JID, Started: envelope.FromUnix(r.Started), Seconds: r.Seconds,
			Outcome: r.Outcome})
	}
	slices.SortStableFunc(p.Runs, func(a, b ThreadRun) int {
		return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.TID, b.TID))
	})
	return p, nil
}
