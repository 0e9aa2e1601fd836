package queue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
)

// pagesOfPlace is how many pages of a place are moved before those of the next one.
const pagesOfPlace = 20

// Mover moves the jobs of a draining shard to other shards: each once, with the same bytes and
// times. It may be killed at any moment: another Mover goes on. Several may be at work at once. A
// Mover is for one goroutine. The Stores must have been opened with the capabilities whose locks
// jobs may hold.
type Mover struct {
	From   Shard
	Others []Shard // all shards but From: a Mover that died may have sent jobs to any of them
	Active []Shard // all active shards: jobs with a lock go to the one of their lock
	To     []Shard // the shards that all other jobs go to, of Active
	Rate   int     // jobs per second at most; 0: as fast as it goes

	began time.Time
	paced int              // jobs since began
	away  map[string]error // shards that could not be reached in this round
	round MoveRound
}

// MoveRound is what a round of a Mover has done.
type MoveRound struct {
	Moved int      // jobs that are in another shard now
	Waits []string // why jobs stay, for people: a sentence each, sorted
}

// Round goes once through all places, and moves the jobs there. It first ends what a dead Mover has
// left half done. The error is one of the source; what hinders single places or targets is in
// Waits. Call it again until the shard is empty: jobs in flight come back to their sets.
func (m *Mover) Round(ctx context.Context) (MoveRound, error) {
	m.round, m.away = MoveRound{}, map[string]error{}
	if m.began.IsZero() {
		m.began = time.Now()
	}
	err := m.finish(ctx)
	if err == nil {
		err = m.suspend(ctx)
	}
	var places []string
	if err == nil {
		places, err = m.From.Store.movePlaces(ctx)
	}
	for _, place := range places {
		if err == nil {
			err = m.place(ctx, place)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(m.away)) {
		m.waits(fmt.Sprintf("shard %s cannot take jobs: %v", name, m.away[name]))
	}
	slices.Sort(m.round.Waits)
	m.round.Waits = slices.Compact(m.round.Waits)
	return m.round, m.From.explain(err)
}

func (m *Mover) waits(why string) { m.round.Waits = append(m.round.Waits, why) }

// finish ends the moves of the jobs in kyu:moving.
func (m *Mover) finish(ctx context.Context) error {
	for cursor := uint64(0); ; {
		list, next, err := m.From.Store.movingPage(ctx, cursor)
		if errors.Is(err, errMoving) {
			m.waits(err.Error())
			err = nil
		}
		if err == nil {
			err = m.deliver(ctx, list)
		}
		if cursor = next; cursor == 0 || err != nil {
			return err
		}
	}
}

// suspend has the source of the Store give parked jobs back to the lists of their queues.
func (m *Mover) suspend(ctx context.Context) error {
	kept, err := m.From.Store.Kept(ctx)
	for _, queue := range slices.Sorted(maps.Keys(kept)) {
		if err == nil {
			err = m.From.Store.Suspend(ctx, queue, time.Minute)
		}
	}
	return err
}

// movePlaces returns the places of the shard that may hold jobs: queues first.
func (s *Store) movePlaces(ctx context.Context) (places []string, err error) {
	pipe := s.db.Shared.Pipeline()
	queues, held := pipe.SMembers(ctx, s.ks.Queues()), pipe.SMembers(ctx, s.ks.Held())
	if _, err := pipe.Exec(ctx); err != nil && !redisdb.Answered(err) {
		return nil, fmt.Errorf("places of jobs: %w", err)
	}
	for _, name := range slices.Sorted(slices.Values(queues.Val())) {
		places = append(places, "queue:"+name)
	}
	places = append(places, redisdb.KeyRetry, redisdb.KeySchedule)
	for _, class := range slices.Sorted(slices.Values(held.Val())) {
		places = append(places, "kyu:hold:"+class)
	}
	return append(places, redisdb.KeyDead), nil
}

// place moves pages of one place. An error about the place alone is told, and the next place
// follows.
func (m *Mover) place(ctx context.Context, place string) error {
	size := redisdb.NewPageSize(min(movePage, cmp.Or(m.Rate, movePage)), moveBytes)
	for pages, skip := 0, 0; pages < pagesOfPlace; {
		list, err := m.From.Store.readPlace(ctx, place, skip, &size)
		if redisdb.IsTimeout(err) && !size.Smallest() && ctx.Err() == nil {
			size.Shrink()
			continue
		}
		if err != nil || len(list) == 0 {
			return m.unlessOfPlace(err)
		}
		goes, stay, err := m.choose(ctx, list)
		if err != nil {
			return err
		}
		if skip += stay; len(goes) > 0 {
			pages++
			taken, err := m.From.Store.lift(ctx, place, goes)
			if err != nil {
				return m.unlessOfPlace(err)
			}
			if err := m.deliver(ctx, taken); err != nil {
				return err
			}
			if err := m.pace(ctx, len(taken)); err != nil {
				return err
			}
		}
		if stay > 0 && kindOfPlace(place) == "list" {
			return nil // the oldest job stays, and those behind it wait for it
		}
	}
	return nil
}

// unlessOfPlace notes an error that is about one place alone, and returns any other one.
func (m *Mover) unlessOfPlace(err error) error {
	var kind *WrongTypeError
	var goes operationInQueue
	if errors.As(err, &kind) || errors.As(err, &goes) || redisdb.IsWrongType(err) {
		m.waits(err.Error())
		return nil
	}
	return err
}

// readPlace reads a page of jobs: of a list those that are taken next, in that order.
func (s *Store) readPlace(ctx context.Context, place string, skip int,
	size *redisdb.PageSize) (list []moving, err error) {
	var raws []string
	if kindOfPlace(place) == "zset" {
		entries, _, err := s.Set(place).Read(ctx, "-inf", skip, size)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			raws = append(raws, e.Raw)
		}
	} else {
		if raws, err = s.tail(ctx, s.ks.Key(place), size); err != nil {
			return nil, fmt.Errorf("%s: %w", place, err)
		}
	}
	size.Grow()
	for _, raw := range raws {
		list = append(list, newMoving(place, raw))
	}
	return list, nil
}

