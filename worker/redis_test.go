package worker

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/redis/go-redis/v9"
)

// This file has what tests read from Redis, and what they write to it in the place of other
// processes.

// size returns how many jobs are in a set.
func (b *bench) size(set string) int64 { return b.raw.ZCard(b.Context(), set).Val() }

// waiting returns how many jobs are in a queue.
func (b *bench) waiting(q string) int64 {
	n, err := b.raw.LLen(b.Context(), "queue:"+q).Result()
	if err != nil {
		b.Error(err)
	}
	return n
}

// empty reports whether nothing is in a queue, in a landing list or in flight. It looks in the
// order in which jobs move, so none moves behind it.
func (b *bench) empty() bool {
	for _, pattern := range []string{"queue:*", "kyu:*landing*", "kyu:*inflight*"} {
		if len(b.raw.Keys(b.Context(), pattern).Val()) > 0 {
			return false
		}
	}
	return true
}

// inFlight counts the jobs that Redis has as delivered to workers.
func (b *bench) inFlight() (n int64) {
	for _, key := range b.raw.Keys(b.Context(), "kyu:{queue:*inflight*").Val() {
		n += b.raw.HLen(b.Context(), key).Val()
	}
	return n
}

// count counts the jobs of a class that Redis has as delivered to workers.
func (b *bench) count(class string) (n int) {
	for _, key := range b.raw.Keys(b.Context(), "kyu:{queue:*inflight*").Val() {
		for _, raw := range b.raw.HVals(b.Context(), key).Val() {
			if strings.Contains(raw, fmt.Sprintf(`"class":%q`, class)) {
				n++
			}
		}
	}
	return n
}

// only returns the job of a set that has exactly one.
func (b *bench) only(set *inspect.JobSet) *queue.Job {
	b.Helper()
	page, err := set.Page(b.Context(), 0, 2)
	if err != nil || len(page) != 1 {
		b.Fatalf("%d jobs in the set, want 1 (%v)", len(page), err)
	}
	return page[0].Job
}

// bells returns how many connections wait in Redis for a push.
func (b *bench) bells() int64 { return b.info("clients", "blocked_clients") }

// info returns a number of Redis's INFO.
func (b *bench) info(section, field string) (n int64) {
	for line := range strings.Lines(b.raw.Info(b.Context(), section).Val()) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			fmt.Sscanf(rest, "%d", &n)
		}
	}
	return n
}

// calls returns how often Redis has carried out a command.
func (b *bench) calls(command string) int64 { return b.commandStat(command, "calls=") }

// refusals returns how often Redis has refused a command.
func (b *bench) refusals(command string) int64 { return b.commandStat(command, "rejected_calls=") }

func (b *bench) commandStat(command, field string) (n int64) {
	for line := range strings.Lines(b.raw.Info(b.Context(), "commandstats").Val()) {
		if rest, ok := strings.CutPrefix(line, "cmdstat_"+command+":"); ok {
			_, rest, _ = strings.Cut(","+rest, ","+field)
			fmt.Sscanf(rest, "%d", &n)
		}
	}
	return n
}

// score returns the end of an identity's lease, negative if it is fenced, and whether there is one.
func (b *bench) score(identity string) (end float64, found bool) {
	end, err := b.raw.ZScore(b.Context(), "kyu:leases", identity).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		b.Fatal(err)
	}
	return end, err == nil
}

// leased reports whether an identity has a lease that has not ended.
func (b *bench) leased(identity string) bool {
	leases, err := b.store.Leases(b.Context())
	for _, l := range leases {
		if l.Identity == identity {
			return !l.Ended && !l.Fenced
		}
	}
	return err != nil // not known
}

// inflightKey is the key of the jobs of a queue that an identity has in flight.
func inflightKey(q, identity string) string { return "kyu:{queue:" + q + "}:inflight:" + identity }

// take fetches one job of a queue as an owner.
func (b *bench) take(o *queue.Owner, q string) {
	b.Helper()
	got, err := o.Fetch(b.Context(), queue.FetchRequest{Queues: []string{q}, Want: 1,
		First: b.store.Tokens(1)})
	if err != nil || len(got.Jobs) != 1 {
		b.Fatalf("%d jobs fetched, want 1 (%v)", len(got.Jobs), err)
	}
}

// owner registers an owner on another machine that serves a queue.
func (b *bench) owner(identity, q string, lease time.Duration) *queue.Owner {
	b.Helper()
	o, h := b.store.Owner(identity), queue.Host{Name: "elsewhere", PID: 1}
	if err := o.Register(b.Context(), h, []string{q}, lease); err != nil {
		b.Fatal(err)
	}
	return o
}

// deadOwner registers an owner on another machine that has given up its lease, with payloads of a
// queue in flight.
func (b *bench) deadOwner(identity, q string, payloads ...string) {
	b.Helper()
	b.owner(identity, q, time.Minute)
	for i, p := range payloads {
		b.raw.HSet(b.Context(), inflightKey(q, identity), i+1, p)
	}
	b.fence(identity)
}

// fence declares an identity dead, as another process does that saw no beat of it.
func (b *bench) fence(identity string) {
	b.Helper()
	b.until("the lease can be fenced", func() bool {
		leases, err := b.store.Leases(b.Context())
		for _, l := range leases {
			if err == nil && l.Identity == identity {
				fenced, err := b.store.Fence(b.Context(), l)
				return fenced && err == nil
			}
		}
		return false
	})
}

// fence declares the present identity of p dead, and returns it.
func (p *process) fence() (identity string) {
	p.b.Helper()
	identity = p.Status().Identity
	p.b.fence(identity)
	return identity
}

// renewedFrom waits until p works under another identity than before.
func (p *process) renewedFrom(before string) {
	p.b.Helper()
	p.b.until("it takes a new identity", func() bool { return p.Status().Identity != before })
}
