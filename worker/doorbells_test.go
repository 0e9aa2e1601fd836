package worker

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

func TestDoorbells(t *testing.T) {
	t.Parallel()
	t.Run("a job for an idle fleet wakes one process and costs one BLMOVE", wakesOneProcess)
	t.Run("a bell on a lower queue does not start its job before those of the higher queue",
		keepsOrder)
	t.Run("two capsules with the same queues share their bells", sharedBells)
	t.Run("a pause takes effect on a queue with a bell", pausedBell)
	t.Run("fetchers poll while Redis is over its maxmemory", fullRedis)
	t.Run("fetchers poll while the user of Redis may not block", refusedBells)
	t.Run("an idle process costs as much in a large fleet as alone", idleCost)
}

func wakesOneProcess(t *testing.T) {
	t.Parallel()
	const jobs = 50
	b := newBench(t)
	var runs list
	b.handle("Job", runs.adds("ran"))
	b.config.Capsules[0].Queues = queues("a")
	for range 5 {
		b.start()
	}
	b.until("all sleep", func() bool { return b.bells() == 5 })
	before := b.calls("blmove")
	for i := range jobs {
		b.push("Job", nil, queue.Options{})
		b.until("it has run", func() bool { return runs.len() == i+1 })
	}
	// One for each job, and those that timed out meanwhile.
	if n := b.calls("blmove") - before; n > jobs*3/2+10 {
		t.Errorf("%d BLMOVE for %d jobs: more than one process wakes", n, jobs)
	}
}

