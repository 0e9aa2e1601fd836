package unique_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
)

// client pushes jobs of the class Job with a lock.
func (b *bench) client(lock unique.Lock) *queue.Client {
	return queue.NewClient(b.store, unique.Client(map[string]unique.Lock{"Job": lock}))
}

// scheduled returns the JIDs in the schedule set.
func (b *bench) scheduled() string {
	var jids []string
	for _, raw := range b.raw.ZRange(b.Context(), "schedule", 0, -1).Val() {
		jids = append(jids, must(envelope.ParseJob(raw)).JID)
	}
	return strings.Join(jids, " ")
}

func TestPushConflict(t *testing.T) {
	b := newBench(t)
	push := func(l unique.Lock, jid string, args ...any) string {
		jid, err := b.client(l).Push(t.Context(), "Job", args, queue.Options{Queue: "a", JID: jid})
		var held *unique.HeldError
		if errors.As(err, &held) {
			return "held by " + held.Holder
		}
		return fmt.Sprint(jid, err)
	}
	for _, x := range []struct{ name, got, want string }{
		{"a free lock is taken", push(unique.Lock{}, "one", 1), "one<nil>"},
		{"Drop drops", push(unique.Lock{}, "two", 1), "<nil>"},
		{"Return returns the holder", push(unique.Lock{OnConflict: unique.Return}, "two", 1),
			"one<nil>"},
		{"Refuse names the holder", push(unique.Lock{OnConflict: unique.Refuse}, "two", 1),
			"held by one"},
		{"Replace replaces no job in a queue",
			push(unique.Lock{OnConflict: unique.Replace}, "two", 1), "<nil>"},
		{"another argument is another lock", push(unique.Lock{}, "three", 2), "three<nil>"},
		{"only the chosen arguments count", push(unique.Lock{
			Args: func(args []any) []any { return args[:1] }}, "four", 1, "x"), "<nil>"},
		{"the limit lets a second one in", push(unique.Lock{Limit: 2}, "four", 1), "four<nil>"},
		{"a runtime lock is not taken", push(unique.Lock{Kind: unique.WhileRunning}, "five", 1),
			"five<nil>"},
	} {
		t.Run(x.name, func(t *testing.T) {
			if x.got != x.want {
				t.Errorf("%q, want %q", x.got, x.want)
			}
		})
	}
	t.Run("a key makes one lock of two classes", func(t *testing.T) {
		lock := unique.Lock{Key: "both", OnConflict: unique.Return}
		c := queue.NewClient(b.store, unique.Client(map[string]unique.Lock{"A": lock, "B": lock}))
		first, _ := c.Push(t.Context(), "A", nil, queue.Options{})
		second, err := c.Push(t.Context(), "B", nil, queue.Options{Queue: "b"})
		if first == "" || second != first || err != nil {
			t.Error(first, second, err)
		}
	})
	t.Run("the lock of the context counts first", func(t *testing.T) {
		ctx := unique.With(t.Context(), unique.Lock{Key: "other"})
		jid, err := b.client(unique.Lock{}).Push(ctx, "Job", []any{1}, queue.Options{Queue: "a"})
		if jid == "" || err != nil {
			t.Error(jid, err)
		}
	})
}

func TestPushFields(t *testing.T) {
	b := newBench(t)
	c := b.client(unique.Lock{Kind: unique.UntilStartWhileRunning, For: 90 * time.Minute, Limit: 3})
	_, err := c.PushIn(t.Context(), time.Hour, "Job", []any{7, "x"}, queue.Options{})
	if err != nil {
		t.Fatal(err)
	}
	j := must(envelope.ParseJob(b.raw.ZRange(t.Context(), "schedule", 0, 0).Val()[0]))
	locked := j.String("lock_digest")
	for field, want := range map[string]string{"lock": `"until_and_while_executing"`,
		"lock_args": `[7,"x"]`, "lock_limit": "3", "lock_timeout": "0", "lock_ttl": "9000",
		"lock_prefix": `"uniquejobs"`, "on_conflict": `"reschedule"`} {
		b.same(field, j.Field(field), want)
	}
	b.same("the type of the lock's keys", b.raw.Type(t.Context(), locked).Val()+" "+
		b.raw.Type(t.Context(), locked+":LOCKED").Val(), "string hash")
	left := b.raw.PTTL(t.Context(), locked+":LOCKED").Val()
	b.same("whether it lasts until after the job is due", left > 149*time.Minute &&
		left <= 150*time.Minute, true)
}

