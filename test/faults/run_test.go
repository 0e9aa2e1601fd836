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

// plan is the size of a run.
type plan struct {
	jobs    int
	every   time.Duration  // the time between two faults
	faults  map[string]int // the number of faults, by kind
	places  int            // the number of processes at a time
	long    int            // of 10,000 jobs, so many take many seconds
	longest int            // the longest job, in milliseconds
}

var plans = map[string]plan{
	"smoke": {20_000, 400 * time.Millisecond, map[string]int{
		"kill": 24, "drop": 10, "cut": 4, "silence": 2, "delay": 2, "suspend": 2, "redis": 1,
		"term": 4, "quiet": 1, "pause": 2, "long-suspend": 1}, 4, 2, 3_000},
	"full": {1_000_000, 600 * time.Millisecond, map[string]int{
		"kill": 1050, "drop": 330, "cut": 100, "silence": 40, "delay": 40, "suspend": 40,
		"redis": 20, "term": 60, "quiet": 20, "pause": 20, "long-suspend": 20}, 5, 1, 20_000},
	"soak": {10_000_000, 4 * time.Second, map[string]int{
		"kill": 3500, "drop": 1000, "cut": 300, "silence": 100, "delay": 100, "suspend": 100,
		"redis": 60, "term": 200, "quiet": 60, "pause": 60, "long-suspend": 60}, 5, 1, 60_000},
}

// faultKinds are the kinds of faults, and network are those of the network. replies are the
// commands and scripts whose replies a "drop" loses.
var (
	faultKinds = []string{"kill", "drop", "cut", "silence", "delay", "suspend", "term", "quiet",
		"pause", "long-suspend", "redis"}
	network = []string{"drop", "cut", "silence", "delay"}
	replies = []string{"fetch", "settle", "beat", "promote", "publish", "reclaim", "push", "blmove",
		"history"}
)

// count returns the number of faults.
func (p *plan) count() (n int) {
	for _, k := range p.faults {
		n += k
	}
	return n
}

// result is the outcome of a run. A run with the same seed has the same faults in the same order.
// The exact moment of each fault depends on the machine.
type result struct {
	Seed         int64              `json:"seed"`
	Size         string             `json:"size"`
	Faults       map[string]int     `json:"faults"`
	Arrangements map[string]tallies `json:"arrangements"`
	Verdict      verdict            `json:"verdict"`
	// jobs that may end twice, because of the faults
	Bound int `json:"bound"`
	// jobs that ended twice without a fault that explains it
	Unexplained int `json:"unexplained"`
	// jobs that one process started twice under one lease
	DoubleStarts int `json:"double_starts"`
	// leases that living processes lost, and those without a fault that explains it
	Lapses            int `json:"lapses"`
	UnexplainedLapses int `json:"unexplained_lapses"`
	// jobs that were taken for poison, and those that never ran alone when a process died
	Poison     int `json:"poison"`
	NeverAlone int `json:"never_alone"`
	// how often all of Redis was checked during the run
	Checks      int     `json:"checks"`
	SlowestStop float64 `json:"slowest_stop"`
	Seconds     float64 `json:"seconds"`
	Date        string  `json:"date"`
}

// tallies are sums over the processes of an arrangement.
type tallies struct {
	Processes int `json:"processes"`
	Crashes   int `json:"crashes"`
	Lapses    int `json:"lapses"`
	Twice     int `json:"twice"`
	Bound     int `json:"bound"`
}

// run is the long run: a fleet of processes in all arrangements, producers, and faults.
type run struct {
	*harness.Site
	t      *testing.T
	plan   plan
	rand   *rand.Rand
	ledger *ledger
	pusher *faultproxy.Proxy // between the producers and Redis
	began  time.Time

	arrangements []*arrangement
	upcoming     []*arrangement // those that have not had their turn yet
	fleet        []*place
	instances    []*instance
	byName       map[string]*instance
	dues         []due
	redisKilled  time.Time // the last time
	finishing    bool      // the last fault is over

	done           map[string]int  // faults, by kind
	complaints     map[string]int  // by kind
	seen           map[string]bool // identities
	twice          map[string]int  // jobs that ended twice, by process
	takenForPoison map[string]int  // how often, by job
	slowest        time.Duration   // clean stop

	lapses, unexplainedLapses             int // of leases; see result
	unexplained, doubleStarts, neverAlone int // jobs; see result
}

