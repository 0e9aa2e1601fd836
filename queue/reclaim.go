package queue

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

// fieldAlone is the field of an owner's record with the token of the only delivery that runs.
const fieldAlone = "alone"

// Fence declares the owner of a lease dead, so that its jobs can be reclaimed. It returns false,
// and does nothing, if the owner has extended the lease since l was read.
func (s *Store) Fence(ctx context.Context, l Lease) (bool, error) {
	n, err := s.db.RunOwn(ctx, fenceScript, []string{s.ks.Leases()}, l.Identity, l.Score).Int()
	if err != nil {
		return false, fmt.Errorf("fence: %w", err)
	}
	return n == 1, nil
}

// QueuesOf returns the queues of which an owner without a record has jobs in flight. It walks
// through all keys of the server until ctx ends. If the owner has no lease, another process has
// forgotten it, and QueuesOf returns no queues without the walk.
func (s *Store) QueuesOf(ctx context.Context, identity string) (queues []string, err error) {
	err = s.db.Own.ZScore(ctx, s.ks.Leases(), identity).Err()
	if err == redis.Nil {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("queues of %s: %w", identity, err)
	}
	prefix, suffix := s.ks.Key("kyu:{"+s.ks.Queue("")), "}:inflight:"+identity
	for cursor := uint64(0); ; {
		pattern := redisdb.GlobEscape(prefix) + "*" + redisdb.GlobEscape(suffix)
		keys, next, err := s.db.Own.Scan(ctx, cursor, pattern, 1000).Result()
		if err != nil {
			return nil, fmt.Errorf("queues of %s: %w", identity, err)
		}
		for _, key := range keys {
			queues = append(queues, key[len(prefix):len(key)-len(suffix)])
		}
		if cursor = next; cursor == 0 {
			slices.Sort(queues)
			return slices.Compact(queues), nil
		}
	}
}

// Reclaimed says where a dead owner's jobs went.
type Reclaimed struct {
	Landed   int      // jobs from its landing list that went back to their queue
	Requeued int      // jobs in flight that went back to their queue
	Refused  int      // jobs in flight that stay because a key has a wrong type
	Poisoned []string // payloads of jobs in flight that went to the dead set
	Failed   []string // effects of moved jobs that failed, each with the reason
}

// moved reports whether any job moved.
func (r *Reclaimed) moved() bool { return r.Landed+r.Requeued+len(r.Poisoned) > 0 }

// The most that one Reclaim moves.
const (
	reclaimBytes  = 4 << 20 // bytes of payloads in flight, without the first payload
	reclaimLanded = 100     // jobs of the landing list
)

// Reclaim moves jobs of one queue from a fenced owner back to the queue: up to page jobs in flight,
// and up to 100 of the landing list. It counts the crash in the payloads of the jobs that may have
// caused it, and moves those that are poison now to the dead set (see Poison). It counts nothing if
// the owner called Leave. more reports whether there may be other jobs.
func (s *Store) Reclaim(ctx context.Context, identity, queue string, p Poison,
	page int) (r Reclaimed, more bool, err error) {
	inflight := s.ks.Inflight(queue, identity)
	tokens, err := s.db.Own.HKeys(ctx, inflight).Result()
	if err != nil && !redisdb.Answered(err) { // a key of a wrong type holds no jobs in flight
		return r, false, fmt.Errorf("reclaim: %w", err)
	}
	newestFirst(tokens) // each goes to the taking end of its queue, so the oldest must be last
	all := len(tokens)
	if s.effects != nil {
		page = min(page, MaxEffectItems)
	}
	if tokens, err = s.pageOf(ctx, inflight, tokens, page); err != nil {
		return r, false, err
	}
	last, err := s.lastRecord(ctx, identity, tokens)
	if err != nil {
		return r, false, err
	}
	raws := make([]any, 0)
	if len(tokens) > 0 {
		if raws, err = s.db.Own.HMGet(ctx, inflight, tokens...).Result(); err != nil {
			return r, false, fmt.Errorf("reclaim: %w", err)
		}
	}
	r, err = s.reclaim(ctx, identity, queue, p, last, tokens, raws)
	for redisdb.ForbidsKey(err) && len(tokens) > 1 { // halve to the job with that key
		tokens = tokens[:len(tokens)/2]
		r, err = s.reclaim(ctx, identity, queue, p, last, tokens, raws)
	}
	return r, (all > len(tokens) || r.Landed == reclaimLanded) && r.moved(), err
}

// pageOf returns the first tokens whose number and bytes of payloads are within the limits, at
// least one.
func (s *Store) pageOf(ctx context.Context, inflight string, tokens []string,
	page int) ([]string, error) {
	tokens = tokens[:min(page, len(tokens))]
	if len(tokens) < 2 {
		return tokens, nil
	}
	pipe := s.db.Own.Pipeline()
	sizes := make([]*redis.Cmd, len(tokens))
	for i, token := range tokens {
		sizes[i] = pipe.Do(ctx, "HSTRLEN", inflight, token)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("reclaim: %w", err)
	}
	bytes := 0
	for i := range tokens {
		n, _ := sizes[i].Int()
		if bytes += n; i > 0 && bytes > reclaimBytes {
			return tokens[:i], nil
		}
	}
	return tokens, nil
}

