package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/faultproxy"
	"github.com/kyujobs/kyu/internal/harness"
	"github.com/kyujobs/kyu/queue"
)

// plan is how large a run is.
type plan struct {
	jobs    int
	every   time.Duration  // a fault
	faults  map[string]int // how many of each kind
	threads int
}

var plans = map[string]plan{
	"smoke": {20_000, 500 * time.Millisecond, map[string]int{"kill": 28, "drop": 12, "cut": 4, "silence": 2, "delay": 2, "stop": 2, "redis": 1}, 15},
	"full":  {1_000_000, 650 * time.Millisecond, map[string]int{"kill": 1050, "drop": 330, "cut": 100, "silence": 40, "delay": 40, "stop": 40, "zombie": 8, "redis": 20}, 15},
	"soak":  {10_000_000, 4 * time.Second, map[string]int{"kill": 3500, "drop": 1000, "cut": 300, "silence": 100, "delay": 100, "stop": 100, "zombie": 40, "redis": 60}, 15},
}

// network are the kinds of faults of the network, and replies what loses its reply.
var (
	network = []string{"drop", "cut", "silence", "delay"}
	replies = []string{"fetch", "settle", "beat", "promote", "publish", "reclaim", "push", "blmove"}
)

// result is what a run says at its end. With its seed the same faults come in the
// same order; when exactly they hit is the machine's.
type result struct {
	Seed    int64          `json:"seed"`
	Size    string         `json:"size"`
	Faults  map[string]int `json:"faults"`
	Verdict verdict        `json:"verdict"`
	Poison  int            `json:"poison"` // taken for poison, and brought back by hand
	Checks  int            `json:"checks"` // of conservation, during the run
	Seconds float64        `json:"seconds"`
	Date    string         `json:"date"`
}

// run is a ledger run: three workers, producers, and faults.
type run struct {
	*harness.Site
	t      *testing.T
	plan   plan
	rand   *rand.Rand
	ledger *ledger
	fleet  []*member
	pusher *faultproxy.Proxy // of the producers
	done   map[string]int
}

func TestNothingIsLostWhateverIsKilledAndCut(t *testing.T) {
	row := scores(t, 1)
	p := plans[*size]
	s := harness.New(t, "--appendonly", "yes", "--appendfsync", "everysec", "--maxmemory-policy", "noeviction")
	r := &run{Site: s, t: t, plan: p, ledger: newLedger(s), pusher: faultproxy.Start(t, s.Server.Addr), done: map[string]int{},
		rand: rand.New(rand.NewPCG(uint64(*seed), 0))}
	t.Logf("seed %d: %d jobs, faults %v", *seed, p.jobs, p.faults)
	began := time.Now()
	config := polls(s, 1)
	for range 3 {
		r.fleet = append(r.fleet, newMember(s, "-c", fmt.Sprint(p.threads), "-C", config, "-t", "5", "--log-level", "warn"))
	}
	produced := r.produce()
	checks := r.torment()
	produced()
	r.pusher.DropReply("", 0)
	poison := r.settle()
	v := r.ledger.check(t, s)
	bound := (r.done["kill"]+r.done["zombie"])*p.threads + r.done["drop"]
	if v.Duplicates > bound {
		t.Errorf("%d jobs ended twice, more than were in flight at the faults", v.Duplicates)
	}
	res := result{*seed, *size, r.done, v, poison, checks, time.Since(began).Seconds(), time.Now().Format(time.DateOnly)}
	if *out != "" {
		save(t, "ledger.jsonl", res)
	}
	net := 0
	for _, kind := range network {
		net += r.done[kind]
	}
	row("lost %d of %d, stranded %d, ended twice %d (bound %d), conflicts %d; %d kills, %d network faults, %d stops, %d kills of Redis; %d taken for poison and brought back; conservation checked %d times; %.0f s; seed %d",
		v.Lost, v.Acked, v.Stranded, v.Duplicates, bound, v.Conflicts, r.done["kill"], net, r.done["stop"]+r.done["zombie"], r.done["redis"], poison, checks, res.Seconds, *seed)
}

