package queue

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Host is where an owner lives: enough for a process beside it to see that it
// is dead without waiting for its lease. And what it can run.
type Host struct {
	Name         string
	BootID       string // of the running kernel
	PIDNamespace string
	PID          int
	Started      string   // of the process, in the kernel's ticks since boot
	Classes      []string // that it has handlers for
	Pool         int      // connections that it may open to Postgres; 0 if it does not say

	Lease time.Duration // that it takes: who has been silent for so long is dead; zero if it does not say
}

// Register writes down whose the owner is and which queues it serves, so that
// a reclaimer finds its deliveries, and takes its lease.
func (o *Owner) Register(ctx context.Context, h Host, queues []string, lease time.Duration) error {
	h.Lease = lease
	if err := o.sign(ctx, h, queues, strconv.FormatInt(lease.Milliseconds(), 10)); err != nil {
		return fmt.Errorf("register: %w", err)
	}
	return nil
}

// Leave gives the lease up, if it is not lost already. Whatever the owner still
// holds, or what a late reply may yet bring it, is for any reclaimer to take.
func (o *Owner) Leave(ctx context.Context, h Host, queues []string) error {
	if err := o.sign(ctx, h, queues, ""); err != nil {
		return fmt.Errorf("leave: %w", err)
	}
	return nil
}

func (o *Owner) sign(ctx context.Context, h Host, queues []string, lease string) error {
	return o.store.run(ctx, registerScript, []string{o.store.ks.key(keyLeases), o.store.ks.owner(o.Identity)}, o.Identity, lease,
		"queues", strings.Join(queues, "\n"), "host", h.Name, "boot", h.BootID, "pidns", h.PIDNamespace,
		"pid", h.PID, "started", h.Started, "classes", strings.Join(h.Classes, "\n"), "pool", h.Pool,
		"lease", h.Lease.Milliseconds()).Err()
}

// Orders is what a process learns when it beats.
type Orders struct {
	Signals []string // TSTP, TERM, TTIN…, oldest first; each is told once
	Paused  []string // queues
}

// Beat extends the lease by Redis's clock. The error is ErrLeaseLost if a
// reclaimer has declared this owner dead.
func (o *Owner) Beat(ctx context.Context, lease time.Duration) (Orders, error) {
	ks := o.store.ks
	reply, err := o.store.runOwn(ctx, beatScript, []string{ks.key(keyLeases), ks.signals(o.Identity), ks.key(keyPaused)},
		o.Identity, lease.Milliseconds()).Slice()
	if err != nil {
		return Orders{}, fmt.Errorf("beat: %w", err)
	}
	if len(reply) < 3 {
		return Orders{}, ErrLeaseLost
	}
	return Orders{Signals: texts(reply[1]), Paused: texts(reply[2])}, nil
}