// lastRecord is the part of a dead owner's record that says which jobs ran when it died.
type lastRecord struct {
	left   bool            // the owner did not crash: it called Leave
	alone  string          // the token of the only delivery that ran; "" if several may have run
	beside map[string]bool // tokens of suspects that ran while others ran
}

func (s *Store) lastRecord(ctx context.Context, identity string,
	tokens []string) (last lastRecord, err error) {
	fields := []string{fieldAlone, "left"}
	for _, token := range tokens {
		fields = append(fields, "beside:"+token)
	}
	values, err := s.db.Own.HMGet(ctx, s.ks.Owner(identity), fields...).Result()
	if err != nil {
		return last, fmt.Errorf("reclaim: %w", err)
	}
	last = lastRecord{left: values[1] != nil, beside: map[string]bool{}}
	last.alone, _ = values[0].(string)
	for i, token := range tokens {
		last.beside[token] = values[2+i] != nil
	}
	return last, nil
}

// crashCounts reports whether the crash of the owner is counted for a job that it had in flight. It
// is counted for a job that may have run. A suspect that waited to run alone did not run.
func (l *lastRecord) crashCounts(j *Job, token string, p Poison) bool {
	switch {
	case p.Times < 1 || l.left:
		return false
	case l.alone != "":
		return l.alone == token
	}
	return !p.Suspect(j) || l.beside[token]
}

// reclaim moves the jobs of the given tokens, whose payloads are raws.
func (s *Store) reclaim(ctx context.Context, identity, queue string, p Poison, last lastRecord,
	tokens []string, raws []any) (r Reclaimed, err error) {
	now := time.Now()
	keys := []string{s.ks.Queue(queue), s.ks.Inflight(queue, identity),
		s.ks.Landing(queue, identity), s.ks.Queues(), s.ks.Dead()}
	args := []any{queue, envelope.Score(now), envelope.Score(now.Add(-s.deadLimits.age)),
		s.deadLimits.max, reclaimLanded}
	payloads, problems := make([]string, len(tokens)), make([]string, len(tokens))
	items := make([][]Effect, len(tokens))
	for i, token := range tokens {
		where, event := "queue", EventReclaim
		payloads[i], _ = raws[i].(string) // "" if it was settled meanwhile: then nothing is moved
		j, _ := envelope.ParseJob(payloads[i])
		if j != nil && last.crashCounts(j, token, p) { // bytes that are no job stay unchanged
			var dead bool
			if payloads[i], dead = s.crashed(j, queue, p, last.alone == token, now); dead {
				where, event = "dead", EventPoison
			}
		}
		items[i], problems[i] = s.effectsOf(j, event)
		items[i] = append(items[i], s.left(identity, queue, token, where == "queue")...)
		args = append(args, token, payloads[i], where)
	}
	codes, failed, err := s.runEffects(ctx, s.db.Own, reclaimScript, keys, args, items)
	if err != nil {
		return r, fmt.Errorf("reclaim: %w", err)
	}
	r.Landed = int(codes[0])
	for i, code := range codes[1:] {
		if reason := problems[i] + failed[i+1]; reason != "" && code > 0 {
			r.Failed = append(r.Failed, reason)
		}
		switch code {
		case 1:
			r.Requeued++
		case 2:
			r.Poisoned = append(r.Poisoned, payloads[i])
		case -1:
			r.Refused++
		}
	}
	return r, nil
}

// newestFirst sorts tokens from the largest on.
func newestFirst(tokens []string) {
	n := func(s string) uint64 { v, _ := strconv.ParseUint(s, 10, 64); return v }
	slices.SortFunc(tokens, func(a, b string) int { return cmp.Compare(n(b), n(a)) })
}

// Forget deletes the lease and the record of an identity that has been fenced for grace and has no
// jobs. grace is longer than one of its commands can be under way. Forget returns false, and
// deletes nothing, if it is too early or if the identity has jobs.
func (s *Store) Forget(ctx context.Context, identity string, h Host, queues []string,
	grace time.Duration) (bool, error) {
	keys := []string{s.ks.Leases(), s.ks.Owner(identity), s.ks.Host(h.place())}
	for _, q := range queues {
		keys = append(keys, s.ks.Inflight(q, identity), s.ks.Landing(q, identity))
	}
	n, err := s.db.RunOwn(ctx, forgetScript, keys, identity, grace.Milliseconds()).Int()
	if err != nil && err != redis.Nil {
		return false, fmt.Errorf("forget: %w", err)
	}
	return n == 1, nil
}
