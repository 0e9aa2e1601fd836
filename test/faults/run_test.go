package faults

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/faultproxy"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/redistest"
)

// plan is how large a run is.
type plan struct {
	jobs    int
	every   time.Duration  // a fault
	faults  map[string]int // how many of each kind
	places  int            // processes at a time
	long    int            // of 10,000 jobs take many seconds,
	longest int            // milliseconds at most
}

var plans = map[string]plan{
	"smoke": {20_000, 400 * time.Millisecond, map[string]int{
		"kill": 24, "drop": 10, "cut": 4, "silence": 2, "delay": 2, "stop": 2, "redis": 1,
		"term": 4, "quiet": 1, "pause": 2, "zombie": 1}, 4, 2, 3_000},
	"full": {1_000_000, 600 * time.Millisecond, map[string]int{
		"kill": 1050, "drop": 330, "cut": 100, "silence": 40, "delay": 40, "stop": 40, "redis": 20,
		"term": 60, "quiet": 20, "pause": 20, "zombie": 20}, 5, 1, 20_000},
	"soak": {10_000_000, 4 * time.Second, map[string]int{
		"kill": 3500, "drop": 1000, "cut": 300, "silence": 100, "delay": 100, "stop": 100,
		"redis": 60, "term": 200, "quiet": 60, "pause": 60, "zombie": 60}, 5, 1, 60_000},
}

// faultKinds are all kinds, network those of the network, and replies what loses its
// reply.
var (
	faultKinds = []string{"kill", "drop", "cut", "silence", "delay", "stop", "term", "quiet",
		"pause", "zombie", "redis"}
	network = []string{"drop", "cut", "silence", "delay"}
	replies = []string{"fetch", "settle", "beat", "promote", "publish", "reclaim", "push", "blmove"}
)

// count is how many faults there are.
func (p *plan) count() (n int) {
	for _, k := range p.faults {
		n += k
	}
	return n
}

// result is what a run says at its end. With its seed the same faults come in the
// same order; when exactly they hit is the machine's.
type result struct {
	Seed         int64              `json:"seed"`
	Size         string             `json:"size"`
	Faults       map[string]int     `json:"faults"`
	Arrangements map[string]tallies `json:"arrangements"`
	Verdict      verdict            `json:"verdict"`
	Bound        int                `json:"bound"`      // of jobs that may end twice
	Innocent     int                `json:"innocent"`   // ended twice, and no fault is the cause
	Repeated     int                `json:"repeated"`   // started twice by one process
	Lapses       int                `json:"lapses"`     // of leases of living processes
	Groundless   int                `json:"groundless"` // lapses without a cause
	// taken for poison, and brought back by hand
	Poison int `json:"poison"`
	// of these: never ran alone when a process died
	Unjust      int     `json:"unjust"`
	Checks      int     `json:"checks"` // of conservation, during the run
	SlowestStop float64 `json:"slowest_stop"`
	Seconds     float64 `json:"seconds"`
	Date        string  `json:"date"`
}

// tallies are what was done to the processes of an arrangement, and what came of it.
type tallies struct {
	Processes int `json:"processes"`
	Crashes   int `json:"crashes"`
	Lapses    int `json:"lapses"`
	Twice     int `json:"twice"`
	Bound     int `json:"bound"`
}

// run is a ledger run: a fleet of processes in all arrangements, producers, and faults.
type run struct {
	*harness.Site
	t      *testing.T
	plan   plan
	rand   *rand.Rand
	ledger *ledger
	pusher *faultproxy.Proxy // of the producers
	began  time.Time

	arrangements []*arrangement
	deck         []*arrangement // those that have not come up yet
	fleet        []*place
	incarnations []*incarnation
	byName       map[string]*incarnation
	dues         []due
	disturbed    time.Time // when Redis was killed
	settling     bool

	done       map[string]int
	complaints map[string]int
	seen       map[string]bool // identities
	// jobs that ended twice, by process
	twice map[string]int
	// jobs that were taken for poison
	convicted                                      map[string]int
	lapses, groundless, innocent, excess, repeated int
	unjust                                         int
	slowest                                        time.Duration
}

func newRun(t *testing.T) *run {
	s := harness.New(t, "--appendonly", "yes", "--appendfsync", "everysec",
		"--maxmemory-policy", "noeviction", "--repl-diskless-sync-delay", "0")
	r := &run{Site: s, t: t, plan: plans[*size], ledger: newLedger(s),
		pusher: faultproxy.Start(t, s.Server.Addr),
		began:  time.Now(), rand: rand.New(rand.NewPCG(uint64(*seed), 0)),
		arrangements: picked(t), byName: map[string]*incarnation{}, done: map[string]int{},
		complaints: map[string]int{}, seen: map[string]bool{}, twice: map[string]int{},
		convicted: map[string]int{}}
	if slices.ContainsFunc(r.arrangements, (*arrangement).waits) {
		redistest.Start(t, "--replicaof", "127.0.0.1", port(s.Server.Addr),
			"--repl-diskless-sync-delay", "0")
	}
	return r
}

