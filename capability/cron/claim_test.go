package cron

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

// claimed owns a schedule of entries, enters them, and claims a slot of the first entry by hand.
type claimed struct {
	*fixture
	s *Scheduler
}

func newClaimed(t *testing.T, entries ...Entry) *claimed {
	t.Helper()
	f := newFixture(t)
	c := &claimed{f, f.scheduler(nil, entries...)}
	if err := errors.Join(c.s.own(t.Context()), c.s.enter(t.Context())); err != nil {
		t.Fatal(err)
	}
	return c
}

// at is a slot so many seconds after the entry began, which is made to be 1,000 seconds ago.
func (c *claimed) at(seconds int) time.Time {
	name := c.s.tracks[0].entry.Name
	start := time.Now().Add(-1000 * time.Second).Truncate(time.Second)
	if c.raw.HSetNX(c.Context(), "kyu:cron:"+name, "start", start.Unix()).Val() {
		c.raw.HSet(c.Context(), "kyu:cron:"+name, "last", start.UnixMilli())
	}
	n, _ := c.raw.HGet(c.Context(), "kyu:cron:"+name, "start").Int64()
	return time.Unix(n, 0).Add(time.Duration(seconds) * time.Second)
}

// claim claims a slot of the first entry, and returns the reason of a refusal.
func (c *claimed) claim(slot time.Time, change ...func(*slotted)) string {
	c.Helper()
	t := &c.s.tracks[0]
	x := slotted{entry: &t.entry, schedule: "default", digest: c.s.digest, slot: slot,
		next: slot.Add(time.Hour)}
	for _, f := range change {
		f(&x)
	}
	o, err := x.options()
	if err != nil {
		c.Fatal(err)
	}
	_, err = c.s.Client.Push(c.Context(), x.entry.Class, x.entry.Args, o)
	var refused *queue.ClaimError
	if errors.As(err, &refused) {
		return refused.Reason
	}
	if err != nil {
		return err.Error()
	}
	return "granted"
}

func TestClaim(t *testing.T) {
	c := newClaimed(t, Entry{Name: "a", Every: time.Minute, Class: "Job", Queue: "q",
		Args: []any{1}, Retry: "false", Extra: map[string]any{"x": 1}})
	t.Run("pushes the job of a slot", func(t *testing.T) {
		slot := c.at(10)
		same(t, "claim", c.claim(slot), "granted")
		j := c.jobs("q")[0]
		x := slotted{entry: &c.s.tracks[0].entry, slot: slot}
		same(t, "job", fmt.Sprint(j.Class, string(j.Args), j.JID == x.jid(), j.Field("retry"),
			j.Field("x")), "Job[1]truefalse1")
		same(t, "what it says about the entry", j.Field("kyu"),
			fmt.Sprintf(`{"cron":"a","slot":%d}`, slot.UnixMilli()))
		same(t, "history", c.runs("a"), x.jid())
	})
	t.Run("refuses the slot again, and earlier slots", func(t *testing.T) {
		same(t, "again", c.claim(c.at(10)), "past")
		same(t, "earlier", c.claim(c.at(9)), "past")
	})
	t.Run("refuses a slot that is still to come, and says how long", func(t *testing.T) {
		got := c.claim(time.Now().Add(time.Hour))
		if !strings.HasPrefix(got, "early 35") && got != "early 3600000" {
			t.Error(got)
		}
	})
	t.Run("refuses another schedule and another version of the entry", func(t *testing.T) {
		same(t, "schedule", c.claim(c.at(11), func(x *slotted) { x.digest = "other" }), "owner")
		same(t, "entry", c.claim(c.at(11), func(x *slotted) {
			e := *x.entry
			e.Description = "new"
			x.entry = &e
		}), "rev")
	})
	t.Run("skips slots while the entry is paused", func(t *testing.T) {
		c.raw.HSet(t.Context(), "kyu:cron:a", "paused", "1")
		same(t, "paused", c.claim(c.at(12)), "skipped paused")
		c.raw.HDel(t.Context(), "kyu:cron:a", "paused")
		same(t, "the same slot later", c.claim(c.at(12)), "past")
		same(t, "the next slot", c.claim(c.at(13)), "granted")
	})
	t.Run("does not lose the slot if a key has a wrong type", func(t *testing.T) {
		c.raw.Rename(t.Context(), "queue:q", "kept")
		c.raw.Set(t.Context(), "queue:q", "no list", 0)
		if got := c.claim(c.at(14)); !strings.Contains(got, "WRONGTYPE") {
			t.Error(got)
		}
		c.raw.Rename(t.Context(), "kept", "queue:q")
		c.raw.Del(t.Context(), "kyu:cron:a:runs")
		c.raw.Set(t.Context(), "kyu:cron:a:runs", "no list", 0)
		same(t, "the slot later, without a history", c.claim(c.at(14)), "granted")
		c.raw.Del(t.Context(), "kyu:cron:a:runs")
	})
	t.Run("keeps the last 100 runs", func(t *testing.T) {
		for i := range 120 {
			c.claim(c.at(20 + i))
		}
		same(t, "runs", c.raw.LLen(t.Context(), "kyu:cron:a:runs").Val(), 100)
	})
}

