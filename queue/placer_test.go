package queue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/faultproxy"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
	"github.com/redis/go-redis/v9"
)

// sharded are shards named a, b, c, …, each on its own Redis, with a client that places jobs.
type sharded struct {
	*testing.T
	servers []*redistest.Server
	raw     []*redis.Client
	configs []queue.ShardConfig
	shards  *queue.Shards
	backend queue.Backend
	client  *queue.Client
}

// newSharded starts n servers that keep what they have confirmed.
func newSharded(t *testing.T, n int, p queue.Placement) *sharded {
	t.Helper()
	s := &sharded{T: t}
	for i := range n {
		server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
		s.servers, s.raw = append(s.servers, server), append(s.raw, server.Client())
		s.configs = append(s.configs, queue.ShardConfig{Name: string(rune('a' + i)),
			Config: queue.Config{URL: server.URL}})
	}
	s.connect(p)
	return s
}

// connect makes the client anew.
func (s *sharded) connect(p queue.Placement) {
	s.Helper()
	p.Logger = slog.New(slog.NewTextHandler(io.Discard, nil))
	var err error
	if s.shards, err = queue.NewShards(s.configs); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { s.shards.Close() })
	if err := s.shards.Connect(s.Context()); err != nil {
		s.Fatal(err)
	}
	if s.backend, err = s.shards.Backend(p); err != nil {
		s.Fatal(err)
	}
	s.client = queue.NewClient(s.backend)
}

// through puts a proxy before the first server.
func (s *sharded) through() *faultproxy.Proxy {
	s.Helper()
	proxy := faultproxy.Start(s.T, s.servers[0].Addr)
	s.configs[0].Config.URL = strings.Replace(s.servers[0].URL, s.servers[0].Addr, proxy.Addr, 1)
	s.connect(queue.Placement{})
	return proxy
}

// jids returns the JIDs of all jobs of a shard, in queues and in the schedule set.
func (s *sharded) jids(i int) (list []string) {
	s.Helper()
	for _, name := range s.raw[i].SMembers(s.Context(), "queues").Val() {
		for _, raw := range s.raw[i].LRange(s.Context(), "queue:"+name, 0, -1).Val() {
			list = append(list, jidOf(raw))
		}
	}
	for _, raw := range s.raw[i].ZRange(s.Context(), "schedule", 0, -1).Val() {
		list = append(list, jidOf(raw))
	}
	return list
}

// sizes returns the number of jobs of each shard.
func (s *sharded) sizes() (list []int) {
	s.Helper()
	for i := range s.raw {
		list = append(list, len(s.jids(i)))
	}
	return list
}

// once checks that each of these jobs is in exactly one shard, and that no job is twice anywhere.
func (s *sharded) once(acked []string) {
	s.Helper()
	count := map[string]int{}
	for i := range s.raw {
		for _, jid := range s.jids(i) {
			count[jid]++
		}
	}
	lost, doubled := 0, 0
	for _, jid := range acked {
		if count[jid] == 0 {
			lost++
		}
	}
	for _, n := range count {
		if n > 1 {
			doubled++
		}
	}
	if lost > 0 || doubled > 0 {
		s.Errorf("of %d jobs %d are lost, %d of all are doubled", len(acked), lost, doubled)
	}
}

// pushMany pushes n jobs one after the other, and returns the JIDs of those that were pushed.
func (s *sharded) pushMany(n int, o queue.Options) (acked []string, errs []error) {
	for range n {
		jid, err := s.client.Push(s.Context(), "Job", nil, o)
		if err != nil {
			errs = append(errs, err)
		} else {
			acked = append(acked, jid)
		}
	}
	return acked, errs
}

// homed returns n different keys that belong in the i-th shard while all are active.
func (s *sharded) homed(i, n int) (keys []string) {
	s.Helper()
	for k := 0; len(keys) < n; k++ {
		key := fmt.Sprint("key-", i, "-", k)
		if queue.HomeOf(key, "a", "b", "c") == i {
			keys = append(keys, key)
		}
	}
	return keys
}