func texts(v any) []string {
	list, _ := v.([]any)
	out := make([]string, 0, len(list))
	for _, e := range list {
		if s, ok := e.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

// Lease is an entry of the register of owners.
type Lease struct {
	Identity string
	Ended    bool   // by Redis's clock
	Fenced   bool   // declared dead: its jobs are being taken
	Score    string // its end as Redis has it: it changes with every beat
}

// Leases lists all owners.
func (s *Store) Leases(ctx context.Context) ([]Lease, error) {
	pipe := s.rdb.Pipeline()
	clock := pipe.Time(ctx)
	all := pipe.Do(ctx, "ZRANGE", s.ks.key(keyLeases), 0, -1, "WITHSCORES")
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("leases: %w", err)
	}
	flat, err := all.StringSlice()
	if err != nil {
		return nil, fmt.Errorf("leases: %w", err)
	}
	now := clock.Val().UnixMilli()
	leases := make([]Lease, 0, len(flat)/2)
	for i := 0; i+1 < len(flat); i += 2 {
		end, _ := strconv.ParseFloat(flat[i+1], 64)
		leases = append(leases, Lease{Identity: flat[i], Fenced: end < 0, Ended: end < float64(now), Score: flat[i+1]})
	}
	return leases, nil
}

// OwnerHost tells where an owner lives and which queues it serves. A missing
// record reads as the zero Host without queues.
func (s *Store) OwnerHost(ctx context.Context, identity string) (Host, []string, error) {
	h, err := s.rdb.HGetAll(ctx, s.ks.owner(identity)).Result()
	if err != nil {
		return Host{}, nil, fmt.Errorf("owner: %w", err)
	}
	pid, _ := strconv.Atoi(h["pid"])
	lease, _ := strconv.ParseInt(h["lease"], 10, 64)
	host := Host{Name: h["host"], BootID: h["boot"], PIDNamespace: h["pidns"], PID: pid, Started: h["started"],
		Lease: time.Duration(lease) * time.Millisecond}
	if h["queues"] == "" {
		return host, nil, nil
	}
	return host, strings.Split(h["queues"], "\n"), nil
}

// Fence declares the owner of a lease dead, which serves these queues. It does
// nothing, and returns false, if the owner has beaten since the lease was listed.
func (s *Store) Fence(ctx context.Context, l Lease, queues []string) (bool, error) {
	keys := []string{s.ks.key(keyLeases), s.ks.owner(l.Identity)}
	for _, q := range queues {
		keys = append(keys, s.ks.inflight(q, l.Identity))
	}
	for _, q := range queues {
		keys = append(keys, s.ks.landing(q, l.Identity))
	}
	n, err := s.run(ctx, fenceScript, keys, l.Identity, l.Score, len(queues)).Int()
	if err != nil {
		return false, fmt.Errorf("fence: %w", err)
	}
	return n == 1, nil
}

// Reclaimed counts what became of a dead owner's jobs.
type Reclaimed struct {
	Requeued int
	Poisoned []string // the payloads that went to the dead set
}

// Reclaim takes up to a page of jobs of one queue out of a fenced owner's hands.
// Each carries from now on how often that happened to it (see Poison). more tells
// that there may be others.
func (s *Store) Reclaim(ctx context.Context, identity, queue string, p Poison, page int) (r Reclaimed, more bool, err error) {
	inflight, landing := s.ks.inflight(queue, identity), s.ks.landing(queue, identity)
	tokens, err := s.rdb.HKeys(ctx, inflight).Result()
	if err != nil {
		return r, false, fmt.Errorf("reclaim: %w", err)
	}
	newestFirst(tokens) // each goes to the head of its queue: the oldest must be last
	if len(tokens) > page {
		tokens, more = tokens[:page], true
	}
	var raws []any
	if len(tokens) > 0 {
		if raws, err = s.rdb.HMGet(ctx, inflight, tokens...).Result(); err != nil {
			return r, false, fmt.Errorf("reclaim: %w", err)
		}
	}
	if _, err := s.buryLarge(ctx, landing); err != nil {
		return r, false, fmt.Errorf("reclaim: %w", err)
	}
	landed, err := s.rdb.LRange(ctx, landing, 0, int64(page-1)).Result()
	if err != nil {
		return r, false, fmt.Errorf("reclaim: %w", err)
	}
	more = more || len(landed) == page
	for _, raw := range landed {
		tokens, raws = append(tokens, ""), append(raws, raw)
	}
	if len(tokens) == 0 {
		return r, false, nil
	}
	alone, err := s.rdb.HGet(ctx, s.ks.owner(identity), "alone").Result()
	if err != nil && err != redis.Nil {
		return r, false, fmt.Errorf("reclaim: %w", err)
	}
	r, err = s.reclaim(ctx, queue, inflight, landing, p, alone == "1", tokens, raws)
	return r, more, err
}

func (s *Store) reclaim(ctx context.Context, queue, inflight, landing string, p Poison, alone bool, tokens []string, raws []any) (r Reclaimed, err error) {
	now := time.Now()
	keys := []string{s.ks.queue(queue), inflight, landing, s.ks.key(keyQueues), s.ks.key(keyDead)}
	args := []any{queue, score(now), score(now.Add(-s.deadLimits.age)), s.deadLimits.max}
	payloads := make([]string, len(tokens))
	for i, token := range tokens {
		raw, there := raws[i].(string)
		if !there { // settled since the tokens were read: the script removes nothing
			args = append(args, token, "", "", "queue")
			continue
		}
		landed, where := "", "queue"
		if token == "" {
			landed = raw
		}
		payloads[i] = raw // what is no job stays as it is: whoever takes it buries it
		if j, err := ParseJob(raw); err == nil && p.Times > 0 {
			var dead bool
			if payloads[i], dead = s.crashed(j, queue, p, alone, now); dead {
				where = "dead"
			}
		}
		args = append(args, token, landed, payloads[i], where)
	}
	reply, err := s.run(ctx, reclaimScript, keys, args...).Int64Slice()
	if err != nil {
		return r, fmt.Errorf("reclaim: %w", err)
	}
	for i, what := range reply {
		switch what {
		case 1:
			r.Requeued++
		case 2:
			r.Poisoned = append(r.Poisoned, payloads[i])
		}
	}
	return r, nil
}

func newestFirst(tokens []string) {
	n := func(s string) uint64 { v, _ := strconv.ParseUint(s, 10, 64); return v }
	slices.SortFunc(tokens, func(a, b string) int { return cmp.Compare(n(b), n(a)) })
}

// Bury forgets a fenced identity that has held nothing for grace, so long that
// none of its commands can still be under way. It returns false if it is too
// early.
func (s *Store) Bury(ctx context.Context, identity string, queues []string, grace time.Duration) (bool, error) {
	keys := []string{s.ks.key(keyLeases), s.ks.owner(identity)}
	for _, q := range queues {
		keys = append(keys, s.ks.inflight(q, identity), s.ks.landing(q, identity))
	}
	n, err := s.run(ctx, buryScript, keys, identity, grace.Milliseconds()).Int()
	if err != nil && err != redis.Nil {
		return false, fmt.Errorf("bury: %w", err)
	}
	return n == 1, nil
}
