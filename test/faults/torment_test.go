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

// due is what is to be done at a time.
type due struct {
	at time.Time
	do func()
}

// later lets something be done after a while, in the loop of the faults: nothing of a
// run needs a lock.
func (r *run) later(d time.Duration, do func()) {
	r.dues = append(r.dues, due{time.Now().Add(d), do})
}

// pass lets the time pass until end, and does what becomes due. It returns early if
// until is given, and true.
func (r *run) pass(end time.Time, until func() bool) {
	r.Helper()
	for {
		for _, d := range r.take() {
			d.do()
		}
		r.guard()
		if !time.Now().Before(end) || until != nil && until() {
			r.look()
			return
		}
		<-time.After(min(25*time.Millisecond, max(time.Until(end), 0)))
	}
}

func (r *run) take() (now []due) {
	r.dues = slices.DeleteFunc(r.dues, func(d due) bool {
		ripe := !time.Now().Before(d.at)
		if ripe {
			now = append(now, d)
		}
		return ripe
	})
	return now
}

// torment brings all faults about, in an order that the seed decides, and checks
// now and then that every job is somewhere.
func (r *run) torment() (checks int) {
	r.Helper()
	var kinds []string
	for _, kind := range faultKinds {
		for range r.plan.faults[kind] {
			kinds = append(kinds, kind)
		}
	}
	r.rand.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
	for i := len(kinds) / 2; i < len(kinds); i++ { // the end must not wait for a zombie
		if kinds[i] == "zombie" {
			j := r.rand.IntN(len(kinds) / 2)
			kinds[i], kinds[j] = kinds[j], kinds[i]
		}
	}
	began := time.Now()
	for i, kind := range kinds {
		r.pass(began.Add(time.Duration(i+1)*r.plan.every), nil)
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

// victim picks the place of a fault: one at which nothing else is being done. Where
// faults are rare, one of ten of those that end a process takes place.
func (r *run) victim(kind string) *place {
	r.Helper()
	p := r.fleet[r.rand.IntN(len(r.fleet))]
	if p.rare && kind != "zombie" && r.rand.IntN(10) > 0 {
		p = r.fleet[1+r.rand.IntN(len(r.fleet)-1)]
	}
	if kind == "zombie" && *size == "smoke" {
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
	r.pass(time.Now().Add(time.Minute), free)
	return p
}

// fault does one thing to a process, to connections, or to all.
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
		p.now.disturbed = time.Now()
	}
	switch kind {
	case "kill":
		p.process.Kill()
		p.now.crashes++
		r.over(p, "it is dead")
	case "term": // every other time what it settles at its end takes a while
		if r.rand.IntN(2) == 0 {
			r.slow(p.proxy, 10*time.Millisecond, 2*time.Second)
		}
		r.replace(p)
	case "quiet":
		p.busy = true
		p.process.Signal(syscall.SIGTSTP)
		r.later(time.Duration(500+r.rand.IntN(1500))*time.Millisecond, func() { r.replace(p) })
	case "stop": // shorter than a lease: nothing must happen
		most := int(p.now.of.leaseLength().Milliseconds()) * 4 / 10
		r.freeze(p, time.Duration(500+r.rand.IntN(most))*time.Millisecond)
	case "zombie": // longer
		p.now.zombies++
		r.freeze(p, 2*p.now.of.leaseLength())
	case "pause":
		name := all[r.rand.IntN(len(all))]
		r.must(r.Raw.SAdd(context.Background(), "paused", name).Err()) // a client that tries again
		r.later(time.Duration(1000+r.rand.IntN(1500))*time.Millisecond, func() {
			r.must(r.Raw.SRem(context.Background(), "paused", name).Err())
		})
	case "redis":
		r.disturbed = time.Now()
		r.Server.Kill()
		r.Server.Restart()
	default:
		r.disturb(kind, proxy)
	}
}

func (r *run) must(err error) {
	r.Helper()
	if err != nil {
		r.t.Error(err)
	}
}

// freeze stops a process as a debugger does, for a while.
func (r *run) freeze(p *place, d time.Duration) {
	p.busy = true
	p.now.disturbed = time.Now().Add(d)
	p.process.Signal(syscall.SIGSTOP)
	r.later(d, func() {
		p.process.Signal(syscall.SIGCONT)
		p.now.mark(r.began, "goes on")
		p.now.disturbed = time.Now()
		p.busy = false
	})
}

// disturb does something to connections.
func (r *run) disturb(kind string, proxy *faultproxy.Proxy) {
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
		r.slow(proxy, time.Duration(20+r.rand.IntN(200))*time.Millisecond, time.Second)
	}
}

// slow lets replies come later, for a while.
func (r *run) slow(proxy *faultproxy.Proxy, by, during time.Duration) {
	proxy.Delay(by)
	r.later(during, func() { proxy.Delay(0) })
}

// script is how a call of a script begins; of one that there is not, the fetch's.
func script(name string) string {
	if _, err := os.Stat(filepath.Join(harness.Root(), "queue/lua", name+".lua")); err != nil {
		name = "fetch"
	}
	return faultproxy.Script(name)
}

// settle ends all faults and waits until all has run. What a user would do by hand is
// done: processes that do not know a class make way for one that does, retries are
// run at once, and what was taken for poison is brought back.
func (r *run) settle() {
	r.Helper()
	r.pass(time.Now().Add(time.Minute), func() bool { return len(r.dues) == 0 })
	r.settling = true
	r.pusher.DropReply("", 0)
	for _, p := range r.fleet {
		p.proxy.DropReply("", 0)
		if p.now.of.unknown != "" {
			r.replace(p)
		}
	}
	left, looked := 1, time.Time{}
	r.pass(time.Now().Add(3*time.Minute), func() bool {
		if time.Since(looked) < 500*time.Millisecond {
			return false
		}
		looked = time.Now()
		r.operate()
		n, err := r.Raw.Eval(context.Background(), countLeft, nil).Int()
		if err == nil {
			left = n
		}
		return left == 0 && len(r.dues) == 0
	})
	if left > 0 {
		r.complain("left", "%d jobs have not run three minutes after the last fault", left)
	}
}

// operate runs retries and brings jobs back from the dead that are not there for good. It
// is called again and again: what fails is done the next time.
func (r *run) operate() {
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
				r.convicted[e.Job.JID]++
			}
		}
		return dead.Retry(ctx, list...)
	})
	if err != nil {
		r.Log(err)
	}
}