// Both bells ring for jobs that come in the same moment, the lower one while the higher queue still
// has jobs.
func keepsOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var starts list
	b.handle("Job", func(ctx context.Context) error {
		starts.add(queue.JobFrom(ctx).JID)
		<-time.After(5 * time.Millisecond) // the work
		return nil
	})
	b.config.Capsules[0].Concurrency = 2
	b.start()
	for round := range 5 {
		b.until("both bells hang", func() bool { return b.bells() == 2 })
		_, err := b.raw.TxPipelined(t.Context(), func(p redis.Pipeliner) error {
			p.LPush(t.Context(), "queue:b", payload("b", "Job", round, 0))
			for i := range 4 {
				p.LPush(t.Context(), "queue:a", payload("a", "Job", i, 0))
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		b.until("all have run", func() bool { return starts.len() == 5*(round+1) })
		// With two threads the last two start at the same time.
		got := starts.get()[5*round:]
		if !strings.HasPrefix(got[3], "b") && !strings.HasPrefix(got[4], "b") {
			t.Fatalf("round %d: started in the order %v", round, got)
		}
	}
}

func sharedBells(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.Capsules = []Capsule{
		{Name: "one", Concurrency: 2, Queues: queues("a", "b", "c")},
		{Name: "two", Concurrency: 2, Queues: queues("c", "b", "a")}}
	b.start()
	b.until("it sleeps", func() bool { return b.bells() >= 3 })
	b.always(time.Second, "one connection for each queue waits in Redis", func() bool {
		return b.bells() <= 3
	})
}

func pausedBell(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var ran list
	b.handle("Job", func(ctx context.Context) error {
		ran.add(queue.JobFrom(ctx).Queue)
		return nil
	})
	b.start()
	b.push("Job", nil, queue.Options{})
	b.until("the first job has run", func() bool { return ran.len() == 1 })
	b.store.Pause(t.Context(), "a")
	b.until("the process knows of the pause", func() bool { return b.says("paused queues") })
	b.until("the bell of the paused queue is down", func() bool { return b.bells() == 1 })
	b.push("Job", nil, queue.Options{})
	b.push("Job", nil, queue.Options{Queue: "b"})
	b.until("the other queue is served", func() bool { return ran.len() == 2 })
	if got := ran.get()[1]; got != "b" || b.waiting("a") != 1 {
		t.Errorf("a job of %s ran, and %d jobs of a wait, want b and 1", got, b.waiting("a"))
	}
	b.store.Unpause(t.Context(), "a")
	b.until("the queue is served again", func() bool { return ran.len() == 3 })
}

func fullRedis(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var runs list
	b.handle("Job", runs.adds("ran"))
	b.start()
	b.until("it sleeps", func() bool { return b.bells() == 2 })
	before := strings.Count(b.log.String(), "\n")
	b.raw.ConfigSet(t.Context(), "maxmemory-policy", "noeviction")
	b.raw.ConfigSet(t.Context(), "maxmemory", "1")
	b.until("bells are refused", func() bool { return b.says("over its maxmemory") })
	<-time.After(1500 * time.Millisecond) // several polls and beats
	if n := strings.Count(b.log.String(), "\n") - before; n > 3 {
		t.Errorf("%d lines in the log, want at most 3", n)
	}
	b.raw.ConfigSet(t.Context(), "maxmemory", "0")
	began := time.Now()
	b.push("Job", nil, queue.Options{})
	b.until("a job has run", func() bool { return runs.len() == 1 })
	if took := time.Since(began); took > pollFor-time.Second {
		t.Errorf("it started after %v: it waited for a bell", took)
	}
	b.until("the bells hang again", func() bool { return b.bells() == 2 })
}

func refusedBells(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var ran atomic.Int64
	b.handleNumber("Job", func(context.Context, int) error { ran.Add(1); return nil })
	acl := func(rule string) {
		t.Helper()
		if err := b.raw.Do(t.Context(), "ACL", "SETUSER", "kyu", rule).Err(); err != nil {
			t.Fatal(err)
		}
	}
	acl("-blmove")
	b.start()
	refusals := func() int64 { return b.refusals("blmove") }
	b.until("bells are refused", func() bool { return refusals() > 0 })
	for i := range 3 {
		b.fill("a", "Job", 5, 0)
		b.until("jobs run", func() bool { return ran.Load() == int64(5*(i+1)) && b.empty() })
	}
	before := refusals()
	b.always(time.Second, "bells are tried seldom", func() bool { return refusals() <= before+2 })
	acl("+blmove")
	b.until("the bells hang again", func() bool { return b.bells() == 2 })
}

func idleCost(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.PollFixed = time.Hour
	b.start()
	b.until("it sleeps", func() bool { return b.bells() == 2 })
	sent := func() int64 { return b.info("stats", "total_net_output_bytes") }
	carriedOut := func() int64 { return b.info("stats", "total_commands_processed") }
	window := func() (bytes, commands int64) {
		bytes, commands = sent(), carriedOut()
		<-time.After(3 * time.Second)
		return sent() - bytes, carriedOut() - commands
	}
	bytes, commands := window()
	b.peers(200)
	<-time.After(1500 * time.Millisecond) // it may look once who they are
	bytesMany, commandsMany := window()
	if ratio := float64(bytesMany) / float64(bytes); ratio > 1.5 {
		t.Errorf("in 3 s, alone: %d bytes of replies; beside 200 processes: %d, %.1f times as many",
			bytes, bytesMany, ratio)
	}
	if commandsMany > commands+40 { // its record may be published in one of the windows
		t.Errorf("in 3 s, alone: %d commands; beside 200 processes: %d", commands, commandsMany)
	}
}

// peers registers n processes elsewhere whose leases have not ended.
func (b *bench) peers(n int) {
	pipe, end := b.raw.Pipeline(), float64(time.Now().Add(time.Minute).UnixMilli())
	for i := range n {
		identity := fmt.Sprintf("peer-%d.example:1:%s", i, strings.Repeat("0", 12))
		pipe.ZAdd(b.Context(), "kyu:leases", redis.Z{Score: end, Member: identity})
		pipe.HSet(b.Context(), "kyu:owner:"+identity, "queues", "a\nb",
			"host", "elsewhere", "pid", 1, "lease", time.Minute.Milliseconds())
	}
	if _, err := pipe.Exec(b.Context()); err != nil {
		b.Fatal(err)
	}
}