func TestReplace(t *testing.T) {
	b := newBench(t)
	c := b.client(unique.Lock{OnConflict: unique.Replace, For: time.Hour})
	push := func(in time.Duration, jid string) string {
		got, err := c.PushIn(t.Context(), in, "Job", nil, queue.Options{Queue: "a", JID: jid})
		if err != nil {
			t.Error(err)
		}
		return got
	}
	b.same("the first", push(time.Hour, "one"), "one")
	b.same("the second", push(2*time.Hour, "two"), "two")
	b.same("what is scheduled", b.scheduled(), "two")
	b.same("the third, at once", push(0, "three"), "three")
	b.same("what is scheduled", b.scheduled(), "")
	b.same("the fourth, behind one in a queue", push(time.Hour, "four"), "")
	b.work(func(context.Context, *queue.Job) error { return nil })
	b.settled()
	b.same("the keys that are left", b.lockKeys(), "")
}

func TestBulk(t *testing.T) {
	b := newBench(t)
	var args [][]any
	for i := range 300 {
		args = append(args, []any{i % 150})
	}
	o := queue.Options{Queue: "a"}
	jids, err := b.client(unique.Lock{}).PushBulk(t.Context(), "Job", args, o)
	if err != nil {
		t.Fatal(err)
	}
	for i, jid := range jids {
		if (jid != "") != (i < 150) {
			t.Fatalf("job %d: %q", i, jid)
		}
	}
	b.same("waiting", b.raw.LLen(t.Context(), "queue:a").Val(), 150)
}

func TestHalfLock(t *testing.T) {
	t.Run("is not left when a key has a wrong type", func(t *testing.T) {
		b := newBench(t)
		b.raw.Set(t.Context(), "uniquejobs:digests", "x", 0)
		_, err := b.client(unique.Lock{}).Push(t.Context(), "Job", nil, queue.Options{Queue: "a"})
		if err == nil || b.raw.LLen(t.Context(), "queue:a").Val() != 0 {
			t.Errorf("err = %v, want the job not pushed", err)
		}
		if keys := b.raw.Keys(t.Context(), "uniquejobs:kyu:*").Val(); len(keys) > 0 {
			t.Errorf("%q are left: no job can take the lock again", keys)
		}
	})
}

func TestWrongLock(t *testing.T) {
	b := newBench(t)
	for name, lock := range map[string]unique.Lock{
		`no kind "until_never"`:             {Kind: "until_never"},
		`no kind "until_performed"`:         {Kind: "until_performed"},
		"until_expired needs a time":        {Kind: unique.UntilExpired},
		"want 0 to 100 years":               {For: -1},
		"want 0 or more":                    {Limit: -1},
		`no conflict "explode"`:             {OnConflict: "explode"},
		"Replace needs a lock that one job": {OnConflict: unique.Replace, Limit: 2},
		"lock_args":                         {Args: func([]any) []any { return []any{func() {}} }},
	} {
		t.Run("is refused: "+name, func(t *testing.T) {
			_, err := b.client(lock).Push(t.Context(), "Job", nil, queue.Options{})
			var invalid *queue.InvalidError
			if !errors.As(err, &invalid) || !strings.Contains(err.Error(), name) {
				t.Error(err)
			}
		})
	}
	t.Run("nothing is pushed", func(t *testing.T) {
		b.same("keys", strings.Join(b.raw.Keys(t.Context(), "queue*").Val(), " "), "")
	})
}

func TestLockThatEndsByTime(t *testing.T) {
	t.Run("leaves nothing when its job is done", func(t *testing.T) {
		b := newBench(t)
		c := b.client(unique.Lock{For: time.Second})
		if _, err := c.Push(t.Context(), "Job", nil, queue.Options{Queue: "a"}); err != nil {
			t.Fatal(err)
		}
		b.until("the lock has ended", func() bool {
			return b.lockKeys() == "uniquejobs:digests"
		})
		b.work(func(context.Context, *queue.Job) error { return nil })
		b.settled()
		b.same("the keys that are left", b.lockKeys(), "")
	})
	t.Run("is forgotten when a later one is taken", func(t *testing.T) {
		b := newBench(t)
		for i := range 12 {
			b.raw.ZAdd(t.Context(), "uniquejobs:expiring_digests",
				redis.Z{Score: float64(i), Member: fmt.Sprint("uniquejobs:over", i)})
		}
		c := b.client(unique.Lock{Kind: unique.UntilExpired, For: time.Hour})
		for i := range 2 {
			if _, err := c.Push(t.Context(), "Job", []any{i}, queue.Options{}); err != nil {
				t.Fatal(err)
			}
		}
		b.same("the digests", b.raw.ZCard(t.Context(), "uniquejobs:expiring_digests").Val(), 2)
	})
}
