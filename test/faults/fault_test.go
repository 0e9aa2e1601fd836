package faults

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/faultproxy"
	"github.com/kyujobs/kyu/test/kit/harness"
)

// due is an action and its time.
type due struct {
	at time.Time
	do func()
}

// later calls do after a while, from waitUntil. So all of a run happens in one goroutine, and
// nothing needs a lock.
func (r *run) later(d time.Duration, do func()) {
	r.dues = append(r.dues, due{time.Now().Add(d), do})
}

// waitUntil waits until end, or until cond is true (it may be nil). Meanwhile it calls what is due.
func (r *run) waitUntil(end time.Time, cond func() bool) {
	r.Helper()
	for {
		for _, d := range r.takeDue() {
			d.do()
		}
		r.checkNoneEnded()
		if !time.Now().Before(end) || cond != nil && cond() {
			r.readLeases()
			return
		}
		<-time.After(min(25*time.Millisecond, max(time.Until(end), 0)))
	}
}

// takeDue removes the actions that are due now, and returns them.
func (r *run) takeDue() (now []due) {
	r.dues = slices.DeleteFunc(r.dues, func(d due) bool {
		is := !time.Now().Before(d.at)
		if is {
			now = append(now, d)
		}
		return is
	})
	return now
}

// causeFaults causes all faults of the plan, in an order that the seed decides. After every
// twentieth it checks that each job is in exactly one place.
func (r *run) causeFaults() (checks int) {
	r.Helper()
	var kinds []string
	for _, kind := range faultKinds {
		for range r.plan.faults[kind] {
			kinds = append(kinds, kind)
		}
	}
	r.rand.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	for i := len(kinds) / 2; i < len(kinds); i++ { // the run should not end with a long suspension
		if kinds[i] == "long-suspend" {
			j := r.rand.IntN(len(kinds) / 2)
			kinds[i], kinds[j] = kinds[j], kinds[i]
		}
	}
	began := time.Now()
	for i, kind := range kinds {
		r.waitUntil(began.Add(time.Duration(i+1)*r.plan.every), nil)
		p := r.victim(kind)
		r.fault(kind, p)
		r.done[kind]++
		if i%20 == 19 {
			r.ledger.conserve(r.t, r.Site)
			checks++
		}
		if i%100 == 99 {
			r.Logf("%d of %d faults, %d jobs have ended, %v", i+1, len(kinds), r.ledger.ended(r.t),
				time.Since(began).Round(time.Second))
		}
	}
	return checks
}

// victim picks the place of a fault: one at which no other fault is going on. At a rare place it
// allows one fault of ten.
func (r *run) victim(kind string) *place {
	r.Helper()
	p := r.fleet[r.rand.IntN(len(r.fleet))]
	if p.rare && kind != "long-suspend" && r.rand.IntN(10) > 0 {
		p = r.fleet[1+r.rand.IntN(len(r.fleet)-1)]
	}
	if kind == "long-suspend" && *size == "smoke" {
		p = slices.MinFunc(r.fleet, func(a, b *place) int {
			return cmp.Compare(a.now.of.leaseLength(), b.now.of.leaseLength())
		})
	}
	free := func() bool {
		for range r.fleet {
			if !p.busy {
				return true
			}
			p = r.fleet[(slices.Index(r.fleet, p)+1)%len(r.fleet)]
		}
		return false
	}
	r.waitUntil(time.Now().Add(time.Minute), free)
	return p
}

// fault causes one fault: to the process of a place, to its connections, or to Redis.
func (r *run) fault(kind string, p *place) {
	r.Helper()
	proxy := p.proxy
	if r.rand.IntN(5) == 0 {
		proxy = r.pusher
	}
	if kind != "pause" && (proxy == p.proxy || !slices.Contains(network, kind)) {
		p.now.mark(r.began, kind)
	}
	if proxy == p.proxy && slices.Contains(network, kind) {
		p.now.lastFault = time.Now()
	}
	switch kind {
	case "kill":
		p.process.Kill()
		p.now.crashes++
		r.startNext(p, "it is dead")
	case "term": // every other time its last settlements are slow
		if r.rand.IntN(2) == 0 {
			r.delay(p.proxy, 10*time.Millisecond, 2*time.Second)
		}
		r.stopAndReplace(p)
	case "quiet":
		p.busy = true
		p.process.Signal(syscall.SIGTSTP)
		r.later(time.Duration(500+r.rand.IntN(1500))*time.Millisecond,
			func() { r.stopAndReplace(p) })
	case "suspend": // for less than a lease, which must have no effect
		most := int(p.now.of.leaseLength().Milliseconds()) * 4 / 10
		r.suspend(p, time.Duration(500+r.rand.IntN(most))*time.Millisecond)
	case "long-suspend": // for two leases
		p.now.longSuspends++
		r.suspend(p, 2*p.now.of.leaseLength())
	case "pause":
		name := all[r.rand.IntN(len(all))]
		// Raw tries again if Redis restarts.
		r.must(r.Raw.SAdd(context.Background(), "paused", name).Err())
		r.later(time.Duration(1000+r.rand.IntN(1500))*time.Millisecond, func() {
			r.must(r.Raw.SRem(context.Background(), "paused", name).Err())
		})
	case "redis":
		r.redisKilled = time.Now()
		r.Server.Kill()
		r.Server.Restart()
	default:
		r.breakConnection(kind, proxy)
	}
}

