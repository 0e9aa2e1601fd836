package spool_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/spool"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/faultproxy"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

func TestPushWhileRedisAnswers(t *testing.T) {
	b := newBench(t, spool.Options{})
	b.push("a", "a1")
	t.Run("goes directly to Redis", func(t *testing.T) {
		b.same("jobs of a", b.jids("a"), "a1")
		b.same("the files", b.files(), "lock")
	})
	t.Run("has its marker removed soon", func(t *testing.T) {
		b.same("markers", b.raw.Exists(t.Context(), "kyu:pushed:a1").Val(), 1)
		b.run()
		testwait.Until(t, 20*time.Second, "the marker is gone",
			func() bool { return b.raw.Exists(t.Context(), "kyu:pushed:a1").Val() == 0 })
	})
	t.Run("keeps the marker of an idempotent push", func(t *testing.T) {
		b.client.Push(t.Context(), "Job", nil, queue.Options{JID: "i", Idempotent: true})
		b.push("a", "a2")
		testwait.Until(t, 20*time.Second, "the marker of the later push is gone",
			func() bool { return b.raw.Exists(t.Context(), "kyu:pushed:a2").Val() == 0 })
		b.same("markers", b.raw.Exists(t.Context(), "kyu:pushed:i").Val(), 1)
	})
	t.Run("returns an error that concerns the job", func(t *testing.T) {
		b.raw.Set(t.Context(), "queue:broken", "x", 0)
		_, err := b.client.Push(t.Context(), "Job", nil, queue.Options{Queue: "broken"})
		if err == nil || !strings.Contains(err.Error(), "WRONGTYPE") {
			t.Error(err)
		}
		b.same("kept jobs", b.spool.Stats().Kept, 0)
	})
}

