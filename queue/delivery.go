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

// Delivery is a job in flight: it is a field of an in-flight hash until it is settled.
type Delivery struct {
	Raw   string // the payload, byte for byte; empty if only the token is known (InFlight)
	Queue string // the queue from which it was taken
	Owner *Owner // the owner that has it in flight
	Token uint64 // its field in the owner's in-flight hash; a Store uses a token only once
	// Sourced says that the queue had a Source when the job was taken, so the job may hold
	// something there, such as a place in a lane.
	Sourced bool
}

// Owner is one identity of a process in Redis: it has a lease and takes jobs in flight. When the
// lease is lost, the process takes a new identity, with a new Owner. An Owner is safe for
// concurrent use, except for the methods that say otherwise.
type Owner struct {
	Identity    string
	store       *Store
	mu          sync.Mutex
	keys        map[string]*ownerKeys // by queue; guarded by mu
	lastSignals signalReply           // only Beat uses it
}

type ownerKeys struct{ list, inflight, landing string }

// Owner returns the Owner of an identity. It does not call Redis; Register takes the lease.
func (s *Store) Owner(identity string) *Owner {
	return &Owner{Identity: identity, store: s, keys: map[string]*ownerKeys{}}
}

// Store returns the Store of the owner.
func (o *Owner) Store() *Store { return o.store }

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

// Tokens reserves n consecutive tokens and returns the first. A token names one delivery for the
// life of the Store, under every identity. So an acknowledgement that arrives late cannot settle
// another delivery.
func (s *Store) Tokens(n int) uint64 { return s.tokens.Add(uint64(n)) - uint64(n) + 1 }

const (
	// MaxFetch is the most jobs that one Fetch takes, and the most that it acknowledges: Lua's
	// stack has no room for more.
	MaxFetch = 1000
	// FetchBytes is the most bytes of payloads that one Fetch takes, without the first payload.
	FetchBytes = 8 << 20
	// FetchPop is how many jobs a Fetch pops from a queue before it knows the sizes of payloads.
	FetchPop = 64
)

// FetchRequest is a request for a fetch, which works in this order: it acknowledges Done, moves the
// jobs of the landing lists of Adopt back to the taking end of their queues, and takes up to Want
// jobs in flight, under the tokens First, First+1, ….
type FetchRequest struct {
	Queues []string
	Want   int    // at most MaxFetch
	First  uint64 // from Tokens(Want)
	// Draws is nil for the order of Queues. Else it has, for each job to take, the order in which
	// queues are tried: their 1-based indexes, as bytes.
	Draws []string
	// Turns is nil for the order of Queues or Draws. Else it has the queues in the order in which
	// jobs are taken, with a bound for each; a queue may have several turns.
	Turns []Turn
	// Sources are the indexes of the queues whose jobs a Source keeps.
	Sources []int
	Done    []*Delivery // of this owner and of Queues; other deliveries are settled by Settle
	Adopt   []int       // indexes of Queues
	Bytes   int         // the most bytes of all payloads, without the first; FetchBytes if 0
	Pop     int         // how many jobs to pop before sizes are known; FetchPop if 0
}

// Turn takes up to Most jobs from a queue, of which Queue is the index.
type Turn struct{ Queue, Most int }

// Fetched is the reply of a fetch.
type Fetched struct {
	Jobs      []Delivery // share memory: copy them with Own to keep some
	Acked     int        // how many of Done were in flight
	Oversized int        // how many jobs over Config.MaxTaken were moved to the dead set unchanged
	More      bool       // fewer than Want jobs were taken because of their bytes: others wait
	BadKey    string     // a key of a wrong type that stopped a queue, or ""
	Refused   []int      // indexes of the queues that wrong types stopped: their jobs stay
	Paused    []int      // indexes of the queues that were passed over because they are paused
	// Unseen are the indexes of the queues whose lists hold jobs that their Source has not seen.
	Unseen []int
	// Opens is the time after which a Source may have a job that it has not now; -1: not known.
	// It is valid only if the request has Sources.
	Opens time.Duration

	sourced []int // indexes of the queues whose jobs came from their Source
}

