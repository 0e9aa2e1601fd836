package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
)

// TestShards kills workers that serve three shards, and kills, restarts and stops their Redis
// servers, while jobs are pushed to each. No job is lost, and while a shard is away the others are
// served.
func TestShards(t *testing.T) {
	t.Parallel()
	row := scores(t, 50)
	r := newThreeShards(t)
	workers := []*harness.Process{r.worker(), r.worker(), r.worker()}
	r.awaitServing()
	stop := r.pushSteadily()
	kills := bySize(8, 100)
	for range kills {
		switch rand.IntN(3) {
		case 0:
			i := rand.IntN(len(workers))
			workers[i].Kill()
			workers[i] = r.worker()
		case 1:
			r.away(func(s *redistest.Server) { s.Kill() },
				func(s *redistest.Server) { s.Restart() })
		case 2: // sometimes for longer than a lease
			r.away(func(s *redistest.Server) { syscall.Kill(s.PID(), syscall.SIGSTOP) },
				func(s *redistest.Server) { syscall.Kill(s.PID(), syscall.SIGCONT) })
		}
	}
	stop()
	r.awaitEmpty()
	pushed := len(r.ledger.acked)
	lost, twice := r.ledger.unended(t), 0
	for _, n := range r.ledger.ends {
		if n > 1 {
			twice++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d jobs are lost: %v; dead: %v", lost, pushed, r.ledger.open(), r.dead())
	}
	for _, w := range workers {
		stillRuns(t, w)
	}
	row("%d faults (workers killed, shards killed, shards silent): lost 0 of %d jobs, ended twice "+
		"%d; while a shard was away the others ended %d jobs/s, of %d before; longest time in "+
		"which they ended none %d ms", kills, pushed, twice, r.beside.per(), r.before.per(),
		r.gap.Load())
}

// threeShards is three shards, their workers and the jobs.
type threeShards struct {
	*harness.Site
	t       *testing.T
	servers []*redistest.Server
	raws    []*redis.Client
	clients []*queue.Client
	env     []string
	ledger  *ledger

	before, beside pace
	gap            atomic.Int64 // milliseconds
}

// pace counts jobs and the time in which they ended.
type pace struct {
	jobs int
	took time.Duration
}

func (p *pace) per() int { return int(float64(p.jobs) / max(p.took.Seconds(), 0.001)) }

func newThreeShards(t *testing.T) *threeShards {
	r := &threeShards{Site: harness.New(t, written...), t: t,
		env: []string{"KYU_SHARDS=a b c", "TEST_LEASE=3s"}}
	r.ledger = newLedger(r.Site)
	r.servers = []*redistest.Server{r.Server, redistest.Start(t, written...),
		redistest.Start(t, written...)}
	for i, s := range r.servers {
		r.raws = append(r.raws, s.Client())
		store := r.Store
		if i > 0 {
			store = s.Store()
		}
		r.clients = append(r.clients, queue.NewClient(store))
		r.env = append(r.env, fmt.Sprintf("KYU_SHARD_%c_URL=%s", 'A'+i, s.URL))
	}
	return r
}

func (r *threeShards) worker() *harness.Process {
	return r.WorkerWith(r.env, "-c", "10", "-t", "1", "-q", "default", "-q", "push", "-q",
		"mailers", "-q", "pull")
}

// awaitServing waits until all shards have all workers.
func (r *threeShards) awaitServing() {
	r.Until(30*time.Second, "all shards are served", func() bool {
		for _, raw := range r.raws {
			if raw.ZCard(context.Background(), "kyu:leases").Val() < 3 {
				return false
			}
		}
		return true
	})
}

// pushSteadily pushes jobs to every shard until stop is called.
func (r *threeShards) pushSteadily() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var producers sync.WaitGroup
	for shard, client := range r.clients {
		producers.Go(func() {
			tick := time.NewTicker(4 * time.Millisecond)
			defer tick.Stop()
			for i := 0; ctx.Err() == nil; i++ {
				<-tick.C
				o := queue.Options{Queue: fourQueues[i%4], Retry: queue.RetryMax(0),
					JID: fmt.Sprint(shard, queue.NewJID()[1:])}
				if err := r.ledger.push(r.t.Context(), client, "Test::Ledger", []any{5},
					o); err != nil {
					r.t.Error(err)
					return
				}
			}
		})
	}
	return func() { cancel(); producers.Wait() }
}

// away takes a shard away for a while, and measures how many jobs of the others end before and
// meanwhile.
func (r *threeShards) away(stop, start func(*redistest.Server)) {
	i := rand.IntN(len(r.servers))
	span := time.Duration(500+rand.IntN(4000)) * time.Millisecond
	r.measure(&r.before, i, 500*time.Millisecond)
	stop(r.servers[i])
	r.measure(&r.beside, i, span)
	start(r.servers[i])
	<-time.After(300 * time.Millisecond)
}

// measure counts the jobs of all shards but one that end in a time.
func (r *threeShards) measure(p *pace, except int, span time.Duration) {
	began, at := time.Now(), time.Now()
	first, last := r.endedBut(except), 0
	for last = first; time.Since(began) < span; {
		<-time.After(20 * time.Millisecond)
		if n := r.endedBut(except); n > last {
			last, at = n, time.Now()
		} else if gap := time.Since(at).Milliseconds(); gap > r.gap.Load() {
			r.gap.Store(gap)
		}
	}
	p.jobs += last - first
	p.took += time.Since(began)
}

// endedBut counts the jobs that have ended, without those of a shard.
func (r *threeShards) endedBut(except int) (n int) {
	r.ledger.read(r.t)
	r.ledger.mu.Lock()
	defer r.ledger.mu.Unlock()
	prefix := fmt.Sprint(except) // of the ids of its jobs
	for id := range r.ledger.ends {
		if !strings.HasPrefix(id, prefix) {
			n++
		}
	}
	return n
}

// dead counts the dead jobs of each shard.
func (r *threeShards) dead() (counts []int64) {
	for _, raw := range r.raws {
		counts = append(counts, raw.ZCard(context.Background(), "dead").Val())
	}
	return counts
}

// awaitEmpty waits until no shard has a job.
func (r *threeShards) awaitEmpty() {
	r.Until(2*time.Minute, "all jobs have run", func() bool {
		for _, raw := range r.raws {
			n, err := raw.Eval(context.Background(), countLeft, nil).Int()
			if err != nil || n > 0 {
				return false
			}
		}
		return true
	})
}
