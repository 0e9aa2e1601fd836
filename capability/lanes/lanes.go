package lanes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

const (
	// pageCount is the most jobs that one step of sifting moves.
	pageCount = 1000
	// pageBytes is the most bytes of payloads of a page, but for the first.
	pageBytes = 4 << 20
	// leaseFor is how long a process has a page for itself. It only saves the others the work.
	leaseFor = 250 * time.Millisecond
	// lookBeside is the time between two looks for Ruby's processes.
	lookBeside = 5 * time.Second
	// drainCount is the most jobs that one step of draining moves.
	drainCount = 500
	// drainFor bounds the draining of one Refresh.
	drainFor = 500 * time.Millisecond
)

// Lanes is the source of jobs of a worker process (worker.Source). It is safe for concurrent use.
type Lanes struct {
	store *queue.Store
	log   *slog.Logger

	mu    sync.RWMutex
	rules map[string]active // by queue; guarded by mu

	// Only Refresh reads and writes it.
	looked time.Time // when it last looked for Ruby's processes
}

// active is a rule as a process knows it.
type active struct {
	key Key
	rev string
	on  bool
	// The last Refresh found these.
	waits  bool  // a job may run
	opens  bool  // the time of a closed lane has come
	parked int64 // jobs
}

// New returns the Lanes of a Store that was opened with Capability().
func New(s *queue.Store, log *slog.Logger) *Lanes {
	return &Lanes{store: s, log: log, rules: map[string]active{}}
}

// Refresh reads the rules of the given queues, and returns the queues of which parked jobs may run
// now. A process that calls it once a second obeys a new rule after a second. It also gives the
// jobs of queues whose lanes are off back to their lists.
func (l *Lanes) Refresh(ctx context.Context, queues []string) (waiting []string, err error) {
	with, err := l.store.DB().Own.SMembers(ctx, l.store.Keys().Key(keyQueues)).Result()
	if err != nil {
		return nil, fmt.Errorf("lanes: %w", err)
	}
	with = slices.DeleteFunc(with, func(name string) bool { return !slices.Contains(queues, name) })
	if len(with) > 0 && time.Since(l.looked) >= lookBeside {
		l.looked = time.Now()
		if err := l.beside(ctx, with); err != nil {
			return nil, err
		}
	}
	rules := map[string]active{}
	var broken error // of single queues: their jobs are in their lists alone, and others go on
	for _, name := range with {
		a, err := l.read(ctx, name)
		if err != nil {
			broken = errors.Join(broken, fmt.Errorf("lanes of %s are off: %w", name, err))
			continue
		}
		rules[name] = a
		if !a.on && (a.parked > 0 || a.waits) { // a late doorbell may have taken a job
			broken = errors.Join(broken, l.drain(ctx, name))
		} else if a.on && (a.waits || a.opens) {
			waiting = append(waiting, name)
		}
	}
	l.mu.Lock()
	before := l.rules
	l.rules = rules
	l.mu.Unlock()
	l.tell(before, rules)
	return waiting, broken
}

// tell logs which queues have lanes now, or no more.
func (l *Lanes) tell(before, after map[string]active) {
	for name, a := range after {
		if was := before[name]; was.on != a.on || was.rev != a.rev {
			l.log.Info("lanes", "queue", name, "on", a.on, "key", a.key.String())
		}
	}
}

// read reads a rule.
func (l *Lanes) read(ctx context.Context, name string) (a active, err error) {
	ks := l.store.Keys()
	pipe := l.store.DB().Own.Pipeline()
	fields := pipe.HMGet(ctx, ks.Key(ruleKey(name)), "key", "rev", "state", "beside", "besides",
		"until", "parked")
	now := pipe.Time(ctx)
	var keys []string
	for _, k := range waits(name) {
		keys = append(keys, ks.Key(k))
	}
	exist := pipe.Exists(ctx, keys...)
	due := pipe.ZCount(ctx, callKeys(ks, name)[3], "-inf", strconv.FormatInt(time.Now().UnixMilli(),
		10))
	if _, err := pipe.Exec(ctx); err != nil {
		return a, err
	}
	f := row(fields.Val())
	if a.key, err = ParseKey(f.text(0)); err != nil {
		return a, err
	}
	a.rev, a.waits, a.parked = f.text(1), exist.Val() > 0, f.number(6)
	a.on, a.opens = f.isOn(2, now.Val()), due.Val() > 0
	return a, nil
}

