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

const fieldAlone = "alone" // of an owner's record: the token of the only delivery that ran

// Fence declares the owner of a lease dead. It does nothing, and returns false, if the owner
// has beaten since the lease was listed.
func (s *Store) Fence(ctx context.Context, l Lease) (bool, error) {
	n, err := s.db.RunOwn(ctx, fenceScript, []string{s.ks.Leases()}, l.Identity, l.Score).Int()
	if err != nil {
		return false, fmt.Errorf("fence: %w", err)
	}
	return n == 1, nil
}

// QueuesOf finds the queues of which an owner holds jobs, when its record is missing: it
// walks through all keys of the server, unless the owner is not registered any more: then a
// peer has forgotten it, and there are none. It ends with ctx.
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

// Reclaimed counts what became of a dead owner's jobs.
type Reclaimed struct {
	Landed   int      // went back that nobody had taken yet
	Requeued int      // went back
	Refused  int      // stay, because a key has a wrong type
	Poisoned []string // the payloads that went to the dead set
	Failed   []string // effects of jobs that moved which were not carried out, and why
}

// moved is whether the call changed anything.
func (r *Reclaimed) moved() bool { return r.Landed+r.Requeued+len(r.Poisoned) > 0 }

// reclaimBytes bounds the payloads of one Reclaim, beside the first.
const reclaimBytes = 4 << 20

// Reclaim takes up to a page of jobs of one queue out of a fenced owner's hands. Each that it
// had taken carries from now on how often that happened to it (see Poison); of an owner that
// left in good order, or of jobs that did not run, nothing is counted. more tells
// that there may be others.
func (s *Store) Reclaim(ctx context.Context, identity, queue string, p Poison,
	page int) (r Reclaimed, more bool, err error) {
	inflight := s.ks.Inflight(queue, identity)
	tokens, err := s.db.Own.HKeys(ctx, inflight).Result()
	if err != nil && !redisdb.Answered(err) { // a wrong type holds no jobs; the landing list may
		return r, false, fmt.Errorf("reclaim: %w", err)
	}
	newestFirst(tokens) // each goes to the head of its queue: the oldest must be last
	all := len(tokens)
	if s.effects != nil {
		page = min(page, MaxEffectItems)
	}
	if tokens, err = s.pageOf(ctx, inflight, tokens, page); err != nil {
		return r, false, err
	}
	fields := []string{fieldAlone, "left"}
	for _, token := range tokens {
		fields = append(fields, "beside:"+token)
	}
	owner, err := s.db.Own.HMGet(ctx, s.ks.Owner(identity), fields...).Result()
	if err != nil {
		return r, false, fmt.Errorf("reclaim: %w", err)
	}
	raws := make([]any, 0)
	if len(tokens) > 0 {
		if raws, err = s.db.Own.HMGet(ctx, inflight, tokens...).Result(); err != nil {
			return r, false, fmt.Errorf("reclaim: %w", err)
		}
	}
	alone, _ := owner[0].(string)
	v := verdict{alone: alone, left: owner[1] != nil, beside: map[string]bool{}}
	for i, token := range tokens {
		v.beside[token] = owner[2+i] != nil
	}
	r, err = s.reclaim(ctx, identity, queue, p, v, tokens, raws)
	for redisdb.ForbidsKey(err) && len(tokens) > 1 { // down to the job whose effects Redis forbids
		tokens = tokens[:len(tokens)/2]
		r, err = s.reclaim(ctx, identity, queue, p, v, tokens, raws)
	}
	return r, (all > len(tokens) || r.Landed == reclaimLanded) && r.moved(), err
}

// pageOf is the first tokens whose payloads are within the bounds, one at least.
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

// verdict is what a dead owner's record says of its end.
type verdict struct {
	alone  string          // the token of the only delivery that ran; "" if several may have
	left   bool            // it stopped in good order
	beside map[string]bool // tokens of suspects that ran beside other jobs
}

// counts reports whether the crash counts for a job that was in flight. For one that ran, or
// may have: a suspect that waited for its turn cannot have caused it.
func (v *verdict) counts(j *Job, token string, p Poison) bool {
	switch {
	case p.Times < 1 || v.left:
		return false
	case v.alone != "":
		return v.alone == token
	}
	return !p.Suspect(j) || v.beside[token]
}

func (s *Store) reclaim(ctx context.Context, identity, queue string, p Poison, v verdict,
	tokens []string, raws []any) (r Reclaimed, err error) {
	now := time.Now()
	keys := []string{s.ks.Queue(queue), s.ks.Inflight(queue, identity),
		s.ks.Landing(queue, identity), s.ks.Queues(), s.ks.Dead()}
	args := []any{queue, envelope.Score(now), envelope.Score(now.Add(-s.deadLimits.age)),
		s.deadLimits.max, reclaimLanded}
	payloads, unclear := make([]string, len(tokens)), make([]string, len(tokens))
	items := make([][]Effect, len(tokens))
	for i, token := range tokens {
		where, event := "queue", EventReclaim
		payloads[i], _ = raws[i].(string) // settled meanwhile: the script removes nothing
		j, _ := envelope.ParseJob(payloads[i])
		if j != nil && v.counts(j, token, p) { // no job stays as it is
			var dead bool
			if payloads[i], dead = s.crashed(j, queue, p, v.alone == token, now); dead {
				where, event = "dead", EventPoison
			}
		}
		items[i], unclear[i] = s.ask(j, event)
		args = append(args, token, payloads[i], where)
	}
	reply, failed, err := s.runEffects(ctx, s.db.Own, reclaimScript, keys, args, items)
	if err != nil {
		return r, fmt.Errorf("reclaim: %w", err)
	}
	r.Landed = int(reply[0])
	for i, what := range reply[1:] {
		if why := unclear[i] + failed[i+1]; why != "" && what > 0 {
			r.Failed = append(r.Failed, why)
		}
		switch what {
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

// reclaimLanded bounds the landed jobs that one call moves.
const reclaimLanded = 100

func newestFirst(tokens []string) {
	n := func(s string) uint64 { v, _ := strconv.ParseUint(s, 10, 64); return v }
	slices.SortFunc(tokens, func(a, b string) int { return cmp.Compare(n(b), n(a)) })
}

// Forget drops a fenced identity that has held nothing for grace, so long that none of its
// commands can still be under way. It returns false if it is too early.
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