// tail reads the jobs of a list that are taken next. It reads one first, to find out how many of
// that size are a page.
func (s *Store) tail(ctx context.Context, key string, size *redisdb.PageSize) ([]string, error) {
	first, err := s.db.Shared.LRange(ctx, key, -1, -1).Result()
	if err != nil || len(first) == 0 {
		return nil, err
	}
	n := min(size.Count(), max(1, size.Bytes()/(2*len(first[0])+1)))
	raws, err := s.db.Shared.LRange(ctx, key, -int64(n), -1).Result()
	slices.Reverse(raws)
	bytes := 0
	for i := range raws {
		if bytes += len(raws[i]); i > 0 && bytes > size.Bytes() {
			return raws[:i], err
		}
	}
	return raws, err
}

// choose gives jobs the shards that they go to, and returns those that can move now: of a queue,
// the first ones. At most MaxEffectItems of them hold something. stay is how many cannot move, of
// those that it looked at.
func (m *Mover) choose(ctx context.Context, list []moving) (goes []moving, stay int, err error) {
	held, err := m.From.Store.carry(ctx, list)
	if err != nil {
		return nil, 0, err
	}
	keyed := 0
	for i, job := range list {
		key := m.From.Store.moveKey(job.job)
		if keyed == MaxEffectItems && key != "" {
			return goes, stay, nil
		}
		why := held[i].Stays
		if why == "" {
			job.shard, why = m.target(&job, key)
		}
		if why != "" {
			m.waits(why)
			if stay++; job.kind() == "list" {
				return goes, stay, nil
			}
			continue
		}
		if goes = append(goes, job); key != "" {
			keyed++
		}
	}
	return goes, stay, nil
}

