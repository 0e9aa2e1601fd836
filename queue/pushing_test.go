package queue_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
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

func TestSliceOverSeveralQueues(t *testing.T) {
	t.Run("is stored completely", func(t *testing.T) {
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
		name := fmt.Sprintf("is not stored at all if a key has a wrong type, idempotent %t",
			idempotent)
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.raw.FlushAll(t.Context())
			f.spoil("queue:b")
			jids, err := queue.NewClient(f.store, turns("a", "b")).PushBulk(t.Context(), "Job",
				bulkArgs(10), queue.Options{Idempotent: idempotent})
			if !says(err, "nothing was pushed") || len(jids) != 0 {
				t.Errorf("%d JIDs, %v", len(jids), err)
			}
			keys := f.raw.Keys(t.Context(), "*").Val()
			if !slices.Equal(keys, []string{"queue:b"}) {
				t.Errorf("Redis holds %v", keys)
			}
		})
	}
}

// sliceBook is a backend that keeps slices. It fails at the slice with the number fail.
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

// sizes returns the number of jobs and the bytes of each slice.
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

// heavyArgs returns the arguments of 50 jobs of 900 KiB.
func heavyArgs() [][]any {
	args := make([][]any, 50)
	for i := range args {
		args[i] = []any{strings.Repeat("x", 900<<10)}
	}
	return args
}

func TestSlice(t *testing.T) {
	t.Run("has at most 4 MiB", func(t *testing.T) {
		r := &sliceBook{}
		jids, err := queue.NewClient(r).PushBulk(t.Context(), "Job", heavyArgs(), queue.Options{})
		if err != nil || len(jids) != 50 {
			t.Fatal(len(jids), err)
		}
		jobs, bytes := r.sizes()
		if len(jobs) != 13 || slices.Max(bytes) > 4<<20 {
			t.Errorf("slices of %d jobs, %d bytes", jobs, bytes)
		}
	})
	t.Run("has at most 4 MiB for all queues together", func(t *testing.T) {
		r := &sliceBook{}
		_, err := queue.NewClient(r, turns("a", "b")).PushBulk(t.Context(), "Job", heavyArgs(),
			queue.Options{})
		if _, bytes := r.sizes(); err != nil || slices.Max(bytes) > 4<<20 {
			t.Errorf("slices of %d bytes; %v", bytes, err)
		}
	})
	for name, c := range map[string]struct {
		at   time.Time
		want []int
	}{
		"has at most 1,000 jobs": {time.Time{}, []int{1000, 1000, 500}},
		"has at most 100 scheduled jobs": {time.Now().Add(time.Hour),
			slices.Repeat([]int{100}, 25)},
	} {
		t.Run(name, func(t *testing.T) {
			r := &sliceBook{}
			_, err := queue.NewClient(r).PushBulk(t.Context(), "Job", bulkArgs(2500),
				queue.Options{At: c.at})
			if jobs, _ := r.sizes(); err != nil || !slices.Equal(jobs, c.want) {
				t.Errorf("slices of %d jobs, want %d; %v", jobs, c.want, err)
			}
		})
	}
	t.Run("has a larger job alone", func(t *testing.T) {
		f := newFixture(t)
		s := f.server.Store(func(c *queue.Config) { c.MaxPayload = 8 << 20 })
		args := [][]any{{1}, {strings.Repeat("x", 5<<20)}, {2}}
		before := f.calls("evalsha")
		jids, err := queue.NewClient(s).PushBulk(t.Context(), "Job", args,
			queue.Options{Queue: "a"})
		if err != nil || len(jids) != 3 {
			t.Error(len(jids), err)
		}
		same(t, "the number of slices", f.calls("evalsha")-before, 3)
		f.at("queue:a=3")
	})
}