// Serves reports whether jobs of a queue are in lanes.
func (l *Lanes) Serves(name string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.rules[name].on
}

// Sift moves a page of jobs of a queue from its list to their lanes. more says that the list may
// hold others; busy says that another process moves them now.
func (l *Lanes) Sift(ctx context.Context, name, identity string) (more, busy bool, err error) {
	l.mu.RLock()
	rule := l.rules[name]
	l.mu.RUnlock()
	if !rule.on {
		return false, false, nil
	}
	db, ks := l.store.DB(), l.store.Keys()
	reply, err := db.RunOwn(ctx, pageScript, []string{ks.Queue(name), ks.Key(leaseKey(name)),
		ks.Key(arrivedKey(name))}, identity, leaseFor.Milliseconds(), pageCount, pageBytes,
		l.store.MaxTaken()).Result()
	if err != nil {
		return false, false, fmt.Errorf("sift %s: %w", name, err)
	}
	jobs, ok := reply.([]any)
	if !ok {
		return true, true, nil
	}
	if len(jobs) == 0 {
		return false, false, nil
	}
	args := make([]any, 3, 3+2*len(jobs))
	args[0], args[1], args[2] = rule.rev, identity, l.store.MaxTaken()
	for _, job := range jobs {
		raw, _ := job.(string)
		args = append(args, rule.key.Lane(raw), raw)
	}
	moved, err := db.RunOwn(ctx, siftScript, callKeys(ks, name, leaseKey(name)),
		args...).Int64Slice()
	if err != nil {
		return false, false, fmt.Errorf("sift %s: %w", name, err)
	}
	// 0: another process moved them; -1: the rule is another one now
	return moved[1] == 1, moved[0] <= 0, nil
}

// drain gives parked jobs back to the queue's list until there are none, or for drainFor.
func (l *Lanes) drain(ctx context.Context, name string) error {
	for began := time.Now(); time.Since(began) < drainFor; {
		if moved, err := (Control{l.store}).drainSome(ctx, name); err != nil || moved == 0 {
			return err
		}
	}
	return nil
}

// beside notes in Redis which of the queues are served by processes that are not Kyu's: lanes are
// off while the note is there. It also notes that this process serves the queues.
func (l *Lanes) beside(ctx context.Context, queues []string) error {
	ruby, err := Control{l.store}.Ruby(ctx)
	if err != nil {
		return err
	}
	rdb, ks := l.store.DB().Own, l.store.Keys()
	now, err := rdb.Time(ctx).Result()
	if err != nil {
		return fmt.Errorf("lanes: %w", err)
	}
	pipe := rdb.Pipeline()
	for _, name := range queues {
		key := ks.Key(ruleKey(name))
		pipe.HSet(ctx, key, "seen", now.UnixMilli())
		if who := ruby[name]; who != "" {
			pipe.HSet(ctx, key, "beside", who)
		} else {
			pipe.HDel(ctx, key, "beside")
		}
	}
	if _, err = pipe.Exec(ctx); err != nil {
		return fmt.Errorf("lanes: %w", err)
	}
	return nil
}

// Ruby returns, by queue, a process that serves it and is not Kyu's: it has no lease.
func (c Control) Ruby(ctx context.Context) (map[string]string, error) {
	rdb, ks := c.Store.DB().Own, c.Store.Keys()
	all, err := rdb.SMembers(ctx, ks.Processes()).Result()
	if err != nil || len(all) == 0 {
		return nil, err
	}
	pipe := rdb.Pipeline()
	infos, leases := make([]*redis.StringCmd, len(all)), make([]*redis.FloatCmd, len(all))
	for i, identity := range all {
		infos[i] = pipe.HGet(ctx, ks.Key(identity), "info")
		leases[i] = pipe.ZScore(ctx, ks.Leases(), identity)
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, fmt.Errorf("lanes: processes: %w", err)
	}
	found := map[string]string{}
	for i, identity := range all {
		var info struct {
			Queues []string `json:"queues"`
		}
		if leases[i].Err() == nil || json.Unmarshal([]byte(infos[i].Val()), &info) != nil {
			continue
		}
		for _, name := range info.Queues {
			found[name] = identity
		}
	}
	return found, nil
}