func newRun(t *testing.T) *run {
	s := harness.New(t, "--appendonly", "yes", "--appendfsync", "everysec",
		"--maxmemory-policy", "noeviction", "--repl-diskless-sync-delay", "0")
	r := &run{Site: s, t: t, plan: plans[*size], ledger: newLedger(s),
		pusher: faultproxy.Start(t, s.Server.Addr),
		began:  time.Now(), rand: rand.New(rand.NewPCG(uint64(*seed), 0)),
		arrangements: picked(t), byName: map[string]*instance{}, done: map[string]int{},
		complaints: map[string]int{}, seen: map[string]bool{}, twice: map[string]int{},
		takenForPoison: map[string]int{}}
	if slices.ContainsFunc(r.arrangements, (*arrangement).waits) {
		redistest.Start(t, "--replicaof", "127.0.0.1", port(s.Server.Addr),
			"--repl-diskless-sync-delay", "0")
	}
	return r
}

func TestLongRun(t *testing.T) {
	t.Run("loses no job", loseNoJob)
}

func loseNoJob(t *testing.T) {
	row := scores(t, 1)
	r := newRun(t)
	t.Logf("seed %d: %d jobs, faults %v, %d processes at a time, arrangements: %s",
		*seed, r.plan.jobs, r.plan.faults, r.plan.places, r.names())
	for i := range r.plan.places {
		r.addPlace(i == 0)
	}
	produced := r.produce()
	checks := r.causeFaults()
	r.waitUntil(time.Now().Add(time.Hour), produced) // faults that last go on meanwhile, and end
	r.finish()
	res := result{Seed: *seed, Size: *size, Verdict: r.judge(), Faults: r.done,
		Arrangements: r.tally(),
		Unexplained:  r.unexplained, DoubleStarts: r.doubleStarts,
		Lapses: r.lapses, UnexplainedLapses: r.unexplainedLapses,
		Poison: len(r.takenForPoison), NeverAlone: r.neverAlone, Checks: checks,
		SlowestStop: r.slowest.Seconds(),
		Seconds:     time.Since(r.began).Seconds(), Date: time.Now().Format(time.DateOnly)}
	for _, x := range res.Arrangements {
		res.Bound += x.Bound
	}
	if *out != "" {
		save(t, "ledger.jsonl", res)
	}
	row("%s; %d arrangements: %s; %.0f s; seed %d", r.summary(&res), len(r.arrangements), r.names(),
		res.Seconds, *seed)
}

// summary describes a result in one line, and logs the tallies of each arrangement.
func (r *run) summary(res *result) string {
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
		"torn %d, conflicts %d, expired %d, refused by locks %d, "+
		"ended twice %d (bound %d; unexplained %d), started twice by one process %d; ",
		v.Lost, v.Acked, v.Stranded, v.Unfinished, v.Unexpected, v.Torn, v.Conflicts, v.Expired,
		v.Refused,
		v.Duplicates, res.Bound, r.unexplained, r.doubleStarts) +
		fmt.Sprintf("%d kills, %d network faults (%d replies lost), "+
			"%d clean stops (slowest %.1f s), "+
			"%d SIGSTOPs (%d of two leases), %d pauses of queues, %d kills of Redis; ",
			n["kill"], net, r.replies(), n["term"]+n["quiet"], r.slowest.Seconds(),
			n["suspend"]+n["long-suspend"], n["long-suspend"], n["pause"], n["redis"]) +
		fmt.Sprintf("processes that ended by themselves %d, leases that living processes lost %d "+
			"(unexplained %d); "+
			"%d jobs taken for poison and brought back (%d of them had not run alone); all of "+
			"Redis checked %d times",
			n["died"], r.lapses, r.unexplainedLapses, res.Poison, res.NeverAlone, res.Checks)
}

// replies returns how many replies were lost. That can be fewer than the faults of the kind "drop",
// because the command whose reply is to be lost may not come.
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

// judge checks the whole run, and fails the test for each fault that it finds.
func (r *run) judge() verdict {
	r.Helper()
	for _, p := range r.fleet {
		p.now.drops = p.proxy.Dropped() - p.dropped
	}
	v := r.ledger.check(r.t, r.Site)
	for _, id := range r.ledger.left {
		r.complain("unfinished", "%s", r.ledger.history(id))
	}
	r.checkDoubleEnds()
	r.checkDoubleStarts()
	r.checkPoison()
	r.checkLocks()
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

// tally returns the sums of each arrangement.
func (r *run) tally() map[string]tallies {
	by := map[string]tallies{}
	for _, i := range r.instances {
		x := by[i.of.name]
		by[i.of.name] = tallies{x.Processes + 1, x.Crashes + i.crashes, x.Lapses + i.lapses(),
			x.Twice + r.twice[i.name], x.Bound + i.bound()}
	}
	return by
}