func TestPushInTurn(t *testing.T) {
	s := newSharded(t, 3, queue.Placement{})
	t.Run("goes to all shards alike", func(t *testing.T) {
		if _, errs := s.pushMany(30, queue.Options{}); errs != nil {
			t.Fatal(errs)
		}
		if got := s.sizes(); !slices.Equal(got, []int{10, 10, 10}) {
			t.Error(got)
		}
	})
	t.Run("keeps a slice in one shard", func(t *testing.T) {
		args := bulkArgs(3000)
		if _, err := s.client.PushBulk(t.Context(), "Job", args, queue.Options{}); err != nil {
			t.Fatal(err)
		}
		if got := s.sizes(); !slices.Equal(got, []int{1010, 1010, 1010}) {
			t.Error(got)
		}
	})
}

func TestOneShard(t *testing.T) {
	f := newFixture(t)
	t.Run("is its Store", func(t *testing.T) {
		b, err := queue.OneShard(f.store).Backend(queue.Placement{Key: queue.ByClass})
		if b != queue.Backend(f.store) || err != nil {
			t.Error(b, err)
		}
	})
}

func TestBackendRefuses(t *testing.T) {
	s := newSharded(t, 2, queue.Placement{})
	t.Run("a rule for a shard that does not exist", func(t *testing.T) {
		_, err := s.shards.Backend(queue.Placement{Queues: map[string]string{"q": "z"}})
		if !says(err, "q=z", "want one of a, b") {
			t.Error(err)
		}
	})
}

func TestPushBesideKilledShard(t *testing.T) {
	t.Parallel()
	s := newSharded(t, 3, queue.Placement{})
	acked, errs := s.pushMany(30, queue.Options{})
	s.servers[0].Kill()
	more, failed := s.pushMany(200, queue.Options{})
	acked, errs = append(acked, more...), append(errs, failed...)
	if len(errs) > 0 { // the pool may hold a connection whose end it has not seen
		t.Errorf("%d errors: %v", len(errs), errs[0])
	}
	s.servers[0].Restart()
	before := len(s.jids(0))
	testwait.Until(t, 10*time.Second, "the shard gets jobs again", func() bool {
		more, _ := s.pushMany(1, queue.Options{})
		acked = append(acked, more...)
		return len(s.jids(0)) > before
	})
	s.once(acked)
}

func TestPushBesideHangingShard(t *testing.T) {
	t.Parallel()
	s := newSharded(t, 3, queue.Placement{})
	s.pushMany(3, queue.Options{})
	syscall.Kill(s.servers[0].PID(), syscall.SIGSTOP)
	var mu sync.Mutex
	var acked []string
	var g sync.WaitGroup
	slow, unknown := 0, 0
	for range 8 {
		g.Go(func() {
			for end := time.Now().Add(6 * time.Second); time.Now().Before(end); {
				start := time.Now()
				jid, err := s.client.Push(t.Context(), "Job", nil, queue.Options{})
				took := time.Since(start)
				mu.Lock()
				if took > time.Second {
					slow++
				}
				switch {
				case err == nil:
					acked = append(acked, jid)
				case errors.Is(err, queue.ErrUnknown):
					unknown++
				default:
					t.Error(err)
				}
				mu.Unlock()
			}
		})
	}
	late, delayed := 0, 0
	g.Go(func() { // a caller that comes while the others still wait for a reply
		<-time.After(time.Second)
		for end := time.Now().Add(1500 * time.Millisecond); time.Now().Before(end); late++ {
			start := time.Now()
			s.client.Push(t.Context(), "Job", nil, queue.Options{})
			if time.Since(start) > time.Second {
				delayed++
			}
		}
	})
	g.Wait()
	syscall.Kill(s.servers[0].PID(), syscall.SIGCONT)
	if late < 5 || delayed > 0 {
		t.Errorf("of %d pushes of a caller that came late, %d took over a second", late, delayed)
	}
	if slow > 8 || unknown > 8 {
		t.Errorf("%d pushes took over a second, %d are unknown: want at most one of each client",
			slow, unknown)
	}
	if len(acked) < 100 {
		t.Errorf("only %d pushes in 6 s", len(acked))
	}
	testwait.Until(t, 5*time.Second, "the shard answers",
		func() bool { return s.raw[0].Ping(t.Context()).Err() == nil })
	s.once(acked)
}

