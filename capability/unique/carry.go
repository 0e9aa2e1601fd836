package unique

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

// moves lets locks move with their jobs to another shard: a job with a lock goes to the shard where
// clients look for the lock. The lock stays in the source until the job is in the other shard.
func moves() *queue.Moves {
	return &queue.Moves{Key: carryKey, Carry: carry, Rest: carryExpiring}
}

// carryKey is the digest of the lock of a job: the first key of its claim.
func carryKey(j *queue.Job) string {
	h, ok := heldBy(j)
	if !ok {
		return ""
	}
	return h.digest
}

// lockRead are the commands that read a job's part of a lock.
type lockRead struct {
	held         held
	jid          string
	since, score *redis.Cmd
	ends         *redis.DurationCmd
	member       *redis.StringCmd // the payload that a later push may replace
	memberEnds   *redis.DurationCmd
	running      *redis.IntCmd // jobs that hold the runtime lock
}

func (l *Locks) queueRead(ctx context.Context, p redis.Pipeliner, h held, jid string) *lockRead {
	k := keys(h.digest)
	for i := range k {
		k[i] = l.ks.Key(k[i])
	}
	set := k[5]
	if h.kind == UntilExpired && h.ttl > 0 {
		set = k[6]
	}
	return &lockRead{held: h, jid: jid, since: p.Do(ctx, "HGET", k[1], jid),
		score: p.Do(ctx, "ZSCORE", set, h.digest), ends: p.PExpireTime(ctx, k[1]),
		member: p.Get(ctx, k[7]), memberEnds: p.PExpireTime(ctx, k[7]),
		running: p.HLen(ctx, l.ks.Key(h.runtime()+":LOCKED"))}
}

// land is the effect that gives the job the lock in another shard; ok is false if it does not hold
// it. raw is the job's bytes.
func (r *lockRead) land(raw string) (e queue.Effect, ok bool) {
	since, _ := r.since.Text()
	if since == "" {
		return e, false
	}
	score, _ := r.score.Text()
	member := ""
	if raw != "" && r.member.Val() == raw {
		member = raw
	}
	e = r.held.effect("land", r.held.digest, r.jid)
	e.Args = append(e.Args, since, expiry(r.ends), cmp.Or(score, since), member,
		expiry(r.memberEnds))
	return e, true
}

// expiry is when a key expires, in milliseconds since 1970; 0: never.
func expiry(d *redis.DurationCmd) string {
	return strconv.FormatInt(max(0, d.Val().Milliseconds()), 10)
}

// carry returns what becomes of the locks of jobs that move.
func carry(ctx context.Context, from *queue.Store, jobs []*queue.Job) ([]queue.Carried, error) {
	l, reads := NewLocks(from), make([]*lockRead, len(jobs))
	pipe := l.rdb.Pipeline()
	for i, j := range jobs {
		if h, ok := heldBy(j); ok {
			reads[i] = l.queueRead(ctx, pipe, h, j.JID)
		}
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) &&
		!redisdb.Rejected(err) {
		return nil, fmt.Errorf("locks of jobs that move: %w", err)
	}
	list := make([]queue.Carried, len(jobs))
	for i, r := range reads {
		if r == nil {
			continue
		}
		// One with the same runtime lock must not start in the other shard while this one runs.
		if r.held.kind.runs() && r.running.Val() > 0 {
			list[i].Stays = "jobs wait until the job with their runtime lock has ended here"
		}
		if !r.held.kind.waits() {
			continue
		}
		if e, ok := r.land(jobs[i].Raw()); ok {
			list[i].Land = []queue.Effect{e}
			list[i].Drop = []queue.Effect{r.held.effect("release", r.held.digest, r.jid)}
		}
	}
	return list, nil
}

// carryExpiring carries the locks that end by their time alone: their jobs may be done, and have no
// place to be moved from.
func carryExpiring(ctx context.Context, from *queue.Store, to queue.MoveTargets) ([]string, error) {
	l := NewLocks(from)
	digests, err := l.rdb.ZRange(ctx, l.ks.Key(expiringKey), 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("locks: %w", err)
	}
	var problems []error
	for _, digest := range digests {
		lock, err := l.read(ctx, digest)
		if err == nil && len(lock.Holders) > 0 && lock.Expires > 0 {
			err = l.carryTo(ctx, to.Of(digest), lock)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("lock %s: %w", digest, err))
		}
	}
	return nil, errors.Join(problems...)
}

// carryTo gives a lock that ends by its time to its holders in another shard too.
func (l *Locks) carryTo(ctx context.Context, to queue.Shard, lock Held) error {
	if to.Store == nil || !to.Store.Connected() {
		return fmt.Errorf("shard %q cannot be reached", to.Name)
	}
	pipe := l.rdb.Pipeline()
	var reads []*lockRead
	for _, holder := range lock.Holders {
		h := held{kind: UntilExpired, digest: lock.Digest, limit: 1, ttl: time.Second}
		reads = append(reads, l.queueRead(ctx, pipe, h, holder.JID))
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return err
	}
	for _, r := range reads {
		if e, ok := r.land(""); ok {
			if err := to.Store.Carry(ctx, e); err != nil {
				return err
			}
		}
	}
	return nil
}
