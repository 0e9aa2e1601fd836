package faults

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/redis/go-redis/v9"
)

// TestDrain drains one of two shards, beside workers and pushes on both, and kills the movers at
// random moments. Each job is run or kept once, with the same bytes and times.
func TestDrain(t *testing.T) {
	t.Parallel()
	row := scores(t, 52)
	d := newDrainRun(t, bySize(4_000, 100_000), bySize(6, 50))
	d.fill()
	began := time.Now()
	var pushes sync.WaitGroup
	ended := make(chan struct{})
	pushes.Go(func() { d.push(ended) })
	d.killMovers()
	p := d.mover("--per-second", "0")
	code := p.Exit(5 * time.Minute)
	took := time.Since(began)
	close(ended)
	pushes.Wait()
	d.Equal("exit code of the drain", code, 0)
	d.Contains("the drain says", p.Log(), "a is empty")
	d.checkKept()
	d.checkRuns()
	d.OK("", "shards", "list")
	row("%d jobs and %d pushed meanwhile, %d movers killed, %d of them with jobs on their way: "+
		"lost 0, run or kept twice 0, other bytes or times 0; drained in %.0f s",
		d.jobs, d.pushed, d.kills, d.midway, took.Seconds())
}

// drainRun is one run of TestDrain. The site's Redis is the shard a.
type drainRun struct {
	*harness.Site
	to             *harness.Site // the shard b
	jobs, kills    int
	midway, pushed int
	takes          time.Duration      // about how long a mover lives
	kept           map[string]redis.Z // by bytes: jobs that must be kept
	places         map[string]string  // by bytes: the sets of those
	runs           []string           // ids of jobs that must run once
	workers        []*harness.Process
}

func newDrainRun(t *testing.T, jobs, kills int) *drainRun {
	a, b := harness.New(t), harness.New(t)
	d := &drainRun{Site: a, to: b, jobs: jobs, kills: kills, takes: 300 * time.Millisecond,
		kept: map[string]redis.Z{}, places: map[string]string{}}
	a.Env = []string{"KYU_SHARDS=a b", "KYU_SHARD_A_URL=" + a.Server.URL,
		"KYU_SHARD_B_URL=" + b.Server.URL}
	for _, s := range []*harness.Site{a, b} {
		d.workers = append(d.workers, untilServing(s, s.Worker("-c", "5", "-q", "default", "-q",
			"flaky")))
	}
	return d
}

// fill puts jobs into all places of the shard a. A third of them runs; the others are kept, because
// they are due in a year, dead, held, or in a queue that nobody serves.
func (d *drainRun) fill() {
	d.Helper()
	ctx, pipe := d.Context(), d.Raw.Pipeline()
	far := float64(time.Now().AddDate(1, 0, 0).Unix())
	keep := func(place string, raw string, score float64) {
		d.kept[raw], d.places[raw] = redis.Z{Score: score, Member: raw}, place
	}
	for i := range d.jobs {
		id := fmt.Sprintf("j%06d", i)
		job := func(class, queue, args string) string {
			return fmt.Sprintf(`{"class":%q,"jid":"%024x","queue":%q, "args":[%q,%q,%s],"big":`+
				`12345678901234567890,"retry":true,"created_at":1764380000.1}`, class, i, queue,
				d.LedgerPath(), id, args)
		}
		switch place := i % 9; place {
		case 0, 1:
			pipe.LPush(ctx, "queue:default", job("Test::Ledger", "default", "1"))
			d.runs = append(d.runs, id)
		case 2: // runs, fails if it is early, and comes back through the retry set
			if i%20 == 0 {
				pipe.LPush(ctx, "queue:flaky", job("Test::Flaky", "flaky", "1"))
			} else {
				pipe.ZAdd(ctx, "schedule", redis.Z{Score: float64(time.Now().Unix()) +
					10*rand.Float64(), Member: job("Test::Ledger", "default", "0")})
			}
			d.runs = append(d.runs, id)
		case 3:
			raw := job("Test::Ledger", "idle", "0")
			pipe.LPush(ctx, "queue:idle", raw)
			keep("queue:idle", raw, 0)
		default:
			set := []string{"schedule", "retry", "dead", "kyu:hold:Test::Gone", "schedule"}[place-4]
			raw, at := job("Test::Gone", "default", "0"), far+rand.Float64()*1e6
			pipe.ZAdd(ctx, set, redis.Z{Score: at, Member: raw})
			keep(set, raw, at)
		}
		if pipe.Len() >= 1000 {
			_, err := pipe.Exec(ctx)
			d.Must(err)
		}
	}
	pipe.SAdd(ctx, "queues", "default", "flaky", "idle")
	pipe.SAdd(ctx, "kyu:held", "Test::Gone")
	_, err := pipe.Exec(ctx)
	d.Must(err)
}

