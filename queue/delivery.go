package queue

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

// Delivery is a job in someone's hands: a field of an in-flight hash, until it is settled.
type Delivery struct {
	Raw   string // the payload, byte for byte; empty if only its token is known (Held)
	Queue string // the queue it was taken from
	Owner *Owner
	Token uint64 // names it in the owner's in-flight hash; never used twice by a Store
}

// Owner is what one identity holds in Redis: its lease and its deliveries. A process takes a
// new identity, and so a new Owner, when its lease is lost.
type Owner struct {
	Identity string
	store    *Store
	mu       sync.Mutex
	keys     map[string]*ownerKeys // by queue
	told     beatReply             // of the last beat; only Beat reads and writes it
}

type ownerKeys struct{ list, inflight, landing string }

// Owner gives identity a place in Redis. It takes no lease: Register does.
func (s *Store) Owner(identity string) *Owner {
	return &Owner{Identity: identity, store: s, keys: map[string]*ownerKeys{}}
}

func (o *Owner) queue(name string) *ownerKeys {
	o.mu.Lock()
	defer o.mu.Unlock()
	k := o.keys[name]
	if k == nil {
		ks := o.store.ks
		k = &ownerKeys{ks.Queue(name), ks.Inflight(name, o.Identity), ks.Landing(name, o.Identity)}
		o.keys[name] = k
	}
	return k
}

// Tokens reserves n tokens and returns the first. A token names a delivery for the life of
// the Store, whatever identity it is used under: an acknowledgement that comes late can
// never meet another delivery.
func (s *Store) Tokens(n int) uint64 { return s.tokens.Add(uint64(n)) - uint64(n) + 1 }

const (
	// MaxFetch is the most jobs that one Fetch takes or acknowledges: Lua's stack bounds it.
	MaxFetch = 1000
	// FetchBytes is the most bytes of payloads that one Fetch takes, beside the first.
	FetchBytes = 8 << 20
	// FetchPop is how many jobs are popped from a queue before their sizes are known.
	FetchPop = 64
)

// FetchRequest says what a fetch does, in this order: it acknowledges Done, puts the jobs of
// the landing lists of Adopt back to the taking end of their queues, and takes up to Want
// jobs, under the tokens First, First+1, ….
type FetchRequest struct {
	Queues []string
	Want   int    // at most MaxFetch
	First  uint64 // of Tokens(Want)
	// nil: strict; else an order of queues for each job, 1-based indexes as bytes
	Draws []string
	Done  []*Delivery // of this owner and of Queues; others must be settled by Settle
	Adopt []int       // indexes of Queues
	Bytes int         // of all payloads together, beside the first; 0: FetchBytes
	Pop   int         // jobs to look at at first, to learn how large they are; 0: FetchPop
}

// Fetched is the reply of a fetch.
type Fetched struct {
	Jobs      []Delivery // to be copied: one that is kept would keep all
	Acked     int        // of Done, how many were in the owner's hands
	Oversized int        // jobs too large to be read (Config.MaxTaken): in the dead set as they are
	More      bool       // jobs were left behind for their bytes, though Jobs is short
	BadKey    string     // a key of a wrong type that held jobs up, or ""
	Refused   []int      // indexes of the queues that it holds up: their jobs stay where they are
	Paused    []int      // indexes of the queues that were left alone because they are paused
}

// Fetch carries a request out in one script. Without draws, no job is taken from a queue
// while one before it in Queues holds a job. With draws, each takes one job from the first
// queue that has one. Paused queues are skipped.
//
// The error is ErrLeaseLost if the lease is gone; Done is settled then all the same. After
// any other error what was done is not known: Done can be settled again by Settle, and what
// may have been taken is found by Held.
func (o *Owner) Fetch(ctx context.Context, r FetchRequest) (f Fetched, err error) {
	keys, args := o.fetchArgs(&r)
	reply, err := o.store.db.RunOwn(ctx, fetchScript, keys, args...).Slice()
	if err != nil {
		return f, fmt.Errorf("fetch: %w", err)
	}
	number := func(i int) int { n, _ := reply[i].(int64); return int(n) }
	f.Acked = number(0)
	if number(1) == 0 {
		return f, ErrLeaseLost
	}
	f.Oversized, f.More = number(2), number(3) == 1
	f.BadKey, _ = reply[4].(string)
	f.Refused, f.Paused = queueIndexes(reply[5]), queueIndexes(reply[6])
	f.Jobs = o.deliveries(reply[7:], &r)
	return f, nil
}

// queueIndexes reads indexes of queues, which Lua counts from 1, a byte each.
func queueIndexes(v any) (list []int) {
	text, _ := v.(string)
	for _, q := range []byte(text) {
		list = append(list, int(q)-1)
	}
	return list
}

func (o *Owner) fetchArgs(r *FetchRequest) (keys []string, args []any) {
	ks := o.store.ks
	keys = make([]string, 4, 4+2*len(r.Queues)+len(r.Adopt))
	keys[0], keys[1], keys[2], keys[3] = ks.Leases(), ks.Paused(), ks.Dead(),
		ks.Queues()
	room, pop := cmp.Or(r.Bytes, FetchBytes), cmp.Or(r.Pop, FetchPop)
	adopt := make([]byte, len(r.Adopt))
	for i, q := range r.Adopt {
		adopt[i] = byte(q + 1)
	}
	args = make([]any, 9, 9+r.Want+len(r.Queues)+len(r.Done)+len(r.Draws))
	args[0], args[1], args[2], args[3] = o.Identity, r.Want, ks.QueuePrefixLen(), o.store.maxTaken
	args[4], args[5] = envelope.Score(time.Now()), room
	args[6], args[7], args[8] = len(r.Queues), adopt, pop
	tokens := make([]uint64, r.Want)
	for i := range tokens {
		tokens[i] = r.First + uint64(i)
		args = append(args, &tokens[i]) // a number would be allocated, each by itself
	}
	for _, name := range r.Queues {
		k := o.queue(name)
		keys = append(keys, k.list, k.inflight)
		at, n := len(args), 0
		args = append(args, nil)
		for _, d := range r.Done {
			if d.Queue == name && d.Owner == o { // a token is never sent for another identity
				args = append(args, &d.Token)
				n++
			}
		}
		args[at] = n
	}
	for _, q := range r.Adopt {
		keys = append(keys, o.queue(r.Queues[q]).landing)
	}
	for _, d := range r.Draws {
		args = append(args, d)
	}
	return keys, args
}

