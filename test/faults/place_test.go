package faults

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/faultproxy"
	"github.com/kyujobs/kyu/test/kit/harness"
)

// place is a place in the fleet, behind a proxy of its own. One process after the other
// holds it, each in another arrangement.
type place struct {
	*member
	rare    bool // faults of processes are rare here: jobs can be long, and leases too
	now     *incarnation
	busy    bool // something is being done to its process
	dropped int  // replies that the proxy had lost when the process began
}

// incarnation is a process of the fleet, from its start to its end.
type incarnation struct {
	name       string // ARRANGEMENT#n, as it stands in the ledger's file
	of         *arrangement
	process    *harness.Process
	pid        int
	began      time.Time
	crashes    int // it was killed, or ended by itself
	zombies    int // it was silent for longer than its lease
	drops      int // replies of its that were lost
	identities []string
	marks      []string  // what was done to it, and when
	disturbed  time.Time // by a fault, last
}

// lapses is how often others have taken its jobs though it was alive.
func (i *incarnation) lapses() int { return max(i.zombies, len(i.identities)-1) }

// bound is how many of its jobs may end twice: what was in flight when it died or lost
// its lease, and one for each lost reply.
func (i *incarnation) bound() int { return i.of.threads()*(i.crashes+i.lapses()) + i.drops }

func (i *incarnation) mark(began time.Time, what string) {
	i.marks = append(i.marks, fmt.Sprintf("%s at %.1f s", what, time.Since(began).Seconds()))
}

func (i *incarnation) String() string {
	return fmt.Sprintf("%s (pid %d, %d identities): %s", i.name, i.pid, len(i.identities),
		strings.Join(i.marks, ", "))
}

// deal gives the arrangement of the next process: all come up, in an order that the seed
// decides, before one comes again. At the end it is one that serves everything.
func (r *run) deal() *arrangement {
	if r.settling {
		return &arrangements[0]
	}
	if len(r.deck) == 0 {
		r.deck = slices.Clone(r.arrangements)
		r.rand.Shuffle(len(r.deck), func(i, j int) { r.deck[i], r.deck[j] = r.deck[j], r.deck[i] })
	}
	a := r.deck[0]
	r.deck = r.deck[1:]
	return a
}

// hushed is a test that never says it has failed, so that not each of a thousand
// processes shows its log then.
type hushed struct{ testing.TB }

func (hushed) Failed() bool { return false }

// place adds a place to the fleet.
func (r *run) place(rare bool) {
	r.Helper()
	m := &member{site: r.With(hushed{r.t}), proxy: faultproxy.Start(r, r.Server.Addr)}
	p := &place{member: m, rare: rare}
	r.fleet = append(r.fleet, p)
	r.occupy(p, r.deal())
}

// occupy starts the next process at a place.
func (r *run) occupy(p *place, a *arrangement) {
	r.Helper()
	i := &incarnation{name: fmt.Sprint(a.name, "#", len(r.incarnations)), of: a, began: time.Now()}
	p.args, p.env = a.args(r.Site, p.rare), a.environment(i.name)
	p.start()
	i.process, i.pid = p.process, p.process.PID()
	i.mark(r.began, "started")
	p.now, p.dropped = i, p.proxy.Dropped()
	r.incarnations = append(r.incarnations, i)
	r.byName[i.name] = i
}

// over notes the end of a place's process, and starts the next one.
func (r *run) over(p *place, what string) {
	r.Helper()
	r.look()
	p.now.mark(r.began, what)
	p.now.drops = p.proxy.Dropped() - p.dropped
	p.busy = false
	r.occupy(p, r.deal())
}

func (p *place) ended() bool {
	select {
	case <-p.process.Done:
		return true
	default:
		return false
	}
}

// guard finds processes that have ended by themselves: none may, but one that a fault
// hit while it was starting.
func (r *run) guard() {
	r.Helper()
	for _, p := range r.fleet {
		if p.busy || !p.ended() {
			continue
		}
		code := p.process.Exit(time.Second)
		p.now.crashes++
		if code == 1 && time.Since(p.now.began) < 20*time.Second &&
			!strings.Contains(p.process.Log(), "panic") {
			r.done["failed start"]++
			r.over(p, "could not start")
			continue
		}
		r.done["died"]++
		r.complain("died", "%s has ended by itself, exit code %d:\n%s", p.now, code,
			reason(p.process.Log()))
		p.busy = true
		r.later(300*time.Millisecond, func() { r.over(p, "ended by itself") }) // as systemd waits
	}
}

// reason is the part of a log that says why a process ended.
func reason(log string) string {
	if i := max(strings.Index(log, "panic:"), strings.Index(log, "fatal error:")); i >= 0 {
		log = log[i:]
	} else {
		log = log[max(0, len(log)-1000):]
	}
	return log[:min(len(log), 500)]
}

// afterwards is how long after the length of a lease a fault can still be the cause of its
// loss: the longest that a connection is taken for alive.
const afterwards = 5 * time.Second

var pidOf = regexp.MustCompile(`:(\d+):`)

// look notes the identities under which the processes hold leases. A second one of the
// same process says that it has lost the first: only what was done to it may be the
// cause.
func (r *run) look() {
	r.Helper()
	ids, err := r.Raw.ZRange(context.Background(), "kyu:leases", 0, -1).Result()
	if err != nil {
		return // Redis is being restarted
	}
	for _, id := range ids {
		if r.seen[id] {
			continue
		}
		r.seen[id] = true
		m := pidOf.FindStringSubmatch(id)
		for _, i := range slices.Backward(r.incarnations) {
			if m == nil || fmt.Sprint(i.pid) != m[1] {
				continue
			}
			i.identities = append(i.identities, id)
			if len(i.identities) > 1 {
				r.lapsed(i)
			}
			break
		}
	}
}

func (r *run) lapsed(i *incarnation) {
	r.Helper()
	r.lapses++
	i.mark(r.began, "new identity")
	if min(time.Since(i.disturbed), time.Since(r.disturbed)) > i.of.leaseLength()+afterwards {
		r.groundless++
		r.complain("lease", "it has lost its lease, and no fault is the cause: %s", i)
	}
}

// replace stops a place's process cleanly. The next one is started when it has ended.
func (r *run) replace(p *place) {
	r.Helper()
	p.busy = true
	began := time.Now()
	p.process.Signal(syscall.SIGTERM)
	p.now.mark(r.began, "told to stop")
	var ended func()
	ended = func() {
		switch {
		case p.ended():
			r.look()
			if code := p.process.Exit(time.Second); code != 0 && len(p.now.identities) > 0 {
				p.now.crashes++
				r.complain("stop", "%s was to stop, exit code %d:\n%s", p.now, code,
					reason(p.process.Log()))
			}
			r.slowest = max(r.slowest, time.Since(began))
			r.over(p, "stopped")
		case time.Since(began) > stopsWithin:
			r.complain("stop", "%s still runs %v after SIGTERM:\n%s", p.now, stopsWithin,
				reason(p.process.Log()))
			p.now.crashes++
			p.process.Kill()
			r.over(p, "did not stop, and was killed")
		default:
			r.later(50*time.Millisecond, ended)
		}
	}
	r.later(50*time.Millisecond, ended)
}