func TestPushBulkError(t *testing.T) {
	t.Run("comes with the JIDs of the slices before it", func(t *testing.T) {
		r := &sliceBook{fail: 3}
		jids, err := queue.NewClient(r).PushBulk(t.Context(), "Job", heavyArgs(), queue.Options{})
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

func TestMiddlewareChanges(t *testing.T) {
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
	t.Run("do not reach the caller's values", func(t *testing.T) {
		got := fmt.Sprint(o.Extra, tags[:2], args)
		same(t, "the caller's values", got, "map[mine:1] [mine ] [[1 a] [2 b]]")
	})
	t.Run("do not reach the next job", func(t *testing.T) {
		same(t, "the number of extra fields of both jobs", seen, 2)
	})
	t.Run("are in the payload", func(t *testing.T) {
		raw := r.slices[0][0].Jobs[1].Payload
		for _, part := range []string{`"args":["changed","b"]`, `"tags":["changed","added"]`,
			`"mine":1,"more2":true`} {
			if !strings.Contains(raw, part) {
				t.Errorf("no %s in %s", part, raw)
			}
		}
	})
}

func TestPushToWrongType(t *testing.T) {
	later := time.Now().Add(time.Hour)
	for key, c := range map[string]struct {
		want string
		o    queue.Options
	}{
		"queue:a":  {"list", queue.Options{Queue: "a"}},
		"queues":   {"set", queue.Options{Queue: "a"}},
		"schedule": {"zset", queue.Options{At: later}},
	} {
		for _, idempotent := range []bool{false, true} {
			name := fmt.Sprintf("stores nothing, key %s, idempotent %t", key, idempotent)
			t.Run(name, func(t *testing.T) {
				o := c.o
				o.JID, o.Idempotent = "one", idempotent
				testPushToWrongType(t, key, c.want, o)
			})
		}
	}
}

func testPushToWrongType(t *testing.T, key, wantType string, o queue.Options) {
	f := newFixture(t)
	f.raw.HSet(t.Context(), key, "x", 1)
	_, err := f.client.Push(t.Context(), "Job", nil, o)
	want := "nothing was pushed: WRONGTYPE " + key + " holds a hash, but a " + wantType +
		" is wanted"
	if !says(err, want) || errors.Is(err, queue.ErrUnknown) {
		t.Errorf("%v, want %q", err, want)
	}
	f.raw.Del(t.Context(), key)
	f.at("")
	same(t, "the number of markers", f.raw.Exists(t.Context(), "kyu:pushed:one").Val(), 0)
	if _, err := f.client.Push(t.Context(), "Job", nil, o); err != nil {
		t.Fatal(err)
	}
	n := f.raw.LLen(t.Context(), "queue:a").Val() + f.raw.ZCard(t.Context(), "schedule").Val()
	same(t, "the number of jobs after a second push", n, 1)
}

func TestPushBatches(t *testing.T) {
	for name, b := range map[string]queue.Batch{
		"to a queue":                  {Queue: "a"},
		"to a queue, idempotent":      {Queue: "a", Idempotent: true},
		"to the schedule":             {},
		"to the schedule, idempotent": {Idempotent: true},
	} {
		t.Run("pushes more jobs than a Lua call has room for, "+name, func(t *testing.T) {
			f := newFixture(t)
			var want []string
			for i := range 9001 {
				p := queue.Pushed{JID: fmt.Sprint(i), Payload: fmt.Sprint(i)}
				if b.Queue == "" {
					p.At = time.Unix(2e9+int64(i), 0)
				}
				b.Jobs, want = append(b.Jobs, p), append(want, p.Payload)
			}
			if err := f.store.PushBatches(t.Context(), []queue.Batch{b}); err != nil {
				t.Fatal(err)
			}
			got := f.raw.ZRange(t.Context(), "schedule", 0, -1).Val()
			if b.Queue != "" {
				got = f.raw.LRange(t.Context(), "queue:a", 0, -1).Val()
				slices.Reverse(got)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%d jobs, in another order or not all", len(got))
			}
		})
	}
}
