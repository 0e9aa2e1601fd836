package queue_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"
)

// fixedTime is when a position expires.
var fixedTime = time.Unix(4e9, 0)

// moveFixture are three shards; a is drained.
type moveFixture struct {
	*fixture
	servers []*redistest.Server
	raws    map[string]*redis.Client
	shards  []queue.Shard
}

func newMoveFixture(t *testing.T) *moveFixture {
	f := &moveFixture{fixture: newFixture(t), raws: map[string]*redis.Client{}}
	for i, name := range abc {
		s := f.server
		if i > 0 {
			s = redistest.Start(t)
		}
		f.servers, f.raws[name] = append(f.servers, s), s.Client()
		f.shards = append(f.shards, queue.Shard{Name: name, Store: s.Store()})
	}
	return f
}

func (f *moveFixture) mover() *queue.Mover {
	return &queue.Mover{From: f.shards[0], Others: f.shards[1:], Active: f.shards[1:],
		To: f.shards[1:]}
}

// round is a round of a mover that must not fail.
func (f *moveFixture) round() queue.MoveRound {
	f.Helper()
	r, err := f.mover().Round(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	return r
}

// members lists the jobs of a place in the shards, sorted: shard, time, bytes.
func (f *moveFixture) members(place string, shards ...string) (list []string) {
	for _, name := range shards {
		raw := f.raws[name]
		if strings.HasPrefix(place, "queue:") {
			list = append(list, raw.LRange(f.Context(), place, 0, -1).Val()...)
			continue
		}
		for _, z := range raw.ZRangeWithScores(f.Context(), place, 0, -1).Val() {
			list = append(list, fmt.Sprint(z.Score, " ", z.Member))
		}
	}
	slices.Sort(list)
	return list
}

func TestMover(t *testing.T) {
	f := newMoveFixture(t)
	ctx := t.Context()
	t.Run("moves jobs of all places with the same bytes and times", func(t *testing.T) {
		f := &moveFixture{f.in(t), f.servers, f.raws, f.shards}
		before := map[string][]string{}
		places := []string{"queue:a", "queue:b", "schedule", "retry", "dead", "kyu:hold:Gone"}
		for _, place := range places {
			for i := range 50 {
				f.put(place, fmt.Sprintf(`{"class":"X","jid":"%s-%d", "n":1.0}`, place, i))
			}
			f.put(place, "no job of "+place+" \n\xff")
			before[place] = f.members(place, "a")
		}
		f.raw.SAdd(ctx, "kyu:held", "Gone")
		same(t, "moved", f.round().Moved, 51*len(places))
		for _, place := range places {
			same(t, place, strings.Join(f.members(place, "b", "c"), "\n"),
				strings.Join(before[place], "\n"))
			same(t, "left in "+place, len(f.members(place, "a")), 0)
			if len(f.members(place, "b")) == 0 || len(f.members(place, "c")) == 0 {
				t.Errorf("%s: a shard has got no jobs", place)
			}
		}
		for _, name := range abc[1:] {
			same(t, "queues", f.raws[name].SCard(ctx, "queues").Val(), 2)
			same(t, "classes held", f.raws[name].SCard(ctx, "kyu:held").Val(), 1)
		}
		load, err := f.shards[0].Store.Load(ctx)
		same(t, "load", fmt.Sprint(load, err), "empty <nil>")
	})
	t.Run("takes the position of an iterable job along", func(t *testing.T) {
		f := &moveFixture{f.in(t), f.servers, f.raws, f.shards}
		f.put("retry", `{"class":"X","jid":"iter"}`)
		f.raw.HSet(ctx, "it-iter", "ex", 2, "c", "17", "rt", "1.5")
		f.raw.PExpireAt(ctx, "it-iter", fixedTime)
		f.round()
		found := 0
		for _, name := range abc[1:] {
			if h := f.raws[name].HGetAll(ctx, "it-iter").Val(); len(h) > 0 {
				found++
				same(t, "cursor", h["c"], "17")
				same(t, "expiry", f.raws[name].ExpireTime(ctx, "it-iter").Val().Seconds(),
					float64(fixedTime.Unix()))
			}
		}
		same(t, "positions", found, 1)
		same(t, "positions left", f.raw.Exists(ctx, "it-iter").Val(), 0)
	})
	t.Run("leaves jobs whose key has a wrong type in the target", func(t *testing.T) {
		f := &moveFixture{f.in(t), f.servers, f.raws, f.shards}
		for _, name := range abc[1:] {
			f.raws[name].Del(ctx, "dead")
			f.raws[name].Set(ctx, "dead", "x", 0)
		}
		f.put("dead", `{"class":"X","jid":"d"}`)
		r := f.round()
		same(t, "moved", r.Moved, 0)
		same(t, "on their way", f.raw.HLen(ctx, "kyu:moving").Val(), 1)
		if len(r.Waits) == 0 || !strings.Contains(r.Waits[0], "dead") {
			t.Errorf("waits: %q", r.Waits)
		}
		for _, name := range abc[1:] {
			f.raws[name].Del(ctx, "dead")
		}
		same(t, "moved later", f.round().Moved, 1)
		same(t, "dead", len(f.members("dead", "b", "c")), 1)
	})
	t.Run("waits for a bulk operation in a queue", func(t *testing.T) {
		f := &moveFixture{f.in(t), f.servers, f.raws, f.shards}
		f.put("queue:a", `{"class":"X","jid":"s"}`)
		f.raw.HSet(ctx, "kyu:sifts", "a", "op")
		r := f.round()
		same(t, "moved", r.Moved, 0)
		if len(r.Waits) != 1 || !strings.Contains(r.Waits[0], "bulk operation") {
			t.Errorf("waits: %q", r.Waits)
		}
		f.raw.Del(ctx, "kyu:sifts")
		same(t, "moved later", f.round().Moved, 1)
	})
}

// The mover is stopped at any call, and two are at work at once: each job is in one place.
func TestMoverKilled(t *testing.T) {
	f := newMoveFixture(t)
	ctx := t.Context()
	rapid.Check(t, func(rt *rapid.T) {
		for _, raw := range f.raws {
			raw.FlushDB(ctx)
		}
		jobs := rapid.IntRange(1, 40).Draw(rt, "jobs")
		for i := range jobs {
			place := rapid.SampledFrom([]string{"queue:a", "retry", "dead"}).Draw(rt, "place")
			f.put(place, fmt.Sprintf(`{"class":"X","jid":"j%d"}`, i))
		}
		for range rapid.IntRange(0, 4).Draw(rt, "deaths") {
			calls := rapid.IntRange(0, 12).Draw(rt, "calls until it dies")
			stopped, stop := context.WithCancel(ctx)
			queue.MoveSteps(func(string) {
				if calls--; calls < 0 {
					stop()
				}
			})
			_, _ = f.mover().Round(stopped)
			stop()
			queue.MoveSteps(nil)
			f.conserved(rt, jobs)
		}
		var done = make(chan error, 2)
		for range 2 {
			go func() {
				_, err := f.mover().Round(ctx)
				done <- err
			}()
		}
		for range 2 {
			if err := <-done; err != nil {
				rt.Fatal(err)
			}
		}
		f.conserved(rt, jobs)
		f.round()
		if n := f.raw.HLen(ctx, "kyu:moving").Val(); n != 0 {
			rt.Fatalf("%d jobs are on their way", n)
		}
	})
}

// conserved checks that each job is in one place: one that is in kyu:moving may have landed.
func (f *moveFixture) conserved(t *rapid.T, jobs int) {
	ctx, count, moving := f.Context(), map[string]int{}, map[string]int{}
	for _, name := range abc {
		for _, place := range []string{"queue:a", "retry", "dead"} {
			for _, m := range f.members(place, name) {
				count[m[strings.Index(m, "{"):]]++
			}
		}
	}
	for _, value := range f.raw.HVals(ctx, "kyu:moving").Val() {
		moving[value[strings.LastIndex(value, "\n")+1:]]++
	}
	for i := range jobs {
		raw := fmt.Sprintf(`{"class":"X","jid":"j%d"}`, i)
		if count[raw] > 1 || moving[raw] > 1 || count[raw]+moving[raw] == 0 {
			t.Fatalf("%s is in %d places, and %d times on its way", raw, count[raw], moving[raw])
		}
	}
}
