package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

// shardBench is a bench with several shards, the first of which is the bench's own Redis.
type shardBench struct {
	*bench
	servers []*redistest.Server
	shards  []queue.Shard
}

func newShardBench(t *testing.T, n int) *shardBench {
	b := &shardBench{bench: newBench(t)}
	for i := range n {
		server := b.server
		if i > 0 {
			server = redistest.Start(t)
		}
		store := b.store
		if i > 0 {
			store = server.Store()
		}
		b.servers = append(b.servers, server)
		b.shards = append(b.shards, queue.Shard{Name: fmt.Sprint("s", i), Store: store})
	}
	return b
}

// serve runs a Runner over all shards, and returns when it takes jobs.
func (b *shardBench) serve() *process {
	b.Helper()
	c := b.config
	c.Mux, c.Logger = b.mux, slog.New(slog.NewTextHandler(&b.log, nil))
	r, err := NewSharded(b.shards, c)
	if err != nil {
		b.Fatal(err)
	}
	p := &process{Runner: r, b: b.bench, ended: make(chan struct{})}
	p.launch()
	select {
	case <-p.Running():
	case <-p.ended:
		b.Fatal("the Runner did not start:", p.err)
	case <-time.After(30 * time.Second):
		b.Fatal("the Runner does not start")
	}
	return p
}

// push pushes n jobs to a queue of a shard, with the arguments shard and number.
func (b *shardBench) push(shard int, name string, n int) {
	b.Helper()
	c := queue.NewClient(b.shards[shard].Store)
	for i := range n {
		if _, err := c.Push(b.Context(), "J", []any{name, shard, i},
			queue.Options{Queue: name}); err != nil {
			b.Fatal(err)
		}
	}
}

// shardOf returns the shard to which push pushed a job.
func shardOf(j *queue.Job) int {
	var args []any
	if err := json.Unmarshal(j.Args, &args); err != nil || len(args) < 2 {
		return -1
	}
	shard, _ := args[1].(float64)
	return int(shard)
}

// left counts what is left of jobs in a shard.
func (b *shardBench) left(shard int) int64 {
	raw, n := b.servers[shard].Client(), int64(0)
	for _, key := range raw.Keys(b.Context(), "*").Val() {
		switch {
		case len(key) > 6 && key[:6] == "queue:":
			n += raw.LLen(b.Context(), key).Val()
		case len(key) > 11 && key[:11] == "kyu:{queue:":
			n += raw.HLen(b.Context(), key).Val()
		}
	}
	return n
}

func TestShards(t *testing.T) {
	t.Parallel()
	t.Run("run on the same threads", shardsShareThreads)
	t.Run("keep the order of the queues among each other", shardsKeepOrder)
	t.Run("wake an idle process", shardsWake)
	t.Run("go on while one is killed, which is served when it is back", shardKilled)
	t.Run("go on while one hangs", shardHangs)
	t.Run("are served although one is away at the start", shardAway)
	t.Run("are not served if none answers", func(t *testing.T) {
		t.Parallel()
		b := newShardBench(t, 2)
		for i, s := range b.servers {
			s.Kill()
			b.shards[i].Store = unconnected(t, s)
		}
		r, err := NewSharded(b.shards, Config{Mux: b.mux, Capsules: b.config.Capsules})
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Run(t.Context()); err == nil {
			t.Error("it started")
		}
	})
	t.Run("keep their own retries and counts", shardsKeepRetries)
	t.Run("get back what a stop interrupts", shardsGetBack)
}