// deliveries reads the jobs of a fetch: per run of one queue its index and the payloads.
func (o *Owner) deliveries(reply []any, r *FetchRequest) []Delivery {
	jobs, token := make([]Delivery, 0, r.Want), r.First
	for i := 0; i+1 < len(reply); i += 2 {
		q, _ := reply[i].(int64)
		raws, _ := reply[i+1].([]any)
		for _, raw := range raws {
			text, _ := raw.(string)
			jobs = append(jobs, Delivery{Raw: text, Queue: r.Queues[q], Owner: o, Token: token})
			token++
		}
	}
	return jobs
}

// Action is where a settled job goes.
type Action string

const (
	Done     Action = "done"     // nowhere: it has run, or is discarded
	Retry    Action = "retry"    // the retry set
	Schedule Action = "schedule" // the schedule set
	Dead     Action = "dead"     // the dead set
	Requeue  Action = "requeue"  // the taking end of its queue, unchanged
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
	Effects  []Effect  // of Store.Effects; at most MaxEffectItems settlements of a batch have any
	Failed   string    // set by Settle if the result is Partly: which effects failed, and why
}

// Result is what a script did with one job.
type Result int8

const (
	Refused Result = -1 // nothing: a key that it would go to has a wrong type
	Stale   Result = 0  // nothing: the delivery was not in its owner's hands any more
	Settled Result = 1
	Partly  Result = 2 // settled, but an effect of it failed
)

// Settle carries out settlements, in order, with a result for each. After an error it can
// be repeated: what was settled is then stale. A batch without effects takes the script that
// knows none.
func (s *Store) Settle(ctx context.Context, batch []Settlement) ([]Result, error) {
	keys, args := s.settleArgs(batch)
	if s.effects != nil && slices.ContainsFunc(batch, (Settlement).hasEffects) {
		return s.settleEffects(ctx, batch, keys, args)
	}
	reply, err := s.db.RunOwn(ctx, settleScript, keys, args...).Int64Slice()
	if err != nil {
		return nil, fmt.Errorf("settle: %w", err)
	}
	results := make([]Result, len(batch))
	for i := range results {
		results[i] = Result(reply[i])
	}
	return results, nil
}

func (s *Store) settleArgs(batch []Settlement) (keys []string, args []any) {
	keys = []string{s.ks.Queues(), s.ks.Retry(), s.ks.Schedule(),
		s.ks.Dead(), s.ks.Held()}
	index := map[*ownerKeys]int{}
	for _, x := range batch {
		k := x.Delivery.Owner.queue(x.Delivery.Queue)
		if _, seen := index[k]; !seen {
			index[k] = len(index)
			keys = append(keys, k.list, k.inflight)
		}
	}
	args = make([]any, 0, 3+7*len(batch))
	args = append(args, envelope.Score(time.Now().Add(-s.deadLimits.age)), s.deadLimits.max,
		s.ks.QueuePrefixLen())
	for _, x := range batch {
		due, to := "", 0
		if !x.At.IsZero() {
			due = envelope.Score(x.At)
		}
		switch x.Action {
		case Forward:
			keys = append(keys, s.ks.Queue(x.To))
			to = len(keys)
		case Hold:
			keys = append(keys, s.ks.Hold(x.To))
			to = len(keys)
		}
		q := index[x.Delivery.Owner.queue(x.Delivery.Queue)]
		token := strconv.FormatUint(x.Delivery.Token, 10)
		args = append(args, string(x.Action), q, token, x.Payload, due, to, x.To)
	}
	return keys, args
}

// Own copies the jobs, so that each can be kept by itself.
func (f *Fetched) Own() []*Delivery {
	list := make([]*Delivery, len(f.Jobs))
	for i, d := range f.Jobs {
		list[i] = &d
	}
	return list
}

// Held lists what Redis says is in the owner's hands, without payloads, and the indexes of
// the queues whose landing lists hold jobs. What the caller does not know of came with a
// reply that was lost.
func (o *Owner) Held(ctx context.Context,
	queues []string) (held []*Delivery, landed []int, err error) {
	pipe := o.store.db.Own.Pipeline()
	tokens, lengths := make([]*redis.StringSliceCmd, len(queues)),
		make([]*redis.IntCmd, len(queues))
	for i, name := range queues {
		k := o.queue(name)
		tokens[i], lengths[i] = pipe.HKeys(ctx, k.inflight), pipe.LLen(ctx, k.landing)
	}
	// A key that answers with an error has a wrong type: it holds nothing of ours.
	if _, err := pipe.Exec(ctx); err != nil && !redisdb.Answered(err) {
		return nil, nil, fmt.Errorf("audit: %w", err)
	}
	for i, name := range queues {
		for _, field := range tokens[i].Val() {
			if token, err := strconv.ParseUint(field, 10, 64); err == nil {
				held = append(held, &Delivery{Queue: name, Owner: o, Token: token})
			}
		}
		if lengths[i].Val() > 0 {
			landed = append(landed, i)
		}
	}
	return held, landed, nil
}