func (r *run) must(err error) {
	r.Helper()
	if err != nil {
		r.t.Error(err)
	}
}

// suspend stops a process by SIGSTOP, and lets it go on after d.
func (r *run) suspend(p *place, d time.Duration) {
	p.busy = true
	p.now.lastFault = time.Now().Add(d)
	p.process.Signal(syscall.SIGSTOP)
	r.later(d, func() {
		p.process.Signal(syscall.SIGCONT)
		p.now.mark(r.began, "goes on")
		p.now.lastFault = time.Now()
		p.busy = false
	})
}

// breakConnection causes a fault of the network at a proxy.
func (r *run) breakConnection(kind string, proxy *faultproxy.Proxy) {
	switch kind {
	case "drop":
		match := replies[r.rand.IntN(len(replies))]
		if proxy == r.pusher {
			match = "push"
		}
		if match != "blmove" {
			match = script(match)
		}
		proxy.DropReply(match, 1+r.rand.IntN(3))
	case "cut":
		proxy.Cut()
	case "silence":
		proxy.Silence()
	case "delay":
		r.delay(proxy, time.Duration(20+r.rand.IntN(200))*time.Millisecond, time.Second)
	}
}

// delay makes replies late for a while.
func (r *run) delay(proxy *faultproxy.Proxy, by, during time.Duration) {
	proxy.Delay(by)
	r.later(during, func() { proxy.Delay(0) })
}

// script returns what the proxy looks for to find calls of a script. Some names of replies are of
// no script in queue/lua: then it is the fetch.
func script(name string) string {
	if _, err := os.Stat(filepath.Join(harness.Root(), "queue/lua", name+".lua")); err != nil {
		name = "fetch"
	}
	return faultproxy.Script(name)
}

// finish ends all faults and waits until all jobs have run. It does what a user would do by hand:
// it replaces processes that do not know a class, runs retries at once, and brings jobs back that
// were taken for poison.
func (r *run) finish() {
	r.Helper()
	r.waitUntil(time.Now().Add(time.Minute), func() bool { return len(r.dues) == 0 })
	r.finishing = true
	r.pusher.DropReply("", 0)
	for _, p := range r.fleet {
		p.proxy.DropReply("", 0)
		if p.now.of.unknown != "" {
			r.stopAndReplace(p)
		}
	}
	left, looked := 1, time.Time{}
	r.waitUntil(time.Now().Add(3*time.Minute), func() bool {
		if time.Since(looked) < 500*time.Millisecond {
			return false
		}
		looked = time.Now()
		r.bringBack()
		n, err := r.Raw.Eval(context.Background(), countLeft, nil).Int()
		if err == nil {
			left = n
		}
		return left == 0 && len(r.dues) == 0
	})
	if left > 0 {
		r.complain("left", "three minutes after the last fault, %d jobs have not ended", left)
	}
}

// bringBack runs all retries, and moves the jobs of the dead set to their queues, except for those
// that always fail. The caller repeats it, so an error is only logged.
func (r *run) bringBack() {
	r.Helper()
	ctx, dead := context.Background(), inspect.New(r.Store).DeadSet()
	if _, err := inspect.New(r.Store).RetrySet().All(ctx, r.Store.RetrySet().Retry); err != nil {
		r.Log(err)
	}
	_, err := dead.All(ctx, func(ctx context.Context, list ...queue.Entry) (int, error) {
		list = slices.DeleteFunc(list, func(e queue.Entry) bool {
			return e.Job != nil && e.Job.Class == "Test::Doomed"
		})
		for _, e := range list {
			if e.Job != nil {
				r.takenForPoison[e.Job.JID]++
				r.ledger.comeBack(e.Job.JID)
			}
		}
		return dead.Retry(ctx, list...)
	})
	if err != nil {
		r.Log(err)
	}
}
