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

// place is a place in the fleet, with a proxy of its own. One process after the other has it, each
// in another arrangement.
type place struct {
	*member
	rare    bool // its processes also run the long jobs, so faults are rare here
	now     *instance
	busy    bool // a fault of its process is going on
	dropped int  // replies that the proxy had lost when the process started
}

// instance is a process of the fleet, from its start to its end.
type instance struct {
	name    string // ARRANGEMENT#n, also in the ledger's file
	of      *arrangement
	process *harness.Process
	pid     int
	began   time.Time
	crashes int // how often it was killed or ended by itself
	// suspensions that were longer than its lease
	longSuspends int
	drops        int // replies to it that were lost
	identities   []string
	over         time.Time // when it was known to have ended
	marks        []string  // its faults, and their times
	lastFault    time.Time // the time of the last fault that can cost it its lease
}

// lapses returns how often the process lost its lease and lived on.
func (i *instance) lapses() int { return max(i.longSuspends, len(i.identities)-1) }

// bound returns how many of its jobs may end twice: those that can be in flight when it dies or
// loses its lease, and one for each lost reply.
func (i *instance) bound() int { return i.of.threads()*(i.crashes+i.lapses()) + i.drops }

func (i *instance) mark(began time.Time, what string) {
	i.marks = append(i.marks, fmt.Sprintf("%s at %.1f s", what, time.Since(began).Seconds()))
}

func (i *instance) String() string {
	return fmt.Sprintf("%s (pid %d, %d identities): %s", i.name, i.pid, len(i.identities),
		strings.Join(i.marks, ", "))
}

// nextArrangement returns the arrangement of the next process. All have their turn, in an order
// that the seed decides, before one comes again. After the last fault it is one that serves all
// queues and knows all classes.
func (r *run) nextArrangement() *arrangement {
	if r.finishing {
		return &arrangements[0]
	}
	if len(r.upcoming) == 0 {
		r.upcoming = slices.Clone(r.arrangements)
		r.rand.Shuffle(len(r.upcoming), func(i, j int) {
			r.upcoming[i], r.upcoming[j] = r.upcoming[j], r.upcoming[i]
		})
	}
	a := r.upcoming[0]
	r.upcoming = r.upcoming[1:]
	return a
}

// quietTB is a test that never reports its failure. Otherwise a failed run would print the logs of
// a thousand processes.
type quietTB struct{ testing.TB }

func (quietTB) Failed() bool { return false }

// place adds a place to the fleet.
func (r *run) addPlace(rare bool) {
	r.Helper()
	m := &member{site: r.With(quietTB{r.t}), proxy: faultproxy.Start(r, r.Server.Addr)}
	p := &place{member: m, rare: rare}
	r.fleet = append(r.fleet, p)
	r.startInstance(p, r.nextArrangement())
}

// startInstance starts a process at a place.
func (r *run) startInstance(p *place, a *arrangement) {
	r.Helper()
	i := &instance{name: fmt.Sprint(a.name, "#", len(r.instances)), of: a, began: time.Now()}
	p.args, p.env = a.args(r.Site, p.rare), a.environment(i.name)
	p.start()
	i.process, i.pid = p.process, p.process.PID()
	i.mark(r.began, "started")
	p.now, p.dropped = i, p.proxy.Dropped()
	r.instances = append(r.instances, i)
	r.byName[i.name] = i
}

// startNext notes the end of a place's process, and starts the next one.
func (r *run) startNext(p *place, what string) {
	r.Helper()
	if p.now.over.IsZero() {
		p.now.over = time.Now()
	}
	r.readLeases()
	p.now.mark(r.began, what)
	p.now.drops = p.proxy.Dropped() - p.dropped
	p.busy = false
	r.startInstance(p, r.nextArrangement())
}

func (p *place) ended() bool {
	select {
	case <-p.process.Done:
		return true
	default:
		return false
	}
}

// checkNoneEnded complains about processes that have ended by themselves, and replaces them. A
// process may end by itself if a fault came during its start.
func (r *run) checkNoneEnded() {
	r.Helper()
	for _, p := range r.fleet {
		if p.busy || !p.ended() {
			continue
		}
		code := p.process.Exit(time.Second)
		p.now.over = time.Now()
		p.now.crashes++
		if code == 1 && time.Since(p.now.began) < 20*time.Second &&
			!strings.Contains(p.process.Log(), "panic") {
			r.done["failed start"]++
			r.startNext(p, "could not start")
			continue
		}
		r.done["died"]++
		r.complain("died", "%s ended by itself, exit code %d:\n%s", p.now, code,
			reason(p.process.Log()))
		p.busy = true
		// systemd waits too before it starts a process again.
		r.later(300*time.Millisecond, func() { r.startNext(p, "ended by itself") })
	}
}

// reason returns the part of a log that says why a process ended.
func reason(log string) string {
	if i := max(strings.Index(log, "panic:"), strings.Index(log, "fatal error:")); i >= 0 {
		log = log[i:]
	} else {
		log = log[max(0, len(log)-1000):]
	}
	return log[:min(len(log), 500)]
}

// explainsFor is added to the length of a lease. For so long after a fault, the fault explains the
// loss of a lease: a worker waits up to 5 s for a silent connection.
const explainsFor = 5 * time.Second

var pidOf = regexp.MustCompile(`:(\d+):`)

// readLeases notes the identities of all processes. A process that has a second identity has lost
// the lease of the first.
func (r *run) readLeases() {
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
		for _, i := range slices.Backward(r.instances) {
			if m == nil || fmt.Sprint(i.pid) != m[1] {
				continue
			}
			i.identities = append(i.identities, id)
			if len(i.identities) > 1 {
				r.leaseLost(i)
			}
			break
		}
	}
}

// leaseLost complains if no fault explains that a process lost its lease.
func (r *run) leaseLost(i *instance) {
	r.Helper()
	r.lapses++
	i.mark(r.began, "new identity")
	if min(time.Since(i.lastFault), time.Since(r.redisKilled)) > i.of.leaseLength()+explainsFor {
		r.unexplainedLapses++
		r.complain("lease", "a process lost its lease without a fault that explains it: %s", i)
	}
}

// stopAndReplace stops a place's process by SIGTERM, and starts the next one when it has ended.
func (r *run) stopAndReplace(p *place) {
	r.Helper()
	p.busy = true
	began := time.Now()
	p.process.Signal(syscall.SIGTERM)
	p.now.mark(r.began, "told to stop")
	var ended func()
	ended = func() {
		switch {
		case p.ended():
			r.readLeases()
			if code := p.process.Exit(time.Second); code != 0 && len(p.now.identities) > 0 {
				p.now.crashes++
				r.complain("stop", "%s got SIGTERM, and ended with exit code %d:\n%s", p.now, code,
					reason(p.process.Log()))
			}
			r.slowest = max(r.slowest, time.Since(began))
			r.startNext(p, "stopped")
		case time.Since(began) > stopsWithin:
			r.complain("stop", "%s still runs %v after SIGTERM:\n%s", p.now, stopsWithin,
				reason(p.process.Log()))
			p.now.crashes++
			p.process.Kill()
			r.startNext(p, "did not stop, and was killed")
		default:
			r.later(50*time.Millisecond, ended)
		}
	}
	r.later(50*time.Millisecond, ended)
}
