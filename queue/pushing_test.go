package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

type nextPush = func(context.Context, *queue.NewJob) error

// turns sends jobs to the queues in turn.
func turns(queues ...string) queue.ClientMiddleware {
	n := 0
	return func(ctx context.Context, j *queue.NewJob, next nextPush) error {
		j.Queue = queues[n%len(queues)]
		n++
		return next(ctx, j)
	}
}

func TestASliceOverSeveralQueues(t *testing.T) {
	t.Run("is stored whole", func(t *testing.T) {
		f := newFixture(t)
		jids, err := queue.NewClient(f.store, turns("a", "b", "c")).PushBulk(t.Context(), "Job",
			bulkArgs(30), queue.Options{})
		if err != nil || len(jids) != 30 {
			t.Fatal(len(jids), err)
		}
		f.at("queue:a=10 queue:b=10 queue:c=10")
		page, _ := inspect.New(f.store).QueuePage(t.Context(), "b", 0, 10)
		for i, raw := range page {
			if j, _ := envelope.ParseJob(raw); j.JID != jids[1+3*i] {
				t.Errorf("place %d of b holds %s", i, raw)
			}
		}
	})
	for _, idempotent := range []bool{false, true} {
		t.Run(fmt.Sprint("or not at all, idempotent ", idempotent), func(t *testing.T) {
			f := newFixture(t)
			f.raw.FlushAll(t.Context())
			f.raw.Set(t.Context(), "queue:b", "x", 0)
			jids, err := queue.NewClient(f.store, turns("a", "b")).PushBulk(t.Context(), "Job",
				bulkArgs(10), queue.Options{Idempotent: idempotent})
			if err == nil || !strings.Contains(err.Error(), "nothing was pushed") ||
				len(jids) != 0 {
				t.Errorf("%d JIDs, %v", len(jids), err)
			}
			if keys := f.raw.Keys(t.Context(), "*").Val(); !slices.Equal(keys,
				[]string{"queue:b"}) {
				t.Errorf("Redis holds %v", keys)
			}
		})
	}
}

// sliceBook takes slices, and fails at the one of the number fail.
type sliceBook struct {
	fail   int
	slices [][]queue.Batch
}

var errBook = errors.New("refused")

func (r *sliceBook) PushBatches(_ context.Context, batches []queue.Batch) error {
	if len(r.slices)+1 == r.fail {
		return errBook
	}
	r.slices = append(r.slices, batches)
	return nil
}

// sizes are the jobs of each slice, and their bytes.
func (r *sliceBook) sizes() (jobs, bytes []int) {
	for _, s := range r.slices {
		n, size := 0, 0
		for _, b := range s {
			n += len(b.Jobs)
			for _, j := range b.Jobs {
				size += len(j.Payload)
			}
		}
		jobs, bytes = append(jobs, n), append(bytes, size)
	}
	return jobs, bytes
}

