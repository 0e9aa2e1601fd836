package queue

import (
	"cmp"
	"context"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Delivery is a job in someone's hands: it is in flight until it is settled.
type Delivery struct {
	Raw   string // the payload, byte for byte
	Queue string // the queue it was taken from
	Owner *Owner
	token uint64 // names it in the owner's in-flight hash; 0: it lies in the landing list
}

// Owner is what one identity holds in Redis: its lease and its deliveries. A
// process takes a new identity, and so a new Owner, when its lease is lost.
type Owner struct {
	Identity string
	store    *Store
	seq      atomic.Uint64
	buried   atomic.Int64
	mu       sync.Mutex
	keys     map[string]*ownerKeys // by queue
}

type ownerKeys struct{ list, inflight, landing string }

// Owner gives identity a place in Redis. It takes no lease: Beat does.
func (s *Store) Owner(identity string) *Owner {
	return &Owner{Identity: identity, store: s, keys: map[string]*ownerKeys{}}
}

func (o *Owner) queue(name string) *ownerKeys {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.keys[name]
	if k == nil {
		ks := o.store.ks
		k = &ownerKeys{ks.queue(name), ks.inflight(name, o.Identity), ks.landing(name, o.Identity)}
		o.keys[name] = k
	}
	return k
}

// MaxFetch is the most jobs that one Fetch takes or acknowledges: Lua's stack
// bounds it.
const MaxFetch = 1000

// Fetch acknowledges done, then takes up to want jobs. Without draws, no job is
// taken from a queue while one before it in queues holds a job. With draws, each
// takes one job from the first queue that has one, in the order of its bytes,
// which are 1-based indexes into queues. Paused queues are skipped.
//
// stale is how many of done were not in the owner's hands any more. Every
// delivery of done must be of this owner, of one of queues, and fetched (not
// landed). The error is ErrLeaseLost if the lease is gone; done is settled then
// all the same. After any other error what was done is not known: done can be
// settled again, and what may have been taken is found by Audit.
func (o *Owner) Fetch(ctx context.Context, queues []string, want int, draws []string, done []*Delivery) (jobs []*Delivery, stale int, err error) {
	first := o.seq.Add(uint64(want)) - uint64(want) + 1
	keys := make([]string, 3, 3+2*len(queues))
	ks := o.store.ks
	keys[0], keys[1], keys[2] = ks.key(keyLeases), ks.key(keyPaused), ks.key(keyDead)
	args := make([]any, 5, 5+want+len(queues)+len(done)+len(draws))
	args[0], args[1], args[2], args[3], args[4] = o.Identity, want, ks.queuePrefixLen(), o.store.maxTaken, score(time.Now())
	tokens := make([]uint64, want)
	for i := range tokens {
		tokens[i] = first + uint64(i)
		args = append(args, &tokens[i]) // a number would be allocated, each by itself
	}
	for _, name := range queues {
		k := o.queue(name)
		keys = append(keys, k.list, k.inflight)
		at, n := len(args), 0
		args = append(args, nil)
		for _, d := range done {
			if d.Queue == name {
				args = append(args, &d.token)
				n++
			}
		}
		args[at] = n
	}
	for _, d := range draws {
		args = append(args, d)
	}
	reply, err := o.store.run(ctx, fetchScript, keys, args...).Slice()
	if err != nil {
		return nil, 0, fmt.Errorf("fetch: %w", err)
	}
	acked, _ := reply[0].(int64)
	stale = len(done) - int(acked)
	if held, _ := reply[1].(int64); held == 0 {
		return nil, stale, ErrLeaseLost
	}
	if buried, _ := reply[2].(int64); buried > 0 {
		o.buried.Add(buried)
	}
	return o.deliveries(reply[3:], queues, first, want), stale, nil
}

// Buried is how many jobs were too large to be read (Config.MaxTaken) and went to
// the dead set as they were, since it was last asked.
func (o *Owner) Buried() int64 { return o.buried.Swap(0) }

// deliveries reads the jobs of a fetch: per run of one queue its index and the
// payloads.
func (o *Owner) deliveries(reply []any, queues []string, token uint64, want int) []*Delivery {
	batch := make([]Delivery, 0, want) // one allocation for all
	jobs := make([]*Delivery, 0, want)
	for i := 0; i+1 < len(reply); i += 2 {
		q, _ := reply[i].(int64)
		raws, _ := reply[i+1].([]any)
		for _, raw := range raws {
			text, _ := raw.(string)
			batch = append(batch, Delivery{Raw: text, Queue: queues[q], Owner: o, token: token})
			jobs = append(jobs, &batch[len(batch)-1])
			token++
		}
	}
	return jobs
}

// Landed reports whether d came through a doorbell and lies in the landing
// list: it must be settled by Settle, not as part of a Fetch.
func (d *Delivery) Landed() bool { return d.token == 0 }

// Action is where a settled job goes.
type Action string

const (
	Done     Action = "done"     // nowhere: it has run, or is discarded
	Retry    Action = "retry"    // the retry set
	Schedule Action = "schedule" // the schedule set
	Dead     Action = "dead"     // the dead set
	Requeue  Action = "requeue"  // the head of its queue, unchanged
	Forward  Action = "forward"  // the end of a queue, its own or another
	Hold     Action = "hold"     // the hold set of its class
)

// Settlement says what becomes of a delivery.
type Settlement struct {
	Delivery *Delivery
	Action   Action
	Payload  string    // the new bytes, for all but Done and Requeue
	At       time.Time // when it is due, when it died, or since when it is held
	To       string    // the queue for Forward, the class for Hold
}

// Settle carries out settlements, in order. stale[i] tells that the i-th
// delivery was not in its owner's hands any more, so that nothing was done.
// After an error it can be repeated: what was settled is then stale.
func (s *Store) Settle(ctx context.Context, batch []Settlement) (stale []bool, err error) {
	now := time.Now()
	keys := []string{s.ks.key(keyQueues), s.ks.key(keyRetry), s.ks.key(keySchedule), s.ks.key(keyDead), s.ks.key(keyHeld)}
	index := map[*ownerKeys]int{}
	for _, x := range batch {
		k := x.Delivery.Owner.queue(x.Delivery.Queue)
		if _, seen := index[k]; !seen {
			index[k] = len(index)
			keys = append(keys, k.list, k.inflight, k.landing)
		}
	}
	args := make([]any, 0, 3+8*len(batch))
	args = append(args, score(now.Add(-s.deadLimits.age)), s.deadLimits.max, s.ks.queuePrefixLen())
	for _, x := range batch {
		token, landed, due, to := "", "", "", 0
		if x.Delivery.Landed() {
			landed = x.Delivery.Raw
		} else {
			token = strconv.FormatUint(x.Delivery.token, 10)
		}
		if !x.At.IsZero() {
			due = score(x.At)
		}
		switch x.Action {
		case Forward:
			keys = append(keys, s.ks.queue(x.To))
			to = len(keys)
		case Hold:
			keys = append(keys, s.ks.hold(x.To))
			to = len(keys)
		}
		q := index[x.Delivery.Owner.queue(x.Delivery.Queue)]
		args = append(args, string(x.Action), q, token, landed, x.Payload, due, to, x.To)
	}
	reply, err := s.run(ctx, settleScript, keys, args...).Int64Slice()
	if err != nil {
		return nil, fmt.Errorf("settle: %w", err)
	}
	stale = make([]bool, len(batch))
	for i := range stale {
		stale[i] = reply[i] == 0
	}
	return stale, nil
}

// Audit compares what Redis says is in the owner's hands with what the caller
// knows it has, and returns the rest: jobs whose reply was lost on the way. It is
// right only while no Fetch or Bell of this owner is under way; a job that an
// old request brings in later is found by the next Audit.
func (o *Owner) Audit(ctx context.Context, queues []string, known []*Delivery) (lost []*Delivery, err error) {
	for _, name := range queues {
		k := o.queue(name)
		tokens, landed := map[uint64]bool{}, map[string]int{}
		for _, d := range known {
			switch {
			case d.Owner != o || d.Queue != name:
			case d.Landed():
				landed[d.Raw]++
			default:
				tokens[d.token] = true
			}
		}
		held, err := o.store.rdb.HKeys(ctx, k.inflight).Result()
		if err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
		for _, field := range held {
			token, err := strconv.ParseUint(field, 10, 64)
			if err != nil || tokens[token] {
				continue
			}
			raw, err := o.store.rdb.HGet(ctx, k.inflight, field).Result()
			if err == redis.Nil {
				continue
			} else if err != nil {
				return nil, fmt.Errorf("audit: %w", err)
			}
			lost = append(lost, &Delivery{Raw: raw, Queue: name, Owner: o, token: token})
		}
		buried, err := o.store.buryLarge(ctx, k.landing)
		if err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
		o.buried.Add(int64(buried))
		landing, err := o.store.rdb.LRange(ctx, k.landing, 0, -1).Result()
		if err != nil {
			return nil, fmt.Errorf("audit: %w", err)
		}
		for _, raw := range landing {
			if landed[raw] > 0 {
				landed[raw]--
				continue
			}
			lost = append(lost, &Delivery{Raw: raw, Queue: name, Owner: o})
		}
	}
	return lost, nil
}

// NewestFirst orders deliveries of one owner so that putting each at the head
// of its queue leaves the oldest in front.
func NewestFirst(a, b *Delivery) int { return cmp.Compare(b.token, a.token) }
