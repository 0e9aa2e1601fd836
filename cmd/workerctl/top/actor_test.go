package top

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
)

// undo is the command that undoes a deletion.
var undo = regexp.MustCompile(`undo \w+`)

func TestApply(t *testing.T) {
	server := redistest.Start(t)
	raw, store := server.Client(), server.Store()
	in := inspect.New(store)
	source := NewSource(store, in, in.Explain)
	var audit []string
	acts := NewActs(store, in, inspect.Act{By: "ada", Host: "h"}, func(command, what string) error {
		audit = append(audit, command+"|"+what)
		return nil
	})
	fill(t, raw, 2, 2, 12)
	apply := func(t *testing.T, r Request, want string, recorded ...string) {
		t.Helper()
		audit = nil
		done, err := acts.Apply(t.Context(), r)
		done = undo.ReplaceAllString(done, "undo ID")
		for i := range audit {
			audit[i] = undo.ReplaceAllString(audit[i], "undo ID")
		}
		if err != nil || done != want {
			t.Errorf("%q %v, want %q", done, err, want)
		}
		if !slices.Equal(audit, recorded) {
			t.Errorf("the audit has %q, want %q", audit, recorded)
		}
	}
	entries := func(t *testing.T, w Window) []queue.Entry {
		t.Helper()
		p, err := source.Page(t.Context(), w)
		if err != nil {
			t.Fatal(err)
		}
		return p.Entries
	}
	t.Run("changes jobs that were chosen by hand", func(t *testing.T) {
		list := entries(t, Window{Set: Retries, Count: 2})
		apply(t, Request{Verb: Retry, Set: Retries, Jobs: list}, "retry: 2 jobs",
			"retries retry|retry: 2 jobs")
		if n := raw.LLen(t.Context(), "queue:push").Val(); n != 2 {
			t.Errorf("%d jobs are in the queue", n)
		}
		_, err := acts.Apply(t.Context(), Request{Verb: Retry, Set: Retries, Jobs: list})
		if !errors.Is(err, queue.ErrNotFound) {
			t.Errorf("again: %v", err)
		}
	})
	t.Run("changes the jobs of a filter, and none that came later", func(t *testing.T) {
		asOf := time.Now()
		raw.ZAdd(t.Context(), "retry", redisZ(`{"class":"B","jid":"late","queue":"push","args":`+
			`["https://host-1.example/"],"failed_at":`+queueTime(asOf.Add(time.Second))+`}`))
		apply(t, Request{Verb: Kill, Set: Retries, Filter: "host:host-1.example", AsOf: asOf},
			"kill: 2 jobs, of the filter host:host-1.example",
			"retries kill|kill: 2 jobs, of the filter host:host-1.example")
		if n := raw.ZCard(t.Context(), "dead").Val(); n != 2 {
			t.Errorf("%d jobs are dead", n)
		}
		apply(t, Request{Verb: Delete, Set: Dead, AsOf: time.Now().Add(time.Second)},
			"delete: 2 jobs (undo: workerctl undo ID)",
			"dead delete|delete: 2 jobs (undo: workerctl undo ID)")
	})
	t.Run("that is stopped in the middle has what was done in the audit", func(t *testing.T) {
		for i := range 700 {
			raw.ZAdd(t.Context(), "dead", redis.Z{Score: float64(i + 1),
				Member: fmt.Sprintf(`{"class":"A","jid":"d%d","created_at":1}`, i)})
		}
		ctx, stop := context.WithCancel(t.Context())
		store.DB().Shared.AddHook(afterDelete{stop})
		audit = nil
		_, err := acts.Apply(ctx, Request{Verb: Delete, Set: Dead, AsOf: time.Now()})
		if !errors.Is(err, context.Canceled) ||
			!strings.Contains(err.Error(), "250 jobs were changed") || len(audit) != 1 ||
			!strings.HasPrefix(audit[0], "dead delete|delete: 250 jobs (undo: ") {
			t.Errorf("%v, the audit has %q", err, audit)
		}
	})
	t.Run("pauses and unpauses queues", func(t *testing.T) {
		apply(t, Request{Verb: Pause, Names: []string{"q0", "q1"}}, "paused q0, q1",
			"queue pause|paused q0", "queue pause|paused q1")
		apply(t, Request{Verb: Unpause, Names: []string{"q0"}}, "unpaused q0",
			"queue unpause|unpaused q0")
		if got := raw.SMembers(t.Context(), "paused").Val(); strings.Join(got, " ") != "q1" {
			t.Errorf("%q", got)
		}
	})
	t.Run("signals processes", func(t *testing.T) {
		apply(t, Request{Verb: Quiet, Names: []string{"web1:1:5f0c9a"}},
			"TSTP → web1:1:5f0c9a", "quiet|TSTP → web1:1:5f0c9a")
		if got := raw.LRange(t.Context(), "web1:1:5f0c9a-signals", 0, -1).Val(); len(got) != 1 ||
			got[0] != "TSTP" {
			t.Errorf("%q", got)
		}
	})
	t.Run("deletes jobs of a queue", func(t *testing.T) {
		list := entries(t, Window{Set: QueueSet("q0"), Count: 1})
		apply(t, Request{Verb: Delete, Set: QueueSet("q0"), Jobs: list},
			"delete: the job q0 (undo: workerctl undo ID)",
			"queue q0 delete|delete: the job q0 (undo: workerctl undo ID)")
	})
	t.Run("says what is not in the audit", func(t *testing.T) {
		broken := NewActs(store, in, inspect.Act{}, func(string, string) error {
			return errors.New("no stream")
		})
		_, err := broken.Apply(t.Context(), Request{Verb: Pause, Names: []string{"q0"}})
		if err == nil || !strings.Contains(err.Error(), "done, but not in the audit: no stream") {
			t.Error(err)
		}
	})
}

// redisZ is a member that is due in an hour.
func redisZ(raw string) redis.Z {
	return redis.Z{Score: float64(time.Now().Add(time.Hour).Unix()), Member: raw}
}

// queueTime is a time as payloads have it.
func queueTime(at time.Time) string {
	return strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64)
}

// afterDelete calls stop after each page of a deletion.
type afterDelete struct{ stop func() }

func (afterDelete) DialHook(next redis.DialHook) redis.DialHook { return next }

func (h afterDelete) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if slices.Contains(cmd.Args(), any("delete")) {
			h.stop()
		}
		return err
	}
}

func (afterDelete) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}