func TestASliceIsBounded(t *testing.T) {
	heavy := make([][]any, 50)
	for i := range heavy {
		heavy[i] = []any{strings.Repeat("x", 900<<10)}
	}
	t.Run("by bytes", func(t *testing.T) {
		r := &sliceBook{}
		jids, err := queue.NewClient(r).PushBulk(t.Context(), "Job", heavy, queue.Options{})
		jobs, bytes := r.sizes()
		if err != nil || len(jids) != 50 || len(jobs) != 13 || slices.Max(bytes) > 4<<20 {
			t.Errorf("%d JIDs in slices of %d jobs, %d bytes; %v", len(jids), jobs, bytes, err)
		}
	})
	t.Run("by bytes over all queues", func(t *testing.T) {
		r := &sliceBook{}
		_, err := queue.NewClient(r, turns("a", "b")).PushBulk(t.Context(), "Job", heavy,
			queue.Options{})
		if _, bytes := r.sizes(); err != nil || slices.Max(bytes) > 4<<20 {
			t.Errorf("slices of %d bytes; %v", bytes, err)
		}
	})
	t.Run("by count", func(t *testing.T) {
		for at, want := range map[time.Time]string{{}: "[1000 1000 500]",
			time.Now().Add(time.Hour): fmt.Sprint(slices.Repeat([]int{100}, 25))} {
			r := &sliceBook{}
			_, err := queue.NewClient(r).PushBulk(t.Context(), "Job", bulkArgs(2500),
				queue.Options{At: at})
			if jobs, _ := r.sizes(); err != nil || fmt.Sprint(jobs) != want {
				t.Errorf("slices of %d jobs, want %s; %v", jobs, want, err)
			}
		}
	})
	t.Run("a larger job goes alone", func(t *testing.T) {
		f := newFixture(t)
		s := f.server.Store(func(c *queue.Config) { c.MaxPayload = 8 << 20 })
		args := [][]any{{1}, {strings.Repeat("x", 5<<20)}, {2}}
		before := f.calls("evalsha")
		jids, err := queue.NewClient(s).PushBulk(t.Context(), "Job", args,
			queue.Options{Queue: "a"})
		if err != nil || len(jids) != 3 || f.calls("evalsha")-before != 3 {
			t.Errorf("%d JIDs in %d slices; %v", len(jids), f.calls("evalsha")-before, err)
		}
		f.at("queue:a=3")
	})
	t.Run("after an error the JIDs are those that were confirmed", func(t *testing.T) {
		r := &sliceBook{fail: 3}
		jids, err := queue.NewClient(r).PushBulk(t.Context(), "Job", heavy, queue.Options{})
		if len(r.slices) != 2 || !errors.Is(err, errBook) {
			t.Fatalf("%d slices, %v", len(r.slices), err)
		}
		var stored []string
		for _, s := range r.slices {
			for _, j := range s[0].Jobs {
				stored = append(stored, j.JID)
			}
		}
		if !slices.Equal(jids, stored) {
			t.Errorf("%d JIDs were returned, %d jobs stored", len(jids), len(stored))
		}
	})
}

// calls is how often the server was asked for a command.
func (f *fixture) calls(command string) (n int) {
	f.Helper()
	_, rest, _ := strings.Cut(f.raw.Info(f.Context(), "commandstats").Val(),
		"cmdstat_"+command+":calls=")
	fmt.Sscan(strings.SplitN(rest, ",", 2)[0], &n)
	return n
}

func TestMiddlewareChangesNothingOfTheCaller(t *testing.T) {
	tags := append(make([]string, 0, 4), "mine")
	o := queue.Options{Extra: map[string]any{"mine": 1}, Tags: tags}
	args := [][]any{{1, "a"}, {2, "b"}}
	seen := 0
	change := func(ctx context.Context, j *queue.NewJob, next nextPush) error {
		seen += len(j.Extra)
		j.Extra[fmt.Sprint("more", j.Args[0])] = true
		j.Tags[0] = "changed"
		j.Tags = append(j.Tags, "added")
		j.Args[0] = "changed"
		return next(ctx, j)
	}
	r := &sliceBook{}
	if _, err := queue.NewClient(r, change).PushBulk(t.Context(), "Job", args, o); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(o.Extra, tags[:2], args); got != "map[mine:1] [mine ] [[1 a] [2 b]]" {
		t.Errorf("the caller now has %s", got)
	}
	if seen != 2 {
		t.Errorf("the second job had %d fields of the first", seen-2)
	}
	if raw := r.slices[0][0].Jobs[1].Payload; !strings.Contains(raw, `"args":["changed","b"]`) ||
		!strings.Contains(raw, `"tags":["changed","added"]`) ||
		!strings.Contains(raw, `"mine":1,"more2":true`) {
		t.Error(raw)
	}
}