func TestPushBesideFullShard(t *testing.T) {
	s := newSharded(t, 3, queue.Placement{})
	s.raw[1].ConfigSet(t.Context(), "maxmemory", "1")
	acked, errs := s.pushMany(60, queue.Options{})
	if len(errs) > 0 {
		t.Error(errs[0])
	}
	if got := s.sizes(); got[1] != 0 || got[0] < 20 || got[2] < 20 {
		t.Error(got)
	}
	s.once(acked)
}

func TestPushUnknown(t *testing.T) {
	s := newSharded(t, 2, queue.Placement{})
	proxy := s.through()
	var acked []string
	unknown := 0
	for i := range 60 {
		if i%3 == 0 {
			proxy.DropReply(faultproxy.Script("push"), 1)
		}
		jid := fmt.Sprint("job", i)
		_, err := s.client.Push(t.Context(), "Job", nil, queue.Options{JID: jid})
		switch {
		case err == nil:
			acked = append(acked, jid)
		case errors.Is(err, queue.ErrUnknown) && says(err, "shard a"):
			unknown++
			acked = append(acked, jid) // the proxy lets the command through
		default:
			t.Error(err)
		}
	}
	if unknown == 0 || unknown != proxy.Dropped() {
		t.Errorf("%d unknown, %d replies lost", unknown, proxy.Dropped())
	}
	s.once(acked)
}

func TestPushIdempotent(t *testing.T) {
	s := newSharded(t, 3, queue.Placement{})
	push := func() (jids []string) {
		for i := range 30 {
			o := queue.Options{JID: fmt.Sprint("job", i), Idempotent: true}
			jid, err := s.client.Push(t.Context(), "Job", nil, o)
			if err != nil {
				t.Fatal(err)
			}
			jids = append(jids, jid)
		}
		return jids
	}
	t.Run("is stored once", func(t *testing.T) {
		push()
		s.once(push())
		if got := s.sizes(); slices.Min(got) < 5 {
			t.Error(got)
		}
	})
	t.Run("is stored once when its shard begins to drain", func(t *testing.T) {
		if err := s.shards.SetState(t.Context(), "a", queue.ShardDraining); err != nil {
			t.Fatal(err)
		}
		s.connect(queue.Placement{})
		s.once(push())
	})
	t.Run("waits for a draining shard that does not answer", func(t *testing.T) {
		s.servers[0].Kill()
		key := s.homed(0, 1)[0]
		o := queue.Options{JID: key, Idempotent: true}
		_, err := s.client.Push(t.Context(), "Job", nil, o)
		if !says(err, "shard a is draining", "workerctl shards") {
			t.Error(err)
		}
	})
}

func TestPushWithKey(t *testing.T) {
	t.Parallel()
	s := newSharded(t, 3, queue.Placement{})
	key := s.homed(1, 1)[0]
	t.Run("goes to one shard", func(t *testing.T) {
		if _, errs := s.pushMany(10, queue.Options{ShardKey: key}); errs != nil {
			t.Fatal(errs[0])
		}
		if got := s.sizes(); !slices.Equal(got, []int{0, 10, 0}) {
			t.Error(got)
		}
	})
	s.servers[1].Kill()
	t.Run("is not placed elsewhere while its shard is away", func(t *testing.T) {
		acked, errs := s.pushMany(5, queue.Options{ShardKey: key})
		if len(acked) > 0 || !says(errs[4], "shard b", "nothing was pushed", key) {
			t.Error(acked, errs)
		}
		if len(s.jids(0))+len(s.jids(2)) > 0 {
			t.Error(s.sizes())
		}
	})
	t.Run("fails soon while its shard hangs", func(t *testing.T) {
		s.servers[1].Restart()
		testwait.Until(t, 10*time.Second, "the shard gets jobs again", func() bool {
			acked, _ := s.pushMany(1, queue.Options{ShardKey: key})
			return len(acked) > 0
		})
		syscall.Kill(s.servers[1].PID(), syscall.SIGSTOP)
		defer syscall.Kill(s.servers[1].PID(), syscall.SIGCONT)
		s.pushMany(1, queue.Options{ShardKey: key})
		start := time.Now()
		_, errs := s.pushMany(10, queue.Options{ShardKey: key})
		if took := time.Since(start); len(errs) != 10 || took > 1500*time.Millisecond {
			t.Errorf("%d of 10 failed, in %v", len(errs), took)
		}
	})
}

