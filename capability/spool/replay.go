package spool

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// The most that Run pushes in one call, as in a slice of a bulk push.
const (
	groupWeight    = 1000
	groupBytes     = 4 << 20
	weighScheduled = 10 // a scheduled job counts as so many jobs
	weighClaims    = 16 // a job with claims
)

const (
	lastJobs    = groupWeight      // of so few that wait, pushes wait for the end
	forgetEvery = time.Second      // how often markers of confirmed pushes are removed
	forgetPage  = 1000             // of so many, in one call
	asideFor    = 10 * time.Minute // how long refused jobs stay aside until they are tried again
	shardFor    = time.Minute      // the same if there are several shards, and one may be back
	patience    = 20               // attempts, about 30 s, for which all wait for one shard
)

// Run pushes what is on the disk whenever Redis is there. It returns nil when ctx ends. The Spool
// keeps no order and does not become empty without it. Only one call may run at a time.
func (s *Spool) Run(ctx context.Context) error {
	if !s.running.TryLock() {
		return errors.New("spool: Run is running already")
	}
	defer s.running.Unlock()
	second := time.NewTicker(forgetEvery)
	defer second.Stop()
	tried := time.Now() // when the jobs aside were tried
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-second.C:
		}
		s.forget(ctx)
		s.replay(ctx)
		if time.Since(tried) >= s.asideFor() {
			tried = time.Now()
			s.readmit()
		}
	}
}

// forget removes the markers of confirmed pushes. If it fails, they end by themselves.
func (s *Spool) forget(ctx context.Context) {
	s.mu.Lock()
	jids := s.confirmed
	s.confirmed = nil
	s.mu.Unlock()
	m, ok := s.backend.(interface {
		ShortenMarkers(ctx context.Context, jids []string, life time.Duration) error
	})
	if !ok {
		return
	}
	for page := range slices.Chunk(jids, forgetPage) {
		if err := m.ShortenMarkers(ctx, page, 0); err != nil {
			s.log.Debug("markers of pushes stay for a day", "count", len(jids), "err", err)
			return
		}
	}
}

