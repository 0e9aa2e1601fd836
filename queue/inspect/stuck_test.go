package inspect_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/redis/go-redis/v9"
)

// places are where something is stuck.
func (f *fixture) places() (where []string) {
	f.Helper()
	list, err := f.in.Stuck(f.Context(), 0)
	if err != nil {
		f.Fatal(err)
	}
	for _, found := range list {
		where = append(where, found.Where)
	}
	slices.Sort(where)
	return where
}

// jam lets jobs be stuck in each way.
func (f *fixture) jam() {
	f.Helper()
	ctx := f.Context()
	f.push("alone", 1)
	now := time.Now()
	for i, key := range []string{"retry", "schedule"} {
		due := float64(now.Add(-time.Hour).Unix())
		f.raw.ZAdd(ctx, key, redis.Z{Score: due, Member: fmt.Sprintf(`{"jid":"%d"}`, i)},
			redis.Z{Score: float64(now.Unix()), Member: "due now"})
	}
	f.raw.SAdd(ctx, "kyu:held", "New")
	f.raw.ZAdd(ctx, "kyu:hold:New", redis.Z{Score: 1, Member: "x"})
	f.raw.LPush(ctx, "kyu:{queue:a}:landing:h:1:a", fmt.Sprintf(
		`{"class":"A","jid":"l","args":[],"enqueued_at":%d}`, now.Add(-time.Hour).Unix()))
	dead := f.store.Owner("h:9:dead")
	if err := dead.Register(ctx, queue.Host{Name: "h"}, []string{"lost"}, time.Minute); err != nil {
		f.Fatal(err)
	}
	f.raw.ZAdd(ctx, "kyu:leases", redis.Z{Score: float64(now.Add(-time.Hour).UnixMilli()),
		Member: "h:9:dead"})
	f.raw.HSet(ctx, "kyu:{queue:lost}:inflight:h:9:dead", "1", "x")
	f.raw.SAdd(ctx, "processes", "h:1:a")
	f.raw.HSet(ctx, "h:1:a", "info", `{"queues":["a"],"concurrency":1}`, "beat", now.Unix(),
		"stuck", 1)
	f.raw.HSet(ctx, "h:1:a:work", "t", fmt.Sprintf(
		`{"queue":"a","payload":"{\"class\":\"A\",\"jid\":\"r\",\"args\":[]}","run_at":%d}`,
		now.Add(-2*time.Hour).Unix()))
}

func TestStuck(t *testing.T) {
	f := newFixture(t)
	t.Run("is nothing in an empty Redis", func(t *testing.T) {
		if where := f.sub(t).places(); len(where) > 0 {
			t.Error(where)
		}
	})
	f.jam()
	ctx := t.Context()
	t.Run("is found wherever it is", func(t *testing.T) {
		want := []string{"class New", "job r", "process h:1:a", "queue a", "queue alone",
			"queue lost", "retries", "scheduled"}
		if got := f.sub(t).places(); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
	t.Run("counts only the jobs that are due for more than a minute", func(t *testing.T) {
		list, err := f.in.Stuck(ctx, 3*time.Hour)
		i := slices.IndexFunc(list, func(x inspect.Finding) bool { return x.Where == "retries" })
		if err != nil || i < 0 || list[i].What[:2] != "1 " {
			t.Error(list, err)
		}
	})
	t.Run("has jobs that run for longer than a given time", func(t *testing.T) {
		list, err := f.in.Stuck(ctx, 3*time.Hour)
		if err != nil || slices.ContainsFunc(list, func(x inspect.Finding) bool {
			return x.Where == "job r"
		}) {
			t.Error(list, err)
		}
	})
}
