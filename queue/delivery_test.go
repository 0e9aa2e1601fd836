package queue_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

func TestFetch(t *testing.T) {
	t.Run("takes from queues in their order, and jobs in the order of pushes", func(t *testing.T) {
		f := newFixture(t)
		f.push("c", 2)
		f.push("b", 2)
		f.push("a", 2)
		same(t, "the first fetch", f.jids(f.fetch(3)), "a0 a1 b0")
		f.at("queue:b=1 queue:c=2 inflight=3")
		same(t, "the second fetch", f.jids(f.fetch(10)), "b1 c0 c1")
	})
	t.Run("acknowledges and takes in one call", func(t *testing.T) {
		f := newFixture(t)
		f.push("a", 3)
		first := f.fetch(2)
		f.fetch(2, first...)
		f.at("inflight=1")
	})
	t.Run("follows its draws, and passes over empty queues", func(t *testing.T) {
		f := newFixture(t)
		f.push("a", 2)
		f.push("b", 1)
		jobs, _, err := take(t.Context(), f.store, f.owner, []string{"a", "b"}, 4,
			[]string{"\x02\x01", "\x02\x01", "\x01\x02", "\x01\x02"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "the fetch", f.jids(jobs), "b0 a0 a1")
	})
	t.Run("takes jobs in turns, also twice from a queue", func(t *testing.T) {
		f := newFixture(t)
		f.push("a", 3)
		f.push("b", 2)
		f.push("c", 4)
		got, err := f.owner.Fetch(t.Context(), queue.FetchRequest{Queues: abc, Want: 6,
			First: f.store.Tokens(6), Turns: []queue.Turn{{2, 2}, {0, 2}, {1, 6}, {2, 1}}})
		if err != nil {
			t.Fatal(err)
		}
		same(t, "the fetch", f.jids(got.Own()), "c0 c1 a0 a1 b0 b1")
		f.at("queue:a=1 queue:c=2 inflight=6")
	})
	t.Run("passes over paused queues", func(t *testing.T) {
		f := newFixture(t)
		f.push("a", 1)
		f.push("b", 1)
		f.store.Pause(t.Context(), "a")
		same(t, "the fetch while a is paused", f.jids(f.fetch(5)), "b0")
		f.store.Unpause(t.Context(), "a")
		same(t, "the fetch afterwards", f.jids(f.fetch(5)), "a0")
	})
	t.Run("takes nothing without a lease, but acknowledges", func(t *testing.T) {
		f := newFixture(t)
		f.push("a", 2)
		done := f.fetch(1)
		f.fence("h:1:a")
		_, stale, err := take(t.Context(), f.store, f.owner, []string{"a"}, 1, nil, done)
		same(t, "the number of stale acknowledgements", stale, 0)
		if !errors.Is(err, queue.ErrLeaseLost) {
			t.Errorf("err = %v, want ErrLeaseLost", err)
		}
		f.at("queue:a=1")
	})
}

// adopt fetches up to want jobs, and before that puts back the jobs of all landing lists.
func (f *fixture) adopt(want int) ([]*queue.Delivery, error) {
	f.Helper()
	got, err := f.owner.Fetch(f.Context(), queue.FetchRequest{Queues: abc, Want: want,
		First: f.store.Tokens(want), Adopt: []int{0, 1, 2}})
	return got.Own(), err
}

func TestFetchAdopt(t *testing.T) {
	t.Run("puts a landed job back before it takes jobs", func(t *testing.T) {
		f := newFixture(t)
		f.push("b", 1)
		f.land("b")
		f.at("inflight=1")
		f.push("a", 1)
		f.push("b", 1)
		jobs, err := f.adopt(1)
		if err != nil {
			t.Fatal(err)
		}
		same(t, "the fetch of one job", f.jids(jobs), "a0")
		f.at("queue:b=2 inflight=1")
		same(t, "the next fetch", f.jids(f.fetch(5)), "b0 b0") // both were the first push to b
	})
	t.Run("moves nothing without a lease", func(t *testing.T) {
		f := newFixture(t)
		f.push("a", 1)
		f.land("a")
		f.fence("h:1:a")
		if _, err := f.adopt(1); !errors.Is(err, queue.ErrLeaseLost) {
			t.Errorf("err = %v, want ErrLeaseLost", err)
		}
		f.at("inflight=1")
	})
}

// maxTaken is a small limit of payloads, and large a job over it, as Ruby may push it.
const maxTaken = 4096

var large = `{"class":"Job","jid":"big","args":["` + strings.Repeat("x", maxTaken) +
	`"], "odd" : 1.0}`

// limited returns an owner of a Store with that limit.
func (f *fixture) limited() *queue.Owner {
	f.Helper()
	o := f.server.Store(func(c *queue.Config) { c.MaxTaken = maxTaken }).Owner("h:1:limited")
	if err := o.Register(f.Context(), queue.Host{}, abc, time.Minute); err != nil {
		f.Fatal(err)
	}
	return o
}

// deadIsLarge checks that the dead set holds the large job, byte for byte.
func (f *fixture) deadIsLarge() {
	f.Helper()
	if got := f.raw.ZRange(f.Context(), "dead", 0, -1).Val(); !slices.Equal(got, []string{large}) {
		f.Errorf("the dead set holds %.80q…", got)
	}
}

func TestFetchOverMaxTaken(t *testing.T) {
	f := newFixture(t)
	o := f.limited()
	f.push("a", 2)
	f.put("queue:a", large, `{"class":"Job","jid":"last","args":[]}`)
	f.push("b", 1)
	fetched, err := o.Fetch(t.Context(), queue.FetchRequest{Queues: []string{"a", "b"}, Want: 10,
		First: f.store.Tokens(10)})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("takes the other jobs, each under its token", func(t *testing.T) {
		same(t, "the fetch", f.in(t).jids(fetched.Own()), "a0 a1 last b0")
		for i, d := range fetched.Own() {
			settled, err := settleOne(t.Context(), f.store,
				queue.Settlement{Delivery: d, Action: queue.Done})
			if err != nil || !settled {
				t.Errorf("job %d is not in flight under its token: %v", i, err)
			}
		}
	})
	t.Run("moves the large job to the dead set unchanged", func(t *testing.T) {
		f := f.in(t)
		same(t, "Oversized", fetched.Oversized, 1)
		f.at("dead=1")
		f.deadIsLarge()
	})
}

func TestSettle(t *testing.T) {
	for action, want := range map[queue.Action]string{
		queue.Done: "", queue.Retry: "retry=1", queue.Schedule: "schedule=1", queue.Dead: "dead=1",
		queue.Requeue: "queue:a=1", queue.Forward: "queue:b=1", queue.Hold: "kyu:hold:b=1",
	} {
		t.Run("moves a job to one place, once, for "+string(action), func(t *testing.T) {
			f := newFixture(t)
			f.push("a", 1)
			d := f.fetch(1)[0]
			if !f.settle(d, action, d.Raw) {
				t.Error("not settled")
			}
			f.at(want)
			if f.settle(d, action, d.Raw) {
				t.Error("settled twice")
			}
			f.at(want)
		})
	}
	t.Run("requeues a job at the end where it is taken next", func(t *testing.T) {
		f := newFixture(t)
		f.push("a", 3)
		first := f.fetch(2)
		f.raw.SRem(t.Context(), "queues", "a")
		f.settle(first[1], queue.Requeue, "")
		f.settle(first[0], queue.Requeue, "")
		same(t, "the order", f.jids(f.fetch(3)), "a0 a1 a2")
		if !f.raw.SIsMember(t.Context(), "queues", "a").Val() {
			t.Error("the queue is not in the set of queues again")
		}
	})
}

func TestSettleDead(t *testing.T) {
	f := newFixture(t)
	f.store.SetDeadLimits(5, time.Hour)
	t.Run("keeps one entry less than the limit, as Sidekiq does", func(t *testing.T) {
		f := f.in(t)
		f.push("a", 8)
		for i, d := range f.fetch(8) {
			_, err := f.store.Settle(t.Context(), []queue.Settlement{{Delivery: d,
				Action: queue.Dead, Payload: d.Raw,
				At: time.Now().Add(time.Duration(i) * time.Millisecond)}})
			if err != nil {
				t.Fatal(err)
			}
		}
		f.at("dead=4")
	})
	t.Run("keeps no entry that is too old", func(t *testing.T) {
		f := f.in(t)
		old := float64(time.Now().Add(-2 * time.Hour).Unix())
		f.raw.ZAdd(t.Context(), "dead", redis.Z{Score: old, Member: "old"})
		f.push("a", 1)
		f.settle(f.fetch(1)[0], queue.Dead, "new")
		if f.raw.ZScore(t.Context(), "dead", "old").Err() != redis.Nil {
			t.Error("an entry that is too old is still there")
		}
	})
}

func TestInFlight(t *testing.T) {
	f := newFixture(t)
	f.push("a", 3)
	known := f.fetch(3)
	f.push("b", 1)
	f.land("b")
	list, landed, err := f.owner.InFlight(t.Context(), abc)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("returns all deliveries, and the queues with landed jobs", func(t *testing.T) {
		same(t, "the number of deliveries", len(list), 3)
		if !slices.Equal(landed, []int{1}) {
			t.Errorf("landed jobs in the queues %v, want 1", landed)
		}
	})
	t.Run("returns deliveries that can be put back without their payloads", func(t *testing.T) {
		f := f.in(t)
		for _, d := range list {
			if d.Token == known[2].Token && !f.settle(d, queue.Requeue, "") {
				t.Error("not put back")
			}
		}
		f.at("queue:a=1 inflight=3")
	})
}