// unconnected returns a Store of a server that has not connected.
func unconnected(t *testing.T, s *redistest.Server) *queue.Store {
	t.Helper()
	store, err := queue.NewStore(queue.Config{URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func shardsShareThreads(t *testing.T) {
	t.Parallel()
	b := newShardBench(t, 3)
	var running, most, done atomic.Int64
	b.mux.HandleJob("J", func(context.Context, *queue.Job) error {
		n := running.Add(1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		<-time.After(time.Millisecond)
		running.Add(-1)
		done.Add(1)
		return nil
	})
	for i := range b.shards {
		b.push(i, "a", 100)
		b.push(i, "b", 100)
	}
	p := b.serve()
	testwait.Until(t, 30*time.Second, "all jobs ran", func() bool { return done.Load() == 600 })
	if n := most.Load(); n > 5 {
		t.Errorf("%d jobs ran at once on 5 threads", n)
	}
	p.stop()
	for i := range b.shards {
		if n := b.left(i); n > 0 {
			t.Errorf("shard %d still has %d jobs", i, n)
		}
	}
}

func shardsKeepOrder(t *testing.T) {
	t.Parallel()
	b := newShardBench(t, 3)
	b.config.Capsules[0].Concurrency = 1
	var mu sync.Mutex
	var order []string
	b.mux.HandleJob("J", func(_ context.Context, j *queue.Job) error {
		mu.Lock()
		order = append(order, j.Queue)
		n := len(order)
		mu.Unlock()
		if j.Queue == "b" && n < 60 { // a job of the higher queue comes into another shard
			b.push(rand.IntN(3), "a", 1)
		}
		<-time.After(10 * time.Millisecond) // longer than figures count
		return nil
	})
	for i := range b.shards {
		b.push(i, "b", 10)
		b.push(i, "a", 5)
	}
	b.serve()
	want := slices.Repeat([]string{"a"}, 15)
	for n := 16; len(want) < 15+30+22; n++ {
		if want = append(want, "b"); len(want) < 60 {
			want = append(want, "a")
		}
	}
	testwait.Until(t, 30*time.Second, "all jobs ran", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(order) >= 67
	})
	mu.Lock()
	defer mu.Unlock()
	for i := range 60 {
		if order[i] != want[i] {
			t.Fatalf("job %d is of %s: %v", i, order[i], order[:i+1])
		}
	}
}

func shardsWake(t *testing.T) {
	t.Parallel()
	b := newShardBench(t, 3)
	ran := make(chan time.Time, 1)
	b.mux.HandleJob("J", func(context.Context, *queue.Job) error { ran <- time.Now(); return nil })
	b.serve()
	var slow time.Duration
	for n := range 60 {
		began := time.Now()
		b.push(n%3, []string{"a", "b"}[n%2], 1)
		select {
		case at := <-ran:
			slow = max(slow, at.Sub(began))
		case <-time.After(10 * time.Second):
			t.Fatalf("job %d does not run", n)
		}
	}
	if slow > 2*time.Second {
		t.Errorf("one job waited for %v", slow)
	}
}

// pulse counts the jobs of each shard, and keeps the longest time in which no job ran of all shards
// but one.
type pulse struct {
	mu   sync.Mutex
	ran  map[int]int
	last time.Time
	gap  time.Duration
}

func (p *pulse) beat(shard, except int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ran[shard]++
	if shard == except {
		return
	}
	if now := time.Now(); !p.last.IsZero() {
		p.gap = max(p.gap, now.Sub(p.last))
	}
	p.last = time.Now()
}

func (p *pulse) of(shard int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ran[shard]
}

// beats has jobs note their shards, and pushes jobs to all shards but one until the test ends.
func (b *shardBench) beats(except int) *pulse {
	p := &pulse{ran: map[int]int{}}
	b.mux.HandleJob("J", func(_ context.Context, j *queue.Job) error {
		p.beat(shardOf(j), except)
		return nil
	})
	for i := range b.shards {
		if i != except {
			b.push(i, "b", 50)
		}
	}
	done := make(chan struct{})
	go func() { // ends with done
		defer close(done)
		clients := make([]*queue.Client, len(b.shards))
		for i, s := range b.shards {
			clients[i] = queue.NewClient(s.Store)
		}
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for n := 0; ; n++ {
			select {
			case <-tick.C:
			case <-b.Context().Done():
				return
			}
			if i := n % len(clients); i != except {
				clients[i].Push(b.Context(), "J", []any{"b", i, n}, queue.Options{Queue: "b"})
			}
		}
	}()
	b.Cleanup(func() { <-done })
	return p
}

func shardKilled(t *testing.T) {
	t.Parallel()
	b := newShardBench(t, 3)
	p := b.beats(1)
	b.serve()
	b.push(1, "a", 5)
	testwait.Until(t, 10*time.Second, "the shard is served", func() bool { return p.of(1) == 5 })
	b.servers[1].Kill()
	before := p.of(0) + p.of(2)
	testwait.Until(t, 20*time.Second, "the others go on", func() bool {
		return p.of(0)+p.of(2) > before+500
	})
	b.servers[1].Restart()
	b.push(1, "a", 5)
	testwait.Until(t, 20*time.Second, "it is served again", func() bool { return p.of(1) >= 10 })
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gap > 1500*time.Millisecond {
		t.Errorf("the other shards stood still for %v", p.gap)
	}
}

func shardHangs(t *testing.T) {
	t.Parallel()
	b := newShardBench(t, 3)
	p := b.beats(2)
	b.serve()
	b.push(2, "a", 5)
	testwait.Until(t, 10*time.Second, "the shard is served", func() bool { return p.of(2) == 5 })
	pid := b.servers[2].PID()
	syscall.Kill(pid, syscall.SIGSTOP)
	t.Cleanup(func() { syscall.Kill(pid, syscall.SIGCONT) })
	before := p.of(0) + p.of(1)
	testwait.Until(t, 20*time.Second, "the others go on", func() bool {
		return p.of(0)+p.of(1) > before+800
	})
	syscall.Kill(pid, syscall.SIGCONT)
	b.push(2, "a", 5)
	testwait.Until(t, 20*time.Second, "it is served again", func() bool { return p.of(2) >= 10 })
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gap > 1500*time.Millisecond {
		t.Errorf("the other shards stood still for %v", p.gap)
	}
}

func shardAway(t *testing.T) {
	t.Parallel()
	b := newShardBench(t, 2)
	b.servers[1].Kill()
	connected := b.shards[1].Store
	b.shards[1].Store = unconnected(t, b.servers[1])
	var done atomic.Int64
	b.mux.HandleJob("J", func(context.Context, *queue.Job) error { done.Add(1); return nil })
	p := b.serve()
	b.push(0, "b", 10)
	testwait.Until(t, 10*time.Second, "the first is served", func() bool {
		return done.Load() == 10
	})
	testwait.Until(t, 10*time.Second, "it is ready", func() bool { return p.Status().Ready })
	if err := p.Status().LastErr; err == nil {
		t.Error("the status does not name the shard that is away")
	}
	b.servers[1].Restart()
	b.shards[1].Store = connected
	b.push(1, "a", 10)
	testwait.Until(t, 20*time.Second, "both are served", func() bool { return done.Load() == 20 })
	p.stop()
}

func shardsKeepRetries(t *testing.T) {
	t.Parallel()
	b := newShardBench(t, 2)
	b.mux.HandleJob("J", func(_ context.Context, j *queue.Job) error {
		if shardOf(j) == 1 {
			return errors.New("no")
		}
		return nil
	})
	b.push(0, "a", 3)
	b.push(1, "a", 4)
	p := b.serve()
	raw := b.servers[1].Client()
	testwait.Until(t, 10*time.Second, "retries", func() bool {
		return raw.ZCard(t.Context(), "retry").Val() == 4 && b.left(0) == 0
	})
	p.stop()
	if n := b.raw.ZCard(t.Context(), "retry").Val(); n != 0 {
		t.Errorf("%d retries in the other shard", n)
	}
	for i, want := range []string{"3", "4"} {
		if n := b.servers[i].Client().Get(t.Context(), "stat:processed").Val(); n != want {
			t.Errorf("shard %d has processed %s, want %s", i, n, want)
		}
	}
}

func shardsGetBack(t *testing.T) {
	t.Parallel()
	b := newShardBench(t, 2)
	b.config.Timeout = 100 * time.Millisecond
	g := b.gate()
	var running atomic.Int64
	b.mux.HandleJob("J", func(context.Context, *queue.Job) error {
		running.Add(1)
		g.pass()
		return nil
	})
	b.push(0, "a", 10)
	b.push(1, "a", 10)
	p := b.serve()
	testwait.Until(t, 10*time.Second, "all threads are busy", func() bool {
		return running.Load() == 5
	})
	p.Stop()
	p.endsWithin(20 * time.Second)
	if n := b.left(0) + b.left(1); n != 20 {
		t.Errorf("%d of 20 jobs are left", n)
	}
	for i := range b.shards {
		raw := b.servers[i].Client()
		for _, identity := range raw.ZRange(t.Context(), "kyu:leases", 0, -1).Val() {
			if raw.HGet(t.Context(), "kyu:owner:"+identity, "left").Val() != "1" {
				t.Errorf("the process has not left shard %d", i)
			}
		}
	}
}