func TestCondition(t *testing.T) {
	c := newClaimed(t, Entry{Name: "a", Every: time.Minute, Class: "Job",
		OnlyIf: []Condition{{Queue: "pull", SizeBelow: 2}, {Queue: "push",
			LatencyBelow: time.Minute}}})
	t.Run("lets a slot pass while the queue is small", func(t *testing.T) {
		c.raw.LPush(t.Context(), "queue:pull", "x")
		same(t, "claim", c.claim(c.at(1)), "granted")
	})
	t.Run("skips a slot while the queue is large, once for all processes", func(t *testing.T) {
		c.raw.LPush(t.Context(), "queue:pull", "y")
		same(t, "claim", c.claim(c.at(2)), "skipped queue")
		c.raw.Del(t.Context(), "queue:pull")
		same(t, "claim by another", c.claim(c.at(2)), "past")
		if got := c.runs("a"); !strings.HasSuffix(got, ", - queue") {
			t.Error(got)
		}
	})
	t.Run("knows the age of the oldest job", func(t *testing.T) {
		skip, err := c.s.tooLate(t.Context(), &c.s.tracks[0].entry)
		same(t, "an empty queue", fmt.Sprint(skip, err), "<nil>")
		c.raw.LPush(t.Context(), "queue:push", fmt.Sprintf(
			`{"class":"A","args":[],"jid":"j","enqueued_at":%d}`, time.Now().Unix()-61))
		skip, err = c.s.tooLate(t.Context(), &c.s.tracks[0].entry)
		same(t, "an old job", fmt.Sprint(skip, err), "latency<nil>")
	})
}

func TestOverlap(t *testing.T) {
	c := newClaimed(t, Entry{Name: "a", Every: time.Minute, Class: "Job", NoOverlap: true,
		OverlapFor: time.Hour})
	t.Run("skips slots while the job of an earlier one is there", func(t *testing.T) {
		same(t, "first", c.claim(c.at(1)), "granted")
		same(t, "second", c.claim(c.at(2)), "skipped overlap")
		if ttl := c.raw.PTTL(t.Context(), "kyu:cron:a:lock").Val(); ttl < 59*time.Minute {
			t.Error(ttl)
		}
	})
	t.Run("ends with the job, in the same script", func(t *testing.T) {
		o := c.store.Owner("h:1:a")
		if err := o.Register(t.Context(), queue.Host{Name: "h", PID: 1}, []string{"default"},
			time.Minute); err != nil {
			t.Fatal(err)
		}
		got, err := o.Fetch(t.Context(), queue.FetchRequest{Queues: []string{"default"}, Want: 1,
			First: c.store.Tokens(1)})
		if err != nil || len(got.Jobs) != 1 {
			t.Fatal(got, err)
		}
		j, _ := envelope.ParseJob(got.Jobs[0].Raw)
		effects, err := o.Effects(j, queue.EventRetry)
		same(t, "effects of a retry", fmt.Sprint(effects, err), "[] <nil>")
		effects, err = o.Effects(j, queue.EventDone)
		same(t, "effects of the end", fmt.Sprint(len(effects), err), "1 <nil>")
		results, err := c.store.Settle(t.Context(), []queue.Settlement{{Delivery: &got.Jobs[0],
			Effects: effects}})
		same(t, "settled", fmt.Sprint(results, err), fmt.Sprint([]queue.Result{1}, error(nil)))
		same(t, "lock", c.raw.Exists(t.Context(), "kyu:cron:a:lock").Val(), 0)
		same(t, "third", c.claim(c.at(3)), "granted")
	})
	t.Run("ends when a person deletes the job, and no other job's does", func(t *testing.T) {
		j := c.jobs("default")[0]
		c.raw.Set(t.Context(), "kyu:cron:a:lock", "another", 0)
		if err := c.store.DeleteFromQueue(t.Context(), "default", j.Raw()); err != nil {
			t.Fatal(err)
		}
		same(t, "lock", c.raw.Get(t.Context(), "kyu:cron:a:lock").Val(), "another")
	})
}