// byArg places jobs by their first argument.
func byArg(j *queue.Job) string { return strings.Trim(string(j.Args), `[]"`) }

func TestSliceOverShards(t *testing.T) {
	s := newSharded(t, 3, queue.Placement{Key: byArg})
	var args [][]any
	for i := range 3 {
		for _, key := range s.homed(i, 5) {
			args = append(args, []any{key})
		}
	}
	t.Run("is divided by the places of its jobs", func(t *testing.T) {
		jids, err := s.client.PushBulk(t.Context(), "Job", args, queue.Options{})
		if err != nil || len(jids) != 15 {
			t.Fatal(jids, err)
		}
		if got := s.sizes(); !slices.Equal(got, []int{5, 5, 5}) {
			t.Error(got)
		}
		if !slices.Equal(s.jids(1), reversed(jids[5:10])) {
			t.Error("the order within a shard is lost")
		}
	})
	t.Run("says which jobs are stored if a shard is away", func(t *testing.T) {
		s.servers[0].Kill()
		_, err := s.client.PushBulk(t.Context(), "Job", args, queue.Options{})
		var partly *queue.PartlyError
		if !errors.As(err, &partly) || !errors.Is(err, queue.ErrUnknown) ||
			!says(err, "shard a", "10 jobs are stored") {
			t.Fatal(err)
		}
		s.servers[0].Restart()
		if got := s.sizes(); !slices.Equal(got, []int{5, 10, 10}) {
			t.Error(got)
		}
		s.once(partly.Stored)
	})
	t.Run("is completed by a repetition", func(t *testing.T) {
		s.servers[0].Kill()
		batches := []queue.Batch{{Queue: "again"}}
		for i, a := range args {
			batches[0].Jobs = append(batches[0].Jobs, queue.Pushed{JID: fmt.Sprint("again", i),
				Payload: fmt.Sprintf(`{"class":"A","jid":"again%d","args":["%s"]}`, i, a[0])})
		}
		if err := s.backend.PushBatches(t.Context(), batches); err == nil {
			t.Fatal("it is pushed although a shard is away")
		}
		s.servers[0].Restart()
		testwait.Until(t, 10*time.Second, "the rest is pushed",
			func() bool { return s.backend.PushBatches(t.Context(), batches) == nil })
		n := 0
		for i := range s.raw {
			n += int(s.raw[i].LLen(t.Context(), "queue:again").Val())
		}
		same(t, "the number of jobs", n, 15)
	})
}

func reversed(list []string) []string {
	list = slices.Clone(list)
	slices.Reverse(list)
	return list
}

func TestDrainingShard(t *testing.T) {
	t.Parallel()
	s := newSharded(t, 2, queue.Placement{Queues: map[string]string{"ruled": "a"}})
	s.pushMany(2, queue.Options{})
	if err := s.shards.SetState(t.Context(), "a", queue.ShardDraining); err != nil {
		t.Fatal(err)
	}
	t.Run("gets no jobs after 5 s at most", func(t *testing.T) {
		start, last := time.Now(), 0
		for end := start.Add(5500 * time.Millisecond); time.Now().Before(end); {
			s.pushMany(1, queue.Options{})
			if n := len(s.jids(0)); time.Since(start) < 5100*time.Millisecond {
				last = n
			} else if n > last {
				t.Fatalf("a job %v after the change", time.Since(start))
			}
		}
	})
	t.Run("gets no jobs by a rule either", func(t *testing.T) {
		before := s.sizes()
		if _, errs := s.pushMany(5, queue.Options{Queue: "ruled"}); errs != nil {
			t.Fatal(errs[0])
		}
		if got := s.sizes(); got[0] != before[0] || got[1] != before[1]+5 {
			t.Error(before, got)
		}
	})
	t.Run("makes pushes fail if all drain", func(t *testing.T) {
		if err := s.shards.SetState(t.Context(), "b", queue.ShardDraining); err != nil {
			t.Fatal(err)
		}
		s.connect(queue.Placement{})
		for _, o := range []queue.Options{{}, {ShardKey: "x"}} {
			if _, errs := s.pushMany(1, o); len(errs) != 1 || !says(errs[0], "all shards",
				"draining") {
				t.Error(errs)
			}
		}
	})
}

