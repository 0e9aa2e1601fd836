package unique_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/redis/go-redis/v9"
)

func TestLocks(t *testing.T) {
	b := newBench(t)
	c, expiring := b.client(unique.Lock{}), unique.Lock{Kind: unique.UntilExpired, For: time.Hour}
	for i := range 3 {
		if _, err := c.Push(t.Context(), "Job", []any{i}, queue.Options{Queue: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.client(expiring).Push(t.Context(), "Job", []any{"x"},
		queue.Options{Queue: "a", JID: "expiring"}); err != nil {
		t.Fatal(err)
	}
	locks := unique.NewLocks(b.store)
	t.Run("are listed, a page at a time", func(t *testing.T) {
		var all []unique.Held
		next := 0
		for range 2 {
			page, after, err := locks.Page(t.Context(), "kyu", next, 2)
			if err != nil || len(page) != 2 {
				t.Fatal(page, err)
			}
			all, next = append(all, page...), after
		}
		last := all[3]
		b.same("the last", last.Holders[0].JID, "expiring")
		b.same("whether it expires", last.Expires > 59*time.Minute, true)
		if since := time.Since(last.Holders[0].Since); since > time.Minute {
			t.Error("held for", since)
		}
	})
	t.Run("are found by a part of the digest", func(t *testing.T) {
		page, _, err := locks.Page(t.Context(), "nowhere", 0, 10)
		b.same("found", fmt.Sprint(len(page), err), "0 <nil>")
	})
	t.Run("are deleted with all their keys", func(t *testing.T) {
		page, _, _ := locks.Page(t.Context(), "", 0, 10)
		for _, h := range page {
			found, err := locks.Delete(t.Context(), h.Digest)
			b.same("deleted", fmt.Sprint(found, err), "true <nil>")
		}
		b.same("the keys that are left", b.lockKeys(), "")
		found, err := locks.Delete(t.Context(), "uniquejobs:none")
		b.same("deleted", fmt.Sprint(found, err), "false <nil>")
	})
	t.Run("are no other keys", func(t *testing.T) {
		b.raw.ZAdd(t.Context(), "retry", redis.Z{Member: "job"})
		found, err := locks.Delete(t.Context(), "retry")
		b.same("deleted", fmt.Sprint(found, err), "false <nil>")
		b.same("retries", b.raw.ZCard(t.Context(), "retry").Val(), int64(1))
	})
}

func TestOrphans(t *testing.T) {
	b := newBench(t)
	locks := unique.NewLocks(b.store)
	orphans := func() string {
		list, err := locks.Orphans(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var jids []string
		for _, h := range list {
			jids = append(jids, h.Holders[0].JID)
		}
		return strings.Join(jids, " ")
	}
	b.ruby("one", "until_executed", "")
	b.same("while its job waits", orphans(), "")
	raw := b.raw.LIndex(t.Context(), "queue:a", 0).Val()
	places := []string{"kyu:{queue:a}:inflight:x", "kyu:{queue:a}:landing:x", "schedule"}
	for _, place := range places {
		b.raw.Del(t.Context(), append(places, "queue:a")...)
		switch {
		case place == "schedule":
			b.raw.Do(t.Context(), "ZADD", place, 1, raw)
		case strings.Contains(place, "inflight"):
			b.raw.HSet(t.Context(), place, "1", raw)
		default:
			b.raw.LPush(t.Context(), place, raw)
		}
		b.same("while its job is in "+place, orphans(), "")
	}
	b.raw.Del(t.Context(), "schedule")
	b.same("when its job is gone", orphans(), "one")
	b.raw.HSet(t.Context(), digest+":LOCKED", "two", "1764380000.5")
	b.same("when both of its holders are gone, once", orphans(), "one")
	b.waits("two", "until_executed", "")
	b.same("when one of its holders lives", orphans(), "")
	b.raw.HDel(t.Context(), digest+":LOCKED", "two")
	b.raw.HSet(t.Context(), digest+":LOCKED", "one", fmt.Sprint(time.Now().Unix()))
	b.same("when it is younger than a minute", orphans(), "")
}

// TestDeletion deletes jobs by hand, in each of the ways in which a person does.
func TestDeletion(t *testing.T) {
	for name, remove := range map[string]func(b *bench, raw string) error{
		"from a set": func(b *bench, raw string) error {
			b.raw.Do(b.Context(), "ZADD", "retry", 1, raw)
			_, err := b.store.RetrySet().Delete(b.Context(), queue.NewEntry(raw, 1))
			return err
		},
		"by the clearing of a set": func(b *bench, raw string) error {
			b.raw.Do(b.Context(), "ZADD", "schedule", 1, raw)
			return b.store.ScheduleSet().Clear(b.Context())
		},
		"by a kill": func(b *bench, raw string) error {
			b.raw.Do(b.Context(), "ZADD", "retry", 1, raw)
			_, err := inspect.New(b.store).RetrySet().Kill(b.Context(), queue.NewEntry(raw, 1))
			return err
		},
		"by the clearing of a queue": func(b *bench, raw string) error {
			b.raw.LPush(b.Context(), "queue:a", raw)
			return b.store.ClearQueue(b.Context(), "a")
		},
	} {
		t.Run("releases the lock of a job: "+name, func(t *testing.T) {
			b := newBench(t)
			b.ruby("one", "until_executed", "")
			raw := b.raw.RPop(t.Context(), "queue:a").Val()
			if err := remove(b, raw); err != nil {
				t.Fatal(err)
			}
			b.same("the keys that are left", b.lockKeys(), "")
		})
	}
}
