package queue_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/kyujobs/kyu/queue"
)

var historyOps = flag.Int("history", 40_000, "number of operations in the history that is "+
	"checked")

// op is an operation on a job, as its caller saw it.
type op struct {
	jid      string
	kind     string // push, fetch, done, requeue, reclaim
	delivery int64  // of fetch, done and requeue
	owner    string
	stale    bool // nothing was done: the job was not there
}

// register is the state of a job.
type register struct {
	at       string // "", queued, in flight, ended
	delivery int64
	owner    string
}

// leaseRegister is the specification: a job has one owner at a time, and only its delivery ends it
// or puts it back.
var leaseRegister = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byJob := map[string][]porcupine.Operation{}
		for _, o := range history {
			jid := o.Input.(op).jid
			byJob[jid] = append(byJob[jid], o)
		}
		var parts [][]porcupine.Operation
		for _, p := range byJob {
			parts = append(parts, p)
		}
		return parts
	},
	Init: func() any { return register{} },
	Step: func(state, input, _ any) (bool, any) {
		s, o := state.(register), input.(op)
		mine := s.at == "in flight" && s.delivery == o.delivery
		switch o.kind {
		case "push":
			return s.at == "", register{at: "queued"}
		case "fetch":
			return s.at == "queued", register{"in flight", o.delivery, o.owner}
		case "reclaim":
			mine = s.at == "in flight" && s.owner == o.owner
		}
		switch {
		case o.stale:
			return !mine, s
		case o.kind == "done":
			return mine, register{at: "ended"}
		default:
			return mine, register{at: "queued"}
		}
	},
	Equal: func(a, b any) bool { return a == b },
}

// recorder collects a history.
type recorder struct {
	began time.Time
	mu    sync.Mutex
	all   []porcupine.Operation
}

func (r *recorder) add(client int, o op, from time.Time) {
	to := time.Since(r.began).Nanoseconds()
	r.mu.Lock()
	r.all = append(r.all, porcupine.Operation{ClientId: client, Input: o,
		Call: from.Sub(r.began).Nanoseconds(), Return: to})
	r.mu.Unlock()
}

func (r *recorder) size() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.all)
}

func TestLinearHistory(t *testing.T) {
	t.Run("of concurrent owners is linearizable", testLinearHistory)
}

func testLinearHistory(t *testing.T) {
	f := newFixture(t)
	r := &recorder{began: time.Now()}
	var deliveries atomic.Int64
	var all sync.WaitGroup
	for c := range 8 {
		all.Go(func() {
			random := rand.New(rand.NewPCG(uint64(c), 1))
			for turn := 0; r.size() < *historyOps; turn++ {
				if err := f.life(r, c, turn, random, &deliveries); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	switch porcupine.CheckOperationsTimeout(leaseRegister, r.all, 5*time.Minute) {
	case porcupine.Illegal:
		t.Errorf("a history of %d operations is not linearizable", len(r.all))
	case porcupine.Unknown:
		t.Error("the check did not end in time")
	}
	t.Logf("row 31: %d operations of 8 clients, linearizable", len(r.all))
}

// life is the life of an owner: it pushes, fetches one job at a time, ends it or puts it back, may
// die with a job in flight, and is reclaimed while it may still settle.
func (f *fixture) life(r *recorder, client, turn int, random *rand.Rand,
	deliveries *atomic.Int64) error {
	ctx := f.Context()
	o := f.store.Owner(fmt.Sprintf("h:%d:%d", client, turn))
	if err := o.Register(ctx, queue.Host{Name: "h", PID: 1}, []string{"a"}, time.Hour); err != nil {
		return err
	}
	settle := func(d *queue.Delivery, id int64, kind string) error {
		action := map[string]queue.Action{"done": queue.Done, "requeue": queue.Requeue}[kind]
		from := time.Now()
		settled, err := settleOne(ctx, f.store, queue.Settlement{Delivery: d, Action: action})
		if err != nil {
			return err
		}
		r.add(client, op{jidOf(d.Raw), kind, id, o.Identity, !settled}, from)
		return nil
	}
	for range 1 + random.IntN(20) {
		jid := queue.NewJID()
		from := time.Now()
		if _, err := f.client.Push(ctx, "Job", nil,
			queue.Options{Queue: "a", JID: jid}); err != nil {
			return err
		}
		r.add(client, op{jid: jid, kind: "push"}, from)
		from = time.Now()
		jobs, _, err := take(ctx, f.store, o, []string{"a"}, 1, nil, nil)
		if err != nil {
			return err
		}
		if len(jobs) == 0 {
			continue
		}
		d, id := jobs[0], deliveries.Add(1)
		r.add(client, op{jidOf(d.Raw), "fetch", id, o.Identity, false}, from)
		switch random.IntN(6) {
		case 0:
			if err := settle(d, id, "requeue"); err != nil {
				return err
			}
		case 1: // it dies and settles at the same time
			return f.death(r, client, o, d, func() error { return settle(d, id, "done") })
		default:
			if err := settle(d, id, "done"); err != nil {
				return err
			}
			if err := settle(d, id, "done"); err != nil { // again, as after a lost reply
				return err
			}
		}
	}
	return o.Leave(ctx, queue.Host{}, []string{"a"})
}

// death reclaims an owner's job while the owner settles it.
func (f *fixture) death(r *recorder, client int, o *queue.Owner, d *queue.Delivery,
	settle func() error) error {
	var both sync.WaitGroup
	errs := make([]error, 2)
	both.Go(func() { errs[0] = settle() })
	both.Go(func() {
		if errs[1] = o.Leave(f.Context(), queue.Host{}, []string{"a"}); errs[1] != nil {
			return
		}
		from := time.Now()
		got, _, err := f.store.Reclaim(f.Context(), o.Identity, "a", queue.Poison{}, 10)
		if errs[1] = err; err == nil {
			r.add(client+100, op{jidOf(d.Raw), "reclaim", 0, o.Identity, got.Requeued == 0}, from)
		}
	})
	both.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
