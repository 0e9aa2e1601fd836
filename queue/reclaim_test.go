package queue_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// reclaim fences an owner and reclaims all its jobs of queue a.
func (f *fixture) reclaim(o *queue.Owner, p queue.Poison) (all queue.Reclaimed) {
	f.Helper()
	f.fence(o.Identity)
	for more := true; more; {
		var got queue.Reclaimed
		var err error
		got, more, err = f.store.Reclaim(f.Context(), o.Identity, "a", p, 50)
		if err != nil {
			f.Fatal(err)
		}
		all.Landed += got.Landed
		all.Requeued += got.Requeued
		all.Poisoned = append(all.Poisoned, got.Poisoned...)
		all.Failed = append(all.Failed, got.Failed...)
	}
	return all
}

func TestReclaim(t *testing.T) {
	t.Run("gives jobs back in their order, and their owner can settle none", func(t *testing.T) {
		f := newFixture(t)
		f.push("a", 5)
		jobs := f.fetch(3)
		got, more, err := f.store.Reclaim(t.Context(), "h:1:a", "a", poison, 50)
		if err != nil || more || got.Requeued != 3 {
			t.Fatalf("%+v %v %v", got, more, err)
		}
		f.at("queue:a=5")
		if f.settle(jobs[0], queue.Retry, jobs[0].Raw) {
			t.Error("an owner settled a job that was reclaimed")
		}
		f.at("queue:a=5")
		f.owner = f.newOwner("h:2:b")
		same(t, "the order", f.jids(f.fetch(5)), "a0 a1 a2 a3 a4")
	})
	t.Run("gives landed jobs back without counting a crash", func(t *testing.T) {
		f := newFixture(t)
		f.push("a", 1)
		f.land("a")
		got := f.reclaim(f.owner, queue.Poison{Times: 1, Within: time.Hour})
		same(t, "Landed", got.Landed, 1)
		if raw := f.raw.LIndex(t.Context(), "queue:a", 0).Val(); strings.Contains(raw, "crashes") {
			t.Errorf("a crash is counted in %s", raw)
		}
	})
}

func TestReclaimCounts(t *testing.T) {
	suspect := `{"class":"Job","jid":"s","args":[],"queue":"a","crashes":8,"crashed_at":` +
		fmt.Sprint(time.Now().Unix()) + `}`
	type marks = func(o *queue.Owner, d *queue.Delivery) error
	beside := func(o *queue.Owner, d *queue.Delivery) error { return o.Beside(t.Context(), d) }
	alone := func(o *queue.Owner, d *queue.Delivery) error { return o.Alone(t.Context(), d) }
	for name, c := range map[string]struct {
		marks marks
		want  string
	}{
		"no crash for a suspect that waits to run alone": {
			func(*queue.Owner, *queue.Delivery) error { return nil }, "queue:a=1"},
		"a crash for a suspect that runs beside others": {beside, "dead=1"},
		"a crash for a suspect that runs alone":         {alone, "dead=1"},
		"no crash for a suspect beside the only job that runs": {
			func(o *queue.Owner, d *queue.Delivery) error {
				other := &queue.Delivery{Queue: "a", Owner: o, Token: d.Token + 100}
				return errors.Join(beside(o, d), alone(o, other))
			}, "queue:a=1"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			f.put("queue:a", suspect)
			if err := c.marks(f.owner, f.fetch(1)[0]); err != nil {
				t.Fatal(err)
			}
			f.reclaim(f.owner, poison)
			f.at(c.want)
		})
	}
}

func TestQueuesOf(t *testing.T) {
	f := newFixture(t)
	f.push("a", 1)
	f.fetch(1)
	f.raw.Del(t.Context(), "kyu:owner:h:1:a")
	t.Run("finds the queues of an owner without a record", func(t *testing.T) {
		got, err := f.store.QueuesOf(t.Context(), "h:1:a")
		if err != nil || fmt.Sprint(got) != "[a]" {
			t.Errorf("found %v, %v", got, err)
		}
	})
	t.Run("does not walk through the keys for an owner that was forgotten", func(t *testing.T) {
		f.raw.ZRem(t.Context(), "kyu:leases", "h:1:a")
		f := f.in(t)
		before := f.calls("scan")
		if got, err := f.store.QueuesOf(t.Context(), "h:1:a"); err != nil || len(got) != 0 {
			t.Errorf("found %v, %v", got, err)
		}
		same(t, "the number of SCAN calls", f.calls("scan")-before, 0)
	})
}

// calls returns how often Redis has carried out a command.
func (f *fixture) calls(command string) (n int) {
	f.Helper()
	_, rest, _ := strings.Cut(f.raw.Info(f.Context(), "commandstats").Val(),
		"cmdstat_"+command+":calls=")
	fmt.Sscan(strings.SplitN(rest, ",", 2)[0], &n)
	return n
}

func TestForget(t *testing.T) {
	f := newFixture(t)
	f.push("a", 1)
	f.fetch(1)
	if err := f.owner.Leave(t.Context(), queue.Host{}, []string{"a"}); err != nil {
		t.Fatal(err)
	}
	forget := func(t *testing.T, grace time.Duration) bool {
		ok, err := f.store.Forget(t.Context(), "h:1:a", queue.Host{}, []string{"a"}, grace)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	t.Run("does nothing while the identity has a job in flight", func(t *testing.T) {
		if forget(t, 0) {
			t.Error("forgotten")
		}
	})
	f.store.Reclaim(t.Context(), "h:1:a", "a", queue.Poison{}, 50)
	t.Run("does nothing before the grace is over", func(t *testing.T) {
		if forget(t, time.Hour) {
			t.Error("forgotten")
		}
	})
	t.Run("deletes the lease and the record", func(t *testing.T) {
		if !forget(t, 0) {
			t.Error("not forgotten")
		}
		n := f.raw.Exists(t.Context(), "kyu:leases", "kyu:owner:h:1:a").Val()
		same(t, "the number of keys", n, 0)
	})
}