// target returns the shard that a job goes to, or why it must wait. A job with a key has one shard.
// Another job goes to the shard of its JID, where an idempotent push of it would be repeated; if
// that cannot be reached, to another one.
func (m *Mover) target(job *moving, key string) (name, why string) {
	away := func(s Shard) bool { return m.away[s.Name] != nil || !s.Store.Connected() }
	if key != "" {
		to := MoveTargets{m.Active}.Of(key)
		if away(to) {
			return "", fmt.Sprintf("jobs with locks wait for shard %s, which cannot be reached",
				to.Name)
		}
		return to.Name, ""
	}
	names := namesOf(slices.DeleteFunc(slices.Clone(m.To), away))
	if len(names) == 0 {
		return "", "no shard to which jobs may go can be reached"
	}
	return Rendezvous(cmp.Or(job.jid(), job.raw), names), ""
}

// deliver puts jobs of kyu:moving into the shards that they go to, and forgets them here.
func (m *Mover) deliver(ctx context.Context, list []moving) error {
	if len(list) == 0 {
		return nil
	}
	held, err := m.From.Store.carry(ctx, list)
	if err != nil {
		return err
	}
	byShard := map[string][]int{}
	for i := range list {
		byShard[list[i].shard] = append(byShard[list[i].shard], i)
	}
	for _, name := range slices.Sorted(maps.Keys(byShard)) {
		for page := range effectPages(byShard[name], held) {
			if err := m.deliverTo(ctx, name, pick(list, page), pick(held, page)); err != nil {
				return err
			}
		}
	}
	return nil
}

// effectPages cuts a list of jobs so that at most MaxEffectItems of a page hold something.
func effectPages(list []int, held []Carried) func(yield func([]int) bool) {
	return func(yield func([]int) bool) {
		from, n := 0, 0
		for at, i := range list {
			if len(held[i].Land)+len(held[i].Drop) > 0 {
				n++
			}
			if n > MaxEffectItems {
				if !yield(list[from:at]) {
					return
				}
				from, n = at, 1
			}
		}
		if from < len(list) {
			yield(list[from:])
		}
	}
}

func pick[T any](list []T, at []int) []T {
	some := make([]T, len(at))
	for k, i := range at {
		some[k] = list[i]
	}
	return some
}

// deliverTo is deliver for jobs of one shard.
func (m *Mover) deliverTo(ctx context.Context, name string, list []moving, held []Carried) error {
	i := slices.IndexFunc(m.Others, func(s Shard) bool { return s.Name == name })
	switch {
	case i < 0:
		m.waits(fmt.Sprintf("%d jobs are on their way to the shard %q, which is not in KYU_SHARDS "+
			"here: add it", len(list), name))
		return nil
	case m.away[name] != nil:
		return nil
	}
	to := m.Others[i]
	if !to.Store.Connected() {
		m.away[name] = errors.New("it cannot be reached")
		return nil
	}
	there, failed, err := to.Store.land(ctx, m.From.Store, list, held)
	if problem := failed.unless(nil); problem != nil {
		m.waits(fmt.Sprintf("shard %s: jobs came without their locks: %s", name,
			strings.Join(failed.Why, "; ")))
	}
	var kind *WrongTypeError
	if errors.As(err, &kind) {
		m.waits(to.explain(err).Error())
	} else if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		m.away[name] = err
		return nil // perhaps they are there: they are put there again, once
	}
	by := map[string]Carried{}
	for i := range list {
		by[list[i].id] = held[i]
	}
	holds := make([]Carried, len(there))
	for i := range there {
		holds[i] = by[there[i].id]
	}
	n, err := m.From.Store.drop(ctx, there, holds)
	m.round.Moved += n
	return err
}

// pace waits as long as n more jobs need at the Mover's rate.
func (m *Mover) pace(ctx context.Context, n int) error {
	if m.Rate <= 0 {
		return ctx.Err()
	}
	m.paced += n
	due := m.began.Add(time.Duration(float64(m.paced) / float64(m.Rate) * float64(time.Second)))
	wait := time.NewTimer(time.Until(due))
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wait.C:
		return nil
	}
}