// Fetch carries out a request, in one script. Without draws, no job is taken from a queue while a
// queue before it in Queues holds a job. With draws, each draw takes one job from the first of its
// queues that has one. With turns, the turns are taken one after the other. Paused queues are
// passed over.
//
// The error is ErrLeaseLost if the lease is lost; Done is acknowledged nevertheless. After any
// other error the outcome is unknown: Done can be settled again by Settle, and InFlight finds the
// jobs that may have been taken.
func (o *Owner) Fetch(ctx context.Context, r FetchRequest) (Fetched, error) {
	script, keys, args := o.fetchCall(&r)
	reply, err := o.store.db.RunOwn(ctx, script, keys, args...).Slice()
	return o.fetched(&r, reply, err)
}

// fetchCall returns the script of a fetch with its keys and arguments.
func (o *Owner) fetchCall(r *FetchRequest) (script *redisdb.Script, keys []string, args []any) {
	r.Sources = sourcesOf(r)
	keys, args = o.fetchArgs(r)
	switch {
	case len(r.Sources) > 0:
		return o.store.effects.source, keys, args
	case r.Turns != nil:
		return turnsScript, keys, args
	}
	return fetchScript, keys, args
}

// fetched decodes the reply of a fetch.
func (o *Owner) fetched(r *FetchRequest, reply []any, err error) (f Fetched, _ error) {
	if err != nil {
		return f, fmt.Errorf("fetch: %w", err)
	}
	if len(r.Sources) > 0 {
		reply = f.readSource(reply)
	}
	number := func(i int) int { n, _ := reply[i].(int64); return int(n) }
	f.Acked = number(0)
	if number(1) == 0 {
		return f, ErrLeaseLost
	}
	f.Oversized, f.More = number(2), number(3) == 1
	f.BadKey, _ = reply[4].(string)
	f.Refused, f.Paused = queueIndexes(reply[5]), queueIndexes(reply[6])
	f.Jobs = o.deliveries(reply[7:], r, f.sourced)
	return f, nil
}

// queueIndexes decodes indexes of queues, a byte each, which Lua counts from 1.
func queueIndexes(v any) (list []int) {
	text, _ := v.(string)
	for _, q := range []byte(text) {
		list = append(list, int(q)-1)
	}
	return list
}

// fetchArgs returns the keys and arguments of the fetch script, as its header describes them.
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
	args = make([]any, 9, 9+r.Want+len(r.Queues)+len(r.Done)+len(r.Draws)+2*len(r.Turns))
	args[0], args[1], args[2], args[3] = o.Identity, r.Want, ks.QueuePrefixLen(), o.store.maxTaken
	args[4], args[5] = envelope.Score(time.Now()), room
	args[6], args[7], args[8] = len(r.Queues), adopt, pop
	tokens := make([]uint64, r.Want)
	for i := range tokens {
		tokens[i] = r.First + uint64(i)
		args = append(args, &tokens[i]) // a pointer: each number would be allocated on its own
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
	if len(r.Sources) > 0 {
		keys, args = o.sourceArgs(r, keys, args)
	}
	for _, d := range r.Draws {
		args = append(args, d)
	}
	for _, turn := range r.Turns {
		args = append(args, turn.Queue+1, turn.Most)
	}
	return keys, args
}

// deliveries decodes the jobs of a fetch: pairs of the index of a queue and a list of payloads.
func (o *Owner) deliveries(reply []any, r *FetchRequest, sources []int) []Delivery {
	jobs, token := make([]Delivery, 0, r.Want), r.First
	for i := 0; i+1 < len(reply); i += 2 {
		q, _ := reply[i].(int64)
		raws, _ := reply[i+1].([]any)
		sourced := slices.Contains(sources, int(q))
		for _, raw := range raws {
			text, _ := raw.(string)
			jobs = append(jobs, Delivery{Raw: text, Queue: r.Queues[q], Owner: o, Token: token,
				Sourced: sourced})
			token++
		}
	}
	return jobs
}