// replay pushes what waits, until nothing does or ctx ends.
func (s *Spool) replay(ctx context.Context) {
	for g := s.next(); g != nil; g = s.next() {
		for failures := 0; ; failures++ {
			err := s.try(ctx, g, failures >= patience && s.serving())
			if err == nil {
				break
			}
			s.log.Debug("Redis is still away", "err", err)
			if !pause(ctx, failures) {
				return
			}
		}
		if s.few() {
			s.finish(ctx)
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// pause waits longer after each failure, from 50 ms up to 2 s, less a random part of up to half. It
// reports whether ctx still lasts.
func pause(ctx context.Context, failures int) bool {
	d := min(50*time.Millisecond<<min(failures, 7), 2*time.Second)
	t := time.NewTimer(d/2 + rand.N(d/2))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// few reports whether only few jobs wait.
func (s *Spool) few() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.waiting > 0 && s.waiting <= lastJobs
}

// finish pushes the last jobs. Other pushes wait meanwhile, because otherwise new ones could come
// to the disk as fast as old ones leave it, for ever.
func (s *Spool) finish(ctx context.Context) {
	s.gate.Lock()
	defer s.gate.Unlock()
	for g := s.next(); g != nil; g = s.next() {
		if s.try(ctx, g, false) != nil {
			return // replay goes on, and pushes go to the disk
		}
	}
}

// group is a part of a segment that is pushed at once.
type group struct {
	segment *segment
	end     int64 // where it ends in the segment
	jobs    int
	newest  time.Time       // when the last of them was pushed
	parts   [][]queue.Batch // that are not pushed yet; each is pushed in one call
}

// next returns the next group, or nil if nothing waits that is on the disk for sure.
func (s *Spool) next() *group {
	s.mu.Lock()
	var g *group
	for _, seg := range s.segments {
		if seg.done < seg.synced.Load() {
			g = &group{segment: seg, end: seg.done}
			break
		}
	}
	s.mu.Unlock()
	if g == nil {
		return nil
	}
	if err := g.read(); err != nil {
		s.unreadable(g, err)
		return s.next()
	}
	return g
}

// read reads records until the group has as much as one call pushes.
func (g *group) read() error {
	reader := g.segment.reader(g.end, g.segment.synced.Load())
	var all []queue.Batch
	weight, bytes := 0, int64(0)
	for {
		r, size, err := reader.next()
		if err == io.EOF || (err != nil && g.jobs > 0) {
			break // the next group finds the error again
		}
		if err != nil {
			return err
		}
		weight, bytes = weight+weigh(r.batches), bytes+size
		if g.jobs > 0 && (weight > groupWeight || bytes > groupBytes) {
			break
		}
		all = merge(all, r.batches)
		g.end, g.jobs, g.newest = g.end+size, g.jobs+r.jobs(), r.at
	}
	g.parts = [][]queue.Batch{remembered(all)}
	return nil
}

// weigh returns as how many jobs a push counts.
func weigh(batches []queue.Batch) (n int) {
	for i := range batches {
		for k := range batches[i].Jobs {
			switch j := &batches[i].Jobs[k]; {
			case len(j.Claims) > 0:
				n += weighClaims
			case batches[i].Queue == "":
				n += weighScheduled
			default:
				n++
			}
		}
	}
	return n
}

// merge adds batches to a list that has one batch for each queue.
func merge(list, batches []queue.Batch) []queue.Batch {
	for _, b := range batches {
		at := slices.IndexFunc(list, func(other queue.Batch) bool { return other.Queue == b.Queue })
		if at < 0 {
			list = append(list, queue.Batch{Queue: b.Queue})
			at = len(list) - 1
		}
		list[at].Jobs = append(list[at].Jobs, b.Jobs...)
	}
	return list
}

// split returns the jobs of a part, each as a part of its own.
func split(part []queue.Batch) (parts [][]queue.Batch) {
	for _, b := range part {
		for i := range b.Jobs {
			one := b
			one.Jobs = b.Jobs[i : i+1]
			parts = append(parts, []queue.Batch{one})
		}
	}
	return parts
}

// try pushes what of a group is not pushed yet. If Redis refuses a part, it pushes the jobs of the
// part one by one, and puts those aside that Redis refuses again. After an error, the group can be
// tried again. With partly it does the same with jobs whose shard does not answer.
func (s *Spool) try(ctx context.Context, g *group, partly bool) error {
	for len(g.parts) > 0 {
		part := g.parts[0]
		err := s.backend.PushBatches(ctx, part)
		switch {
		case err == nil:
			err = s.refusals(part)
		case away(err) && !partly || ctx.Err() != nil:
		case len(part) > 1 || len(part[0].Jobs) > 1:
			g.parts = append(split(part), g.parts[1:]...)
			continue
		default:
			err = s.putAside(part, err)
		}
		if err != nil {
			return err
		}
		g.parts = g.parts[1:]
	}
	s.advance(g)
	return nil
}

// sharded is the Backend of several shards.
type sharded interface{ Serving() bool }

// serving reports whether there are several shards, and one of them answers.
func (s *Spool) serving() bool {
	b, ok := s.backend.(sharded)
	return ok && b.Serving()
}

// asideFor is how long jobs stay aside.
func (s *Spool) asideFor() time.Duration {
	if _, ok := s.backend.(sharded); ok {
		return shardFor
	}
	return asideFor
}

// advance notes that a group is pushed.
func (s *Spool) advance(g *group) {
	seg := g.segment
	if err := seg.note(g.end); err != nil {
		s.log.Debug("the place in a file is not noted", "file", seg.path, "err", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	seg.done, seg.oldest = g.end, g.newest
	seg.jobs -= g.jobs
	s.waiting -= g.jobs
	s.replayed += uint64(g.jobs)
	if seg.done == seg.size {
		s.drop(seg)
	}
	if s.waiting == 0 {
		s.log.Info("Redis is back: all pushes of the disk are made", "jobs",
			s.replayed-s.before,
			"away", time.Since(s.since).Round(time.Millisecond))
	}
}

// unreadable gives up the rest of a segment that was readable before. Its file is kept.
func (s *Spool) unreadable(g *group, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	seg := g.segment
	s.log.Error("a file is damaged: pushes are lost unless they can be repaired, and the file is "+
		"kept", "file", seg.path, "jobs", seg.jobs, "err", err)
	s.waiting -= seg.jobs
	seg.jobs, seg.sealed, seg.damaged = 0, true, true
	s.drop(seg)
}