func TestNothingIsLostWhateverIsKilledAndCut(t *testing.T) {
	row := scores(t, 1)
	r := newRun(t)
	t.Logf("seed %d: %d jobs, faults %v, %d processes at a time, arrangements: %s",
		*seed, r.plan.jobs, r.plan.faults, r.plan.places, r.names())
	for i := range r.plan.places {
		r.place(i == 0)
	}
	produced := r.produce()
	checks := r.torment()
	produced()
	r.settle()
	res := result{Seed: *seed, Size: *size, Verdict: r.judge(), Faults: r.done,
		Arrangements: r.tally(),
		Innocent:     r.innocent, Repeated: r.repeated, Lapses: r.lapses, Groundless: r.groundless,
		Poison: len(r.convicted), Unjust: r.unjust, Checks: checks,
		SlowestStop: r.slowest.Seconds(),
		Seconds:     time.Since(r.began).Seconds(), Date: time.Now().Format(time.DateOnly)}
	for _, x := range res.Arrangements {
		res.Bound += x.Bound
	}
	if *out != "" {
		save(t, "ledger.jsonl", res)
	}
	row("%s; %d arrangements: %s; %.0f s; seed %d", r.says(&res), len(r.arrangements), r.names(),
		res.Seconds, *seed)
}

// says puts a result into words, and logs the part of each arrangement.
func (r *run) says(res *result) string {
	for _, a := range r.arrangements {
		x := res.Arrangements[a.name]
		r.Logf("%-20s %3d processes, %3d crashes, %2d leases lost; ended twice %d (bound %d)",
			a.name, x.Processes, x.Crashes, x.Lapses, x.Twice, x.Bound)
	}
	net := 0
	for _, kind := range network {
		net += r.done[kind]
	}
	v, n := res.Verdict, r.done
	return fmt.Sprintf("lost %d of %d, stranded %d, unfinished %d, unexpected %d, "+
		"torn %d, conflicts %d, "+
		"ended twice %d (bound %d; without a cause %d), started twice by one process %d; ",
		v.Lost, v.Acked, v.Stranded, v.Unfinished, v.Unexpected, v.Torn, v.Conflicts,
		v.Duplicates, res.Bound, r.innocent, r.repeated) +
		fmt.Sprintf("%d kills, %d network faults (%d replies lost), "+
			"%d clean stops (slowest %.1f s), "+
			"%d SIGSTOPs (%d of two leases), %d pauses of queues, %d kills of Redis; ",
			n["kill"], net, r.replies(), n["term"]+n["quiet"], r.slowest.Seconds(),
			n["stop"]+n["zombie"], n["zombie"], n["pause"], n["redis"]) +
		fmt.Sprintf("processes that ended by themselves %d, leases lost by the living %d "+
			"(without a cause %d); "+
			"%d taken for poison and brought back (%d of them had not run alone); conservation "+
			"checked %d times",
			n["died"], r.lapses, r.groundless, res.Poison, res.Unjust, res.Checks)
}

// replies is how many replies were really lost: a command whose reply is to be lost may
// not come.
func (r *run) replies() (n int) {
	n = r.pusher.Dropped()
	for _, p := range r.fleet {
		n += p.proxy.Dropped()
	}
	return n
}

func (r *run) names() string {
	var list []string
	for _, a := range r.arrangements {
		list = append(list, a.name)
	}
	return strings.Join(list, ", ")
}

// judge fails the test for all that must not be.
func (r *run) judge() verdict {
	r.Helper()
	for _, p := range r.fleet {
		p.now.drops = p.proxy.Dropped() - p.dropped
	}
	v := r.ledger.check(r.t, r.Site)
	for _, id := range r.ledger.left {
		r.complain("unfinished", "%s", r.ledger.life(id))
	}
	r.blame()
	r.again()
	r.acquit()
	for kind, n := range r.complaints {
		r.Logf("complaints of the kind %q: %d", kind, n)
	}
	for _, p := range r.fleet {
		if r.Failed() {
			r.Logf("at the end: %s\n%s", p.now, reason(p.process.Log()))
		}
	}
	return v
}

// tally counts by arrangement.
func (r *run) tally() map[string]tallies {
	by := map[string]tallies{}
	for _, i := range r.incarnations {
		x := by[i.of.name]
		by[i.of.name] = tallies{x.Processes + 1, x.Crashes + i.crashes, x.Lapses + i.lapses(),
			x.Twice + r.twice[i.name], x.Bound + i.bound()}
	}
	return by
}