func TestAPushToAKeyOfAWrongType(t *testing.T) {
	later := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		key, want string
		o         queue.Options
	}{
		"queue":                {"queue:a", "list", queue.Options{Queue: "a"}},
		"queue, idempotent":    {"queue:a", "list", queue.Options{Queue: "a", Idempotent: true}},
		"queues":               {"queues", "set", queue.Options{Queue: "a"}},
		"queues, idempotent":   {"queues", "set", queue.Options{Queue: "a", Idempotent: true}},
		"schedule":             {"schedule", "zset", queue.Options{At: later}},
		"schedule, idempotent": {"schedule", "zset", queue.Options{At: later, Idempotent: true}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.raw.HSet(t.Context(), c.key, "x", 1)
			c.o.JID = "one"
			_, err := f.client.Push(t.Context(), "Job", nil, c.o)
			if want := "nothing was pushed: WRONGTYPE " + c.key + " holds a hash, but a " + c.want +
				" is wanted"; err == nil || !strings.Contains(err.Error(), want) ||
				errors.Is(err, queue.ErrUnknown) {
				t.Errorf("%v, want %q", err, want)
			}
			f.raw.Del(t.Context(), c.key)
			f.at("")
			if n := f.raw.Exists(t.Context(), "kyu:pushed:one").Val(); n != 0 {
				t.Error("there is a marker, but no job")
			}
			if _, err := f.client.Push(t.Context(), "Job", nil, c.o); err != nil {
				t.Fatal(err)
			}
			if n := f.raw.LLen(t.Context(), "queue:a").Val() +
				f.raw.ZCard(t.Context(), "schedule").Val(); n != 1 {
				t.Errorf("repeated, the push stored %d jobs", n)
			}
		})
	}
}

func TestOnePushTakesMoreJobsThanALuaCallTakesValues(t *testing.T) {
	for name, b := range map[string]queue.Batch{
		"queue":                {Queue: "a"},
		"queue, idempotent":    {Queue: "a", Idempotent: true},
		"schedule":             {},
		"schedule, idempotent": {Idempotent: true},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			for i := range 9001 {
				p := queue.Pushed{JID: fmt.Sprint(i), Payload: fmt.Sprint(i)}
				if b.Queue == "" {
					p.At = time.Unix(2e9+int64(i), 0)
				}
				b.Jobs = append(b.Jobs, p)
			}
			if err := f.store.PushBatches(t.Context(), []queue.Batch{b}); err != nil {
				t.Fatal(err)
			}
			got := f.raw.ZRange(t.Context(), "schedule", 0, -1).Val()
			if b.Queue != "" {
				got = f.raw.LRange(t.Context(), "queue:a", 0, -1).Val()
				slices.Reverse(got)
			}
			for i, p := range b.Jobs {
				if len(got) != len(b.Jobs) || got[i] != p.Payload {
					t.Fatalf("%d jobs, place %d", len(got), i)
				}
			}
		})
	}
}

func TestALeaseDoesNotWaitBehindPushes(t *testing.T) {
	f := newFixture(t)
	s := f.server.Store(func(c *queue.Config) { c.PoolSize, c.WaitReplicas = 2, 1 })
	o := s.Owner("h:1:a") // registered by the fixture
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var unknown atomic.Int64
	for range 20 { // no replica confirms them: each holds its connection for a second
		all.Go(func() {
			_, err := queue.NewClient(s).Push(ctx, "Job", nil, queue.Options{Queue: "a"})
			if errors.Is(err, queue.ErrUnknown) {
				unknown.Add(1)
			} else if err == nil || !strings.Contains(err.Error(), "nothing was pushed") {
				t.Errorf("push: %v", err)
			}
		})
	}
	testwait.Until(t, 10*time.Second, "pushes hold all their connections", func() bool {
		return strings.Contains(f.raw.Info(t.Context(), "clients").Val(), "blocked_clients:2")
	})
	soon, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if _, err := o.Beat(soon, time.Minute); err != nil {
		t.Error(err)
	}
	stop()
	all.Wait()
	if n := f.raw.LLen(t.Context(), "queue:a").Val(); n != unknown.Load() || n == 20 {
		t.Errorf("of 20 pushes %d are in Redis, and of %d nobody knows", n, unknown.Load())
	}
}
