package top

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// commandsPerSecond is how many commands the looks send in a second, on average. With what keys
// cost, Redis gets at most 20.
const commandsPerSecond = 18

// leastTurn is how many processes a look reads at least.
const leastTurn = 4

// searchRest is how long a search is not repeated, in times of what it took: each of its commands
// reads many jobs.
const searchRest = 20

// sampler reads what a view needs, and no more commands than it may: each command costs a coin, and
// it earns commandsPerSecond coins a second. What a person has just opened is read at once, and the
// debt is earned before anything is read again. One goroutine at a time uses it.
type sampler struct {
	source    Source
	known     known
	coins     float64
	earned    time.Time          // until when
	seen      map[part]any       // which need of a part was read last
	due       time.Time          // of a search: it has coins of its own, because it costs thousands
	processes map[string]process // by identity
	procTurn  turn
	workTurn  turn
	work      map[string][]inspect.Work // by identity
}

type process = inspect.Process

// newSampler returns a sampler with the coins of a second.
func newSampler(source Source, now time.Time) *sampler {
	return &sampler{source: source, coins: commandsPerSecond, earned: now, seen: map[part]any{},
		known:     known{read: map[part]time.Time{}, runs: -1, failed: -1},
		processes: map[string]process{}, work: map[string][]inspect.Work{}}
}

// look reads parts of what is needed, those first that were not read for the longest time, as long
// as there are coins. some reports whether Redis has answered anything.
func (s *sampler) look(ctx context.Context, n need, now time.Time) (k known, some bool,
	err error) {
	s.coins = min(s.coins+commandsPerSecond*now.Sub(s.earned).Seconds(), commandsPerSecond)
	s.earned = now
	s.known.read = maps.Clone(s.known.read)
	parts := slices.Clone(n.parts)
	slices.SortStableFunc(parts, func(a, b part) int {
		return s.known.read[a].Compare(s.known.read[b])
	})
	for _, p := range parts {
		last, known := s.seen[p]
		fresh := !known || n.anew || last != n.of(p)
		search := p == partPage && n.window.Filter != ""
		if !fresh && (search && now.Before(s.due) || !search && s.coins <= 0) {
			continue
		}
		var spent meter
		began := time.Now()
		if err := s.read(metered(ctx, &spent), p, n, now); err != nil {
			return s.known, some, err
		}
		cost := float64(spent.commands.Load())
		if search {
			wait := time.Duration(cost / commandsPerSecond * float64(time.Second))
			s.due = now.Add(max(wait, searchRest*time.Since(began)))
		} else {
			s.coins -= cost
		}
		s.known.read[p], s.seen[p] = now, n.of(p)
		some = true
	}
	return s.known, some, nil
}

// read reads a part.
func (s *sampler) read(ctx context.Context, p part, n need, now time.Time) (err error) {
	k := &s.known
	switch p {
	case partTotals:
		return s.readTotals(ctx, now)
	case partQueues:
		k.queues, err = s.source.Queues(ctx)
	case partProcesses:
		return s.readProcesses(ctx, now)
	case partWork:
		return s.readWork(ctx, now)
	case partHeld:
		k.held, err = s.source.Held(ctx)
	case partPage:
		k.page, err = s.source.Page(ctx, n.window)
	case partJob:
		return s.readJob(ctx, n.job)
	}
	return err
}

// readTotals reads the figures, and computes rates from those before.
func (s *sampler) readTotals(ctx context.Context, now time.Time) error {
	totals, err := s.source.Totals(ctx)
	if err != nil {
		return err
	}
	k := &s.known
	if last, ok := k.read[partTotals]; ok && totals.Processed >= k.totals.Processed {
		if d := now.Sub(last).Seconds(); d > 0 {
			k.runs = float64(totals.Processed-k.totals.Processed) / d
			k.failed = float64(totals.Failed-k.totals.Failed) / d
		}
	}
	k.totals = totals
	return nil
}

// inTurn is how many things a look may read for cost commands each.
func (s *sampler) inTurn(cost int) int { return max((int(s.coins)-1)/cost, leastTurn) }

func (s *sampler) readProcesses(ctx context.Context, now time.Time) error {
	ids, err := s.source.Identities(ctx)
	if err != nil {
		return err
	}
	some := s.procTurn.next(ids, s.inTurn(1), now)
	list, err := s.source.Processes(ctx, some...)
	if err != nil {
		return err
	}
	for _, id := range some {
		delete(s.processes, id) // if it has died
	}
	for _, p := range list {
		s.processes[p.Identity] = p
	}
	k := &s.known
	k.processes = nil
	for _, id := range ids {
		if p, alive := s.processes[id]; alive {
			k.processes = append(k.processes, p)
		}
	}
	k.oldest, k.complete = s.procTurn.oldest(ids)
	return nil
}

func (s *sampler) readWork(ctx context.Context, now time.Time) error {
	ids, err := s.source.Identities(ctx)
	if err != nil {
		return err
	}
	some := s.workTurn.next(ids, s.inTurn(2), now)
	list, err := s.source.Work(ctx, some...)
	if err != nil {
		return err
	}
	for _, id := range some {
		delete(s.work, id)
	}
	for _, w := range list {
		s.work[w.Process] = append(s.work[w.Process], w)
	}
	k := &s.known
	k.work = nil
	for _, id := range ids {
		k.work = append(k.work, s.work[id]...)
	}
	slices.SortStableFunc(k.work, func(a, b inspect.Work) int {
		if c := a.RunAt.Compare(b.RunAt); c != 0 {
			return c
		}
		return strings.Compare(a.Process+a.TID, b.Process+b.TID)
	})
	k.workAt, k.workDone = s.workTurn.oldest(ids)
	return nil
}

// readJob explains a job. That it is nowhere is an answer.
func (s *sampler) readJob(ctx context.Context, ref Ref) error {
	k := &s.known
	if ref.Raw == "" && k.job.JID == ref.JID && k.job.Raw != "" {
		ref = k.job.Ref // it is found only once: that reads all jobs
	}
	job, err := s.source.Job(ctx, ref)
	k.jobErr = nil
	if errors.Is(err, queue.ErrNotFound) {
		k.job, k.jobErr = Job{Ref: ref}, err
		return nil
	}
	if err == nil {
		k.job = job
	}
	return err
}