func TestShardThatWasAwayAtTheStart(t *testing.T) {
	t.Parallel()
	s := newSharded(t, 2, queue.Placement{})
	s.servers[1].Kill()
	s.connect(queue.Placement{})
	acked, errs := s.pushMany(10, queue.Options{})
	if len(errs) > 0 || !slices.Equal(s.shards.Away(), []string{"b"}) {
		t.Fatal(errs, s.shards.Away())
	}
	t.Run("is connected by a push when it is there", func(t *testing.T) {
		s.servers[1].Restart()
		testwait.Until(t, 10*time.Second, "the shard gets jobs", func() bool {
			more, _ := s.pushMany(1, queue.Options{})
			acked = append(acked, more...)
			return len(s.jids(1)) > 0
		})
		if away := s.shards.Away(); away != nil {
			t.Error(away)
		}
		s.once(acked)
	})
}

func TestAllShardsAway(t *testing.T) {
	s := newSharded(t, 2, queue.Placement{})
	s.servers[0].Kill()
	s.servers[1].Kill()
	t.Run("is an error that says why", func(t *testing.T) {
		for range 3 {
			_, errs := s.pushMany(1, queue.Options{})
			if len(errs) != 1 || !says(errs[0], "nothing was pushed", "shard a", "shard b",
				"connection refused") || errors.Is(errs[0], queue.ErrUnknown) {
				t.Error(errs)
			}
		}
	})
}

func TestLooseBatch(t *testing.T) {
	s := newSharded(t, 3, queue.Placement{})
	jid := s.homed(0, 1)[0]
	batches := func() []queue.Batch {
		payload := fmt.Sprintf(`{"class":"A","jid":"%s"}`, jid)
		return []queue.Batch{{Queue: "q", Idempotent: true, Loose: true,
			Jobs: []queue.Pushed{{JID: jid, Payload: payload}}}}
	}
	t.Run("goes to the shard of its JID", func(t *testing.T) {
		for range 2 {
			if err := s.backend.PushBatches(t.Context(), batches()); err != nil {
				t.Fatal(err)
			}
		}
		if got := s.sizes(); !slices.Equal(got, []int{1, 0, 0}) {
			t.Error(got)
		}
	})
	t.Run("goes elsewhere while that is away", func(t *testing.T) {
		s.servers[0].Kill()
		if err := s.backend.PushBatches(t.Context(), batches()); err != nil {
			t.Fatal(err)
		}
		same(t, "the number of jobs elsewhere", len(s.jids(1))+len(s.jids(2)), 1)
	})
	t.Run("says if its outcome elsewhere is unknown", func(t *testing.T) {
		s.servers[0].Restart()
		proxies := make([]*faultproxy.Proxy, 3)
		for i := 1; i < 3; i++ {
			proxies[i] = faultproxy.Start(t, s.servers[i].Addr)
			proxies[i].DropReply(faultproxy.Script("push"), 1)
			s.configs[i].Config.URL = "redis://" + proxies[i].Addr
		}
		s.connect(queue.Placement{})
		s.servers[0].Kill()
		err := s.backend.PushBatches(t.Context(), batches())
		if !errors.Is(err, queue.ErrElsewhere) || !errors.Is(err, queue.ErrUnknown) {
			t.Error(err)
		}
	})
}

func TestCallerThatGivesUp(t *testing.T) {
	s := newSharded(t, 2, queue.Placement{})
	proxy := s.through()
	s.pushMany(2, queue.Options{})
	proxy.Delay(200 * time.Millisecond)
	for range 4 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		s.client.Push(ctx, "Job", nil, queue.Options{})
		cancel()
	}
	t.Run("leaves no shard out", func(t *testing.T) {
		proxy.Delay(0)
		testwait.Until(t, 5*time.Second, "the delayed pushes are in the shard",
			func() bool { return len(s.jids(0)) >= 2 })
		before := len(s.jids(0))
		if _, errs := s.pushMany(10, queue.Options{}); errs != nil {
			t.Fatal(errs[0])
		}
		if got := len(s.jids(0)) - before; got < 5 {
			t.Errorf("it got %d of 10 jobs", got)
		}
	})
}