// push pushes jobs to the shard b, and for some seconds to a too, as a client that has not yet
// learnt that a drains.
func (d *drainRun) push(ended chan struct{}) {
	late := time.Now().Add(3 * time.Second)
	for i := 0; ; i++ {
		select {
		case <-ended:
			return
		case <-time.After(5 * time.Millisecond):
		}
		client := d.to.Client
		if i%2 == 0 && time.Now().Before(late) {
			client = d.Client
		}
		id := fmt.Sprintf("p%06d", i)
		if _, err := client.Push(d.Context(), "Test::Ledger", []any{d.LedgerPath(), id, 1},
			queue.Options{}); err != nil {
			d.Errorf("push: %v", err)
			return
		}
		d.runs = append(d.runs, id)
		d.pushed++
	}
}

// mover starts a drain of a.
func (d *drainRun) mover(args ...string) *harness.Process {
	return d.StartWith(d.Env, filepath.Join(harness.Bin, "workerctl"),
		append([]string{"shards", "drain", "a"}, args...)...)
}

// killMovers starts movers, at times two at once, and kills each at a random moment.
func (d *drainRun) killMovers() {
	d.Helper()
	rate := fmt.Sprint(max(100, d.jobs*4/d.kills)) // so that all of them have something to do
	for n := 0; n < d.kills; n++ {
		movers := []*harness.Process{d.mover("--per-second", rate)}
		if n%5 == 4 && n+1 < d.kills {
			n++
			movers = append(movers, d.mover("--per-second", rate))
		}
		<-time.After(rand.N(d.takes))
		for _, p := range movers {
			p.Kill()
			<-p.Done
		}
		if d.Raw.HLen(d.Context(), "kyu:moving").Val() > 0 {
			d.midway++
		}
	}
}

// checkKept checks that a has no jobs, and b those that are kept, with their bytes and times.
func (d *drainRun) checkKept() {
	d.Helper()
	ctx := d.Context()
	found := map[string]redis.Z{}
	for _, set := range []string{"schedule", "retry", "dead", "kyu:hold:Test::Gone"} {
		d.Equal(set+" of a", d.Card(set), int64(0))
		list, err := d.to.Raw.ZRangeWithScores(ctx, set, 0, -1).Result()
		d.Must(err)
		for _, z := range list {
			raw := z.Member.(string)
			if want, keeps := d.kept[raw]; keeps {
				d.Equal("place of "+raw, set, d.places[raw])
				d.Equal("time of "+raw, z.Score, want.Score)
				found[raw] = z
			} else if strings.Contains(raw, "Test::Gone") {
				d.Errorf("%s of b has other bytes: %s", set, raw)
			}
		}
	}
	idle, err := d.to.Raw.LRange(ctx, "queue:idle", 0, -1).Result()
	d.Must(err)
	for _, raw := range idle {
		if _, twice := found[raw]; twice || d.places[raw] != "queue:idle" {
			d.Errorf("queue:idle has twice, or should not have %s", raw)
		}
		found[raw] = redis.Z{}
	}
	d.Equal("jobs kept in b", len(found), len(d.kept))
	for _, key := range []string{"queue:idle", "queue:default", "queue:flaky"} {
		d.Equal("length of "+key+" of a", d.Raw.LLen(ctx, key).Val(), int64(0))
	}
	d.Equal("jobs on their way", d.Raw.HLen(ctx, "kyu:moving").Val(), int64(0))
}

// checkRuns waits until all jobs have run, and checks that each has ended once.
func (d *drainRun) checkRuns() {
	d.Helper()
	var ends map[string]int
	d.Until(3*time.Minute, "all jobs have run", func() bool {
		_, ends, _ = d.Ledger()
		return len(ends) >= len(d.runs)
	})
	for _, w := range d.workers {
		d.Equal("exit code", w.Stop(), 0)
	}
	_, ends, _ = d.Ledger()
	for _, id := range d.runs {
		if ends[id] != 1 {
			d.Errorf("job %s has run %d times", id, ends[id])
		}
	}
}