// Action says where a settled job goes.
type Action string

const (
	Done     Action = "done"     // it is removed: it has run, or is discarded
	Retry    Action = "retry"    // to the retry set
	Schedule Action = "schedule" // to the schedule set
	Dead     Action = "dead"     // to the dead set
	Requeue  Action = "requeue"  // to the taking end of its queue, unchanged
	Forward  Action = "forward"  // to the back of a queue, its own or another
	Hold     Action = "hold"     // to the hold set of its class
)

// Settlement says where a delivery goes.
type Settlement struct {
	Delivery *Delivery
	Action   Action
	Payload  string    // the new payload; not used by Done and Requeue
	At       time.Time // when the job is due, died, or was held; Requeue: see Source.Left
	To       string    // the queue of Forward, the class of Hold
	Effects  []Effect  // from Owner.Effects; at most MaxEffectItems settlements of a batch have any
	Failed   string    // set by Settle if the result is Partly: the effects that failed, and why
}

// Result is the result of Settle for a delivery.
type Result int8

const (
	Refused Result = -1 // nothing: a key to which the job would go has a wrong type
	Stale   Result = 0  // nothing: the delivery was not in flight any more
	Settled Result = 1
	Partly  Result = 2 // settled, but one of its effects failed
)

// Settle carries out settlements, in order, and returns a result for each. After an error the
// outcome is unknown, and Settle can be repeated: the results of deliveries that were settled are
// then Stale. A batch without effects uses the script without effects.
func (s *Store) Settle(ctx context.Context, batch []Settlement) ([]Result, error) {
	if slices.ContainsFunc(batch, (Settlement).sourced) {
		return s.settleSourced(ctx, batch)
	}
	return s.settle(ctx, batch)
}

func (s *Store) settle(ctx context.Context, batch []Settlement) ([]Result, error) {
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

// settleArgs returns the keys and arguments of the settle script, as its header describes them.
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
		if !x.At.IsZero() && x.Action != Requeue {
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

// Own returns copies of the jobs, each of which can be kept without the others.
func (f *Fetched) Own() []*Delivery {
	list := make([]*Delivery, len(f.Jobs))
	for i, d := range f.Jobs {
		list[i] = &d
	}
	return list
}

// InFlight returns the deliveries that the owner has in Redis, without payloads, and the indexes of
// the queues whose landing lists hold jobs. A delivery that the caller does not know was in a reply
// that was lost.
func (o *Owner) InFlight(ctx context.Context,
	queues []string) (list []*Delivery, landed []int, err error) {
	pipe := o.store.db.Own.Pipeline()
	tokens, lengths := make([]*redis.StringSliceCmd, len(queues)),
		make([]*redis.IntCmd, len(queues))
	for i, name := range queues {
		k := o.queue(name)
		tokens[i], lengths[i] = pipe.HKeys(ctx, k.inflight), pipe.LLen(ctx, k.landing)
	}
	// A key whose reply is an error has a wrong type, so it holds no deliveries.
	if _, err := pipe.Exec(ctx); err != nil && !redisdb.Answered(err) {
		return nil, nil, fmt.Errorf("audit: %w", err)
	}
	for i, name := range queues {
		for _, field := range tokens[i].Val() {
			if token, err := strconv.ParseUint(field, 10, 64); err == nil {
				list = append(list, &Delivery{Queue: name, Owner: o, Token: token,
					Sourced: o.store.source() != nil})
			}
		}
		if lengths[i].Val() > 0 {
			landed = append(landed, i)
		}
	}
	return list, landed, nil
}
