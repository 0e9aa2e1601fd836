package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
)

// live is the load of a fleet, by queue.
type live struct {
	loads   loads
	missing []string // classes that ran, and whose queue is not known
}

// measure reads the load of the fleet in the time before now. Sidekiq's metrics are kept by class,
// so each class needs a job that shows its queue: one that runs, waits, or is in a set.
func (p *plan) measure(ctx context.Context, f *inspect.Fleet) (live, []inspect.Away, error) {
	totals, away, err := f.Metrics(ctx, p.since, time.Now())
	if err != nil {
		return live{}, away, err
	}
	all, _, err := inspect.Each(ctx, f, func(ctx context.Context,
		m *inspect.Member) (map[string]string, error) {
		return queuesOf(ctx, m.Inspector)
	})
	queues := map[string]string{}
	for _, of := range all {
		maps.Copy(queues, of.Value)
	}
	return loadsOf(totals, queues, p.since), away, err
}

// loadsOf adds up the runs of classes by queue.
func loadsOf(totals []inspect.ClassTotals, queues map[string]string, since time.Duration) (l live) {
	type sum struct {
		runs, good int64
		busy       time.Duration
	}
	sums := map[string]*sum{}
	for _, t := range totals {
		name, known := queues[t.Class]
		if !known {
			l.missing = append(l.missing, t.Class)
			continue
		}
		if sums[name] == nil {
			sums[name] = &sum{}
		}
		s := sums[name]
		s.runs += t.Processed
		s.good += t.Processed - t.Failed
		s.busy += time.Duration(t.Millis) * time.Millisecond
	}
	for name, s := range sums {
		mean := unknownLoad(name).Mean
		if s.good > 0 {
			mean = max(s.busy/time.Duration(s.good), time.Millisecond)
		}
		l.loads = append(l.loads, load{name, float64(s.runs) / since.Seconds(), mean})
	}
	slices.SortFunc(l.loads, func(a, b load) int { return strings.Compare(a.Queue, b.Queue) })
	slices.Sort(l.missing)
	return l
}

// seenJobs is how many jobs of each queue and set are looked at for the queues of their classes.
const seenJobs = 200

// queuesOf returns the queue of each class of which a job is seen, by the name that the metrics
// use.
func queuesOf(ctx context.Context, in *inspect.Inspector) (map[string]string, error) {
	seen := map[string]string{}
	note := func(j *envelope.Job, name string) {
		if j != nil && name != "" {
			class, _ := j.Unwrapped()
			seen[class] = name
		}
	}
	for _, set := range []*inspect.JobSet{in.DeadSet(), in.ScheduleSet(), in.RetrySet()} {
		page, err := set.Page(ctx, 0, seenJobs)
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			if e.Job != nil {
				note(e.Job, e.Job.Queue)
			}
		}
	}
	queues, err := in.Queues(ctx)
	if err != nil {
		return nil, err
	}
	for _, q := range queues {
		page, err := in.QueuePage(ctx, q.Name, 0, seenJobs)
		if err != nil {
			return nil, err
		}
		for _, raw := range page {
			j, _ := envelope.ParseJob(raw)
			note(j, q.Name)
		}
	}
	running, err := in.WorkInProgress(ctx)
	for _, w := range running {
		note(w.Job, w.Queue)
	}
	return seen, err
}

// readLive replaces the loads by those of the fleet. What is typed holds before it.
func (p *plan) readLive(ctx context.Context, c *call) error {
	if err := c.open(ctx); err != nil {
		return err
	}
	defer c.close()
	l, away, err := p.measure(ctx, c.fleet)
	if err = c.complete(away, err); err != nil {
		return err
	}
	if len(l.missing) > 0 {
		p.note = fmt.Sprintf("not counted, because no job shows their queue: %s. Add their load "+
			"with --rate and --mean.", strings.Join(l.missing, ", "))
	}
	if len(l.loads) == 0 {
		return fmt.Errorf("--live: no job ran in the last %v whose queue is known: type the load "+
			"with --rate and --mean", p.since)
	}
	p.loads, err = readLoads(l.loads, p.rate, p.mean)
	return err
}
