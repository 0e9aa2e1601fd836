package inspect

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// LongRun is how long a job runs until it counts as stuck, unless a person gives another time.
const LongRun = time.Hour

// How long something may last until it counts as stuck.
const (
	// silentFor is for the beat and the loops of a process. It beats every 5 s.
	silentFor = 15 * time.Second
	// idleFor is for jobs that wait beside idle threads, and in landing lists.
	idleFor = time.Minute
	// overdueFor is for jobs that are due. The fleet looks for them every 5 s on average.
	overdueFor = time.Minute
	// reclaimFor is for jobs of a dead worker. Others take them back within 15 s.
	reclaimFor = 30 * time.Second
	// drainFor is for jobs of a quiet process. A stop gives them 25 s by default.
	drainFor = time.Minute
)

// stuckFacts are what Stuck decides from.
type stuckFacts struct {
	sight
	longRun time.Duration
	flows   map[string]Rate
	overdue []overdue
	landed  []landing
	held    []Held
}

// overdue are the jobs of a set that are due for more than overdueFor.
type overdue struct {
	set   string // as workerctl calls it
	jobs  int64
	first time.Time // when the first was due
}

// landing is a list of landed jobs of a living worker.
type landing struct {
	queue, process string
	jobs           int64
	oldest         time.Time // when the oldest was pushed to its queue
}

// Stuck returns what is stuck: processes that hang, jobs that run for more than longRun, and jobs
// that nobody takes, wherever they are. It costs a few round trips, however many jobs there are.
// The zero longRun means LongRun.
func (in *Inspector) Stuck(ctx context.Context, longRun time.Duration) ([]Finding, error) {
	f := stuckFacts{longRun: longRun}
	if longRun == 0 {
		f.longRun = LongRun
	}
	var err error
	if f.sight, err = in.look(ctx); err != nil {
		return nil, err
	}
	var names []string
	for _, q := range f.queues {
		names = append(names, q.Name)
	}
	if f.flows, err = in.Rates(ctx, names); err != nil {
		return nil, err
	}
	if f.overdue, err = in.overdue(ctx, f.now); err != nil {
		return nil, err
	}
	if f.landed, err = in.landings(ctx, f.owners, f.now); err != nil {
		return nil, err
	}
	if f.held, err = in.HeldClasses(ctx); err != nil {
		return nil, err
	}
	return f.findings(), nil
}

// overdue looks for jobs that no process moves to their queues.
func (in *Inspector) overdue(ctx context.Context, now time.Time) (list []overdue, err error) {
	until := strconv.FormatInt(now.Add(-overdueFor).Unix(), 10)
	for _, set := range []struct {
		kind PlaceKind
		key  string
	}{{InRetry, in.ks.Retry()}, {InSchedule, in.ks.Schedule()}} {
		pipe := in.rdb.Pipeline()
		jobs := pipe.ZCount(ctx, set.key, "-inf", until)
		first := pipe.ZRangeArgsWithScores(ctx, redis.ZRangeArgs{Key: set.key, Start: "-inf",
			Stop: until, ByScore: true, Count: 1})
		if _, err := pipe.Exec(ctx); err != nil {
			return nil, fmt.Errorf("%s: %w", set.kind, err)
		}
		if members := entries(first.Val()); len(members) > 0 {
			list = append(list, overdue{string(set.kind), jobs.Val(), members[0].At})
		}
	}
	return list, nil
}

// landings looks into the landing lists of living workers. The next fetch empties each of them.
func (in *Inspector) landings(ctx context.Context, owners []owner,
	now time.Time) (list []landing, err error) {
	var keys []string
	for _, o := range owners {
		if _, over := o.gone(); over {
			continue
		}
		for _, q := range o.queues {
			if o.landed[q] > 0 {
				list = append(list, landing{queue: q, process: o.Identity})
				keys = append(keys, in.ks.Landing(q, o.Identity))
			}
		}
	}
	lines, err := in.store.Lines(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("landed: %w", err)
	}
	for i, l := range lines {
		list[i].jobs, list[i].oldest = l.Size, before(now, l.Age.Seconds())
	}
	return list, nil
}