func TestPushWhileRedisIsAway(t *testing.T) {
	b := newBench(t, spool.Options{})
	b.server.Kill()
	for i := range 100 {
		b.push("ab"[i%2:i%2+1], fmt.Sprint(i))
	}
	due := time.Now().Add(time.Hour).Truncate(time.Microsecond)
	if _, err := b.client.PushAt(t.Context(), due, "Job", nil, queue.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Run("waits on the disk", func(t *testing.T) {
		st := b.spool.Stats()
		b.same("jobs that wait", st.Waiting, 101)
		if age := time.Since(st.Oldest); age < 0 || age > time.Minute {
			t.Errorf("the oldest was pushed at %v", st.Oldest)
		}
	})
	b.server.Restart()
	t.Run("waits for those before it when Redis is back", func(t *testing.T) {
		testwait.Until(t, 20*time.Second, "the Store has a connection again", func() bool {
			_, err := queue.NewClient(b.store).Push(t.Context(), "Job", nil, queue.Options{})
			return err == nil
		})
		b.push("a", "100")
		b.same("jobs of a", b.jids("a"), "")
	})
	t.Run("is made in order", func(t *testing.T) {
		b.run()
		b.drained()
		for q, jids := range map[string]string{"a": b.jids("a"), "b": b.jids("b")} {
			var want []string
			for i := range 101 {
				if "ab"[i%2:i%2+1] == q {
					want = append(want, fmt.Sprint(i))
				}
			}
			b.same("jobs of "+q, jids, strings.Join(want, " "))
		}
		b.same("due", b.raw.ZRangeWithScores(t.Context(), "schedule", 0, -1).Val()[0].Score,
			float64(due.UnixMicro())/1e6)
	})
	t.Run("leaves no file, and the next goes directly", func(t *testing.T) {
		b.push("c", "c1")
		b.same("the files", b.files(), "lock")
		b.same("the sums", b.spool.Stats(), spool.Stats{MaxBytes: spool.DefaultMaxBytes,
			Kept: 102, Replayed: 102})
	})
	t.Run("is logged once at the beginning and once at the end", func(t *testing.T) {
		b.same("lines", strings.Count(b.log.String(), "\n"), 2)
		if !strings.Contains(b.log.String(), `are made" spool=`+b.dir+" jobs=102") {
			t.Error(b.log.String())
		}
	})
}

func TestLostReply(t *testing.T) {
	b := &bench{T: t, server: redistest.Start(t), dir: t.TempDir()}
	b.raw = b.server.Client()
	proxy := faultproxy.Start(t, b.server.Addr)
	store := b.server.Store(func(c *queue.Config) { c.URL = "redis://" + proxy.Addr })
	t.Run("is repeated, and the job is stored once", func(t *testing.T) {
		b.open(store, spool.Options{})
		defer b.spool.Close()
		proxy.DropReply(faultproxy.Script("push"), 1)
		b.push("a", "a1")
		b.push("a", "a2")
		b.same("replies lost", proxy.Dropped(), 1)
		stop := b.run()
		b.drained()
		stop()
		b.same("jobs of a", b.jids("a"), "a1 a2")
	})
	t.Run("is lost again when it is repeated, and the job is stored once", func(t *testing.T) {
		b.open(store, spool.Options{})
		defer b.spool.Close()
		proxy.DropReply(faultproxy.Script("push"), 1)
		b.push("b", "b1")
		proxy.DropReply(faultproxy.Script("push"), 1)
		stop := b.run()
		b.drained()
		stop()
		b.same("replies lost", proxy.Dropped(), 3)
		b.same("jobs of b", b.jids("b"), "b1")
	})
	t.Run("is told to the caller if the push cannot be kept", func(t *testing.T) {
		b.open(store, spool.Options{MaxBytes: 1})
		defer b.spool.Close()
		proxy.DropReply(faultproxy.Script("push"), 1)
		jid, err := b.client.Push(t.Context(), "Job", nil, queue.Options{Queue: "c"})
		if !errors.Is(err, queue.ErrUnknown) || !errors.Is(err, spool.ErrFull) {
			t.Error(err)
		}
		b.push("c", jid)
		b.same("jobs of c", b.jids("c"), jid)
	})
}

func TestFullSpool(t *testing.T) {
	const most = 10_000
	b := newBench(t, spool.Options{MaxBytes: most})
	b.server.Kill()
	var kept []string
	var err error
	for i := 0; err == nil; i++ {
		jid := fmt.Sprint(i)
		_, err = b.client.Push(t.Context(), "Job", letters(500),
			queue.Options{Queue: "a", JID: jid})
		if err == nil {
			kept = append(kept, jid)
		}
	}
	t.Run("refuses pushes with a clear error", func(t *testing.T) {
		if !errors.Is(err, spool.ErrFull) || errors.Is(err, queue.ErrUnknown) ||
			!strings.Contains(err.Error(), "of at most 10000 (MaxBytes)") {
			t.Error(err)
		}
	})
	t.Run("takes no more room than MaxBytes", func(t *testing.T) {
		if n := b.spool.Stats().Bytes; n > most || n < most-1000 {
			t.Errorf("%d bytes", n)
		}
	})
	t.Run("has all pushes that it accepted", func(t *testing.T) {
		b.server.Restart()
		b.run()
		b.drained()
		b.same("jobs of a", b.jids("a"), strings.Join(kept, " "))
	})
}

func TestBulk(t *testing.T) {
	b := newBench(t, spool.Options{})
	b.server.Kill()
	args := make([][]any, 25_000)
	for i := range args {
		args[i] = []any{i}
	}
	jids, err := b.client.PushBulk(t.Context(), "Job", args, queue.Options{Queue: "a"})
	if err != nil {
		t.Fatal(err)
	}
	b.server.Restart()
	b.run()
	b.drained()
	t.Run("is made in order, over several files", func(t *testing.T) {
		b.same("jobs of a", b.jids("a"), strings.Join(jids, " "))
	})
}

func TestMarkersOfBulk(t *testing.T) {
	b := newBench(t, spool.Options{})
	b.run()
	if _, err := b.client.PushBulk(t.Context(), "Job", make([][]any, 30_000),
		queue.Options{Queue: "a"}); err != nil {
		t.Fatal(err)
	}
	t.Run("are all removed soon", func(t *testing.T) {
		testwait.Until(t, 20*time.Second, "no marker is left",
			func() bool { return len(b.raw.Keys(t.Context(), "kyu:pushed:*").Val()) == 0 })
		b.same("jobs of a", b.raw.LLen(t.Context(), "queue:a").Val(), 30_000)
	})
}

func TestManyPushers(t *testing.T) {
	b := newBench(t, spool.Options{})
	b.run()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for ctx.Err() == nil {
				if _, err := b.client.Push(context.Background(), "Job", nil,
					queue.Options{Queue: "a"}); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	kept := func() uint64 { return b.spool.Stats().Kept }
	b.server.Kill()
	testwait.Until(t, 20*time.Second, "pushes go to the disk", func() bool { return kept() > 100 })
	b.server.Restart()
	t.Run("push directly again soon after an outage, though none pauses", func(t *testing.T) {
		testwait.Until(t, 20*time.Second, "1,000 pushes go directly", func() bool {
			before, n := kept(), b.raw.LLen(t.Context(), "queue:a").Val()
			testwait.Until(t, 20*time.Second, "1,000 jobs more", func() bool {
				return b.raw.LLen(t.Context(), "queue:a").Val() >= n+1000
			})
			return b.spool.Stats().Waiting == 0 && kept() == before
		})
	})
	cancel()
	all.Wait()
}

func TestContextOfPush(t *testing.T) {
	b := newBench(t, spool.Options{})
	b.server.Kill()
	t.Run("that was cancelled leaves nothing on the disk", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := b.client.Push(ctx, "Job", nil, queue.Options{})
		if !errors.Is(err, context.Canceled) || b.spool.Stats().Waiting > 0 {
			t.Errorf("%v, %d jobs", err, b.spool.Stats().Waiting)
		}
	})
	t.Run("that has run out does not lose the push", func(t *testing.T) {
		ctx, cancel := context.WithDeadline(t.Context(), time.Now())
		defer cancel()
		_, err := b.client.Push(ctx, "Job", nil, queue.Options{})
		if err != nil || b.spool.Stats().Waiting != 1 {
			t.Errorf("%v, %d jobs", err, b.spool.Stats().Waiting)
		}
	})
}

func TestRun(t *testing.T) {
	b := newBench(t, spool.Options{})
	b.server.Kill()
	b.push("a", "a1")
	b.server.Restart()
	b.run()
	b.drained()
	t.Run("refuses to run twice", func(t *testing.T) {
		if err := b.spool.Run(t.Context()); err == nil {
			t.Error("no error")
		}
	})
}

func TestForm(t *testing.T) {
	t.Run("is that of the Store behind the spool", func(t *testing.T) {
		b := newBench(t, spool.Options{}, func(c *queue.Config) {
			c.MaxPayload, c.Timestamps = 300, queue.Millis
		})
		b.same("the form", b.spool.Form(), queue.Form{MaxPayload: 300, Timestamps: queue.Millis})
		_, err := b.client.Push(t.Context(), "Job", letters(300), queue.Options{})
		var large *queue.TooLargeError
		if !errors.As(err, &large) {
			t.Error(err)
		}
	})
}