// produce pushes all jobs, spread over the time that the faults take. The returned
// function waits until it has.
func (r *run) produce() (wait func()) {
	r.Helper()
	n := 0
	for _, k := range r.plan.faults {
		n += k
	}
	const producers = 4
	pace := time.Duration(n) * r.plan.every / time.Duration(r.plan.jobs/producers)
	client := through(r.t, r.pusher)
	var all sync.WaitGroup
	for g := range producers {
		random := rand.New(rand.NewPCG(uint64(*seed), uint64(g+1)))
		all.Go(func() {
			next := time.Now()
			for range r.plan.jobs / producers {
				next = next.Add(pace)
				<-time.After(time.Until(next))
				if err := r.pushOne(client, random); err != nil {
					r.t.Error(err)
					return
				}
			}
		})
	}
	return all.Wait
}

// pushOne pushes a job of the mix: most run once, some fail first, some wait.
func (r *run) pushOne(c *queue.Client, random *rand.Rand) error {
	o := queue.Options{Queue: fourQueues[random.IntN(4)], Retry: queue.RetryMax(0)}
	ctx := context.Background()
	switch n := random.IntN(100); {
	case n < 3:
		o.Retry = queue.RetryMax(5)
		return r.ledger.push(ctx, c, "Test::Flaky", []any{1}, o)
	case n < 10:
		o.At = time.Now().Add(time.Duration(random.IntN(3000)) * time.Millisecond)
	}
	return r.ledger.push(ctx, c, "Test::Ledger", []any{random.IntN(5)}, o)
}

// torment brings all faults about, in an order that the seed decides, and checks
// now and then that every job is somewhere.
func (r *run) torment() (checks int) {
	r.Helper()
	var kinds []string
	for _, kind := range []string{"kill", "drop", "cut", "silence", "delay", "stop", "zombie", "redis"} {
		for range r.plan.faults[kind] {
			kinds = append(kinds, kind)
		}
	}
	r.rand.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	tick := time.NewTicker(r.plan.every)
	defer tick.Stop()
	var background sync.WaitGroup
	busy := map[*member]time.Time{} // stopped until then
	began := time.Now()
	for i, kind := range kinds {
		<-tick.C
		m := r.fleet[r.rand.IntN(len(r.fleet))]
		if time.Now().Before(busy[m]) {
			m = r.fleet[(r.rand.IntN(2)+1+indexOf(r.fleet, m))%len(r.fleet)]
		}
		r.fault(kind, m, busy, &background)
		r.done[kind]++
		if i%20 == 19 {
			r.ledger.conserve(r.t, r.Site)
			checks++
		}
		if i%100 == 99 {
			r.Logf("%d of %d faults, %d jobs have ended, %v", i+1, len(kinds), r.ledger.ended(r.t), time.Since(began).Round(time.Second))
		}
	}
	background.Wait()
	return checks
}

func indexOf(fleet []*member, m *member) int {
	for i := range fleet {
		if fleet[i] == m {
			return i
		}
	}
	return 0
}

// fault does one thing to a member, or to all.
func (r *run) fault(kind string, m *member, busy map[*member]time.Time, background *sync.WaitGroup) {
	p := m.proxy
	if r.rand.IntN(5) == 0 {
		p = r.pusher
	}
	pause := func(d time.Duration) {
		busy[m] = time.Now().Add(d)
		process := m.process
		background.Go(func() { (&member{process: process}).stop(d) })
	}
	switch kind {
	case "kill":
		m.kill()
	case "drop":
		match := replies[r.rand.IntN(len(replies))]
		if p == r.pusher {
			match = "push"
		}
		if match != "blmove" {
			match = faultproxy.Script(match)
		}
		p.DropReply(match, 1+r.rand.IntN(3))
	case "cut":
		p.Cut()
	case "silence":
		p.Silence()
	case "delay":
		p.Delay(time.Duration(20+r.rand.IntN(200)) * time.Millisecond)
		background.Go(func() { <-time.After(time.Second); p.Delay(0) })
	case "stop": // shorter than a lease: nothing must happen
		pause(time.Duration(500+r.rand.IntN(4500)) * time.Millisecond)
	case "zombie": // longer
		pause(20 * time.Second)
	case "redis":
		r.Server.Kill()
		r.Server.Restart()
	}
}

// settle waits until all has run. Jobs that were in flight at one crash after the
// other may be taken for poison: an operator brings them back.
func (r *run) settle() (poison int) {
	r.Helper()
	drained(r.Site, 3*time.Minute)
	poison, err := r.Store.DeadSet().All(context.Background(), r.Store.DeadSet().Retry)
	if err != nil {
		r.Fatal(err)
	}
	drained(r.Site, 3*time.Minute)
	return poison
}