func TestBesideScheduler(t *testing.T) {
	c := newClaimed(t, Entry{Name: "a", Cron: "* * * * *", Class: "Job", Beside: SidekiqScheduler})
	ctx := t.Context()
	t.Run("claims the slot for sidekiq-scheduler too", func(t *testing.T) {
		slot := c.at(1)
		same(t, "claim", c.claim(slot), "granted")
		same(t, "pushed", c.raw.ZRangeWithScores(ctx, "sidekiq-scheduler:pushed:a", 0, -1).Val(),
			[]redis.Z{{Score: float64(slot.Unix()), Member: fmt.Sprint(slot.Unix())}})
		same(t, "last", c.raw.HGet(ctx, "sidekiq-scheduler:last_times", "a").Val(),
			slot.UTC().Format(rubyTime))
		same(t, "next", c.raw.HGet(ctx, "sidekiq-scheduler:next_times", "a").Val(),
			slot.Add(time.Hour).UTC().Format(rubyTime))
	})
	t.Run("leaves a slot that Ruby has claimed", func(t *testing.T) {
		slot := c.at(2)
		c.raw.ZAdd(ctx, "sidekiq-scheduler:pushed:a", redis.Z{Score: float64(slot.Unix()),
			Member: slot.Unix()})
		same(t, "claim", c.claim(slot), "skipped ruby")
	})
	t.Run("takes the slot, and pushes nothing, while Ruby's page has it disabled",
		func(t *testing.T) {
			c.raw.HSet(ctx, "sidekiq-scheduler:states", "a", `{"enabled":false}`)
			same(t, "claim", c.claim(c.at(3)), "skipped disabled")
			c.raw.HSet(ctx, "sidekiq-scheduler:states", "a", `{"enabled":true}`)
			same(t, "claim", c.claim(c.at(4)), "granted")
			same(t, "jobs", len(c.jobs("default")), 2)
		})
}

func TestBesideCron(t *testing.T) {
	c := newClaimed(t, Entry{Name: "a", Cron: "* * * * *", Class: "Job", Beside: SidekiqCron})
	ctx := t.Context()
	t.Run("claims the slot for sidekiq-cron too", func(t *testing.T) {
		slot := c.at(1)
		same(t, "claim", c.claim(slot), "granted")
		same(t, "enqueued", c.raw.ZRangeWithScores(ctx, "cron_job:a:enqueued", 0, -1).Val(),
			[]redis.Z{{Score: float64(slot.Unix()), Member: slot.UTC().Format(time.RFC3339)}})
		same(t, "a job that Ruby does not have", c.raw.Exists(ctx, "cron_job:a").Val(), 0)
	})
	t.Run("writes what Ruby's page shows", func(t *testing.T) {
		c.raw.HSet(ctx, "cron_job:a", "status", "enabled")
		slot := c.at(2)
		same(t, "claim", c.claim(slot), "granted")
		same(t, "last", c.raw.HGet(ctx, "cron_job:a", "last_enqueue_time").Val(),
			slot.UTC().Format(rubyTime))
		if h := c.raw.LIndex(ctx, "cron_job:a:jid_history", 0).Val(); !strings.Contains(h,
			`"jid":"`+(&slotted{entry: &c.s.tracks[0].entry, slot: slot}).jid()) {
			t.Error(h)
		}
	})
	t.Run("leaves a slot that Ruby has claimed, and a disabled entry", func(t *testing.T) {
		slot := c.at(3)
		c.raw.ZAdd(ctx, "cron_job:a:enqueued", redis.Z{Score: float64(slot.Unix()),
			Member: slot.UTC().Format(time.RFC3339)})
		same(t, "claim", c.claim(slot), "skipped ruby")
		c.raw.HSet(ctx, "cron_job:a", "status", "disabled")
		same(t, "claim", c.claim(c.at(4)), "skipped disabled")
	})
}
