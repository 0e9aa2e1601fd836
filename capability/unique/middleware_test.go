package unique_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// TestReleases runs a job of each kind that Ruby has locked, to each end.
func TestReleases(t *testing.T) {
	t.Parallel()
	failure := errors.New("failed")
	for _, x := range []struct {
		kind, end, fields string
		err               error
		waits, runs, left string // who holds the lock while the job waits, while it runs, after it
	}{
		{"until_executed", "done", "", nil, "one", "one", ""},
		{"until_executed", "retried", "", failure, "one", "one", "one"},
		{"until_executed", "dead", "", queue.Kill(nil), "one", "one", ""},
		{"until_executed", "discarded", "", queue.Discard(nil), "one", "one", ""},
		{"until_executed", "put off", "", queue.Snooze(time.Hour), "one", "one", "one"},
		{"until_executed", "expired", `,"expires_at":1764380001`, nil, "one", "", ""},
		{"until_performed", "done", "", nil, "one", "one", ""},
		{"until_executing", "done", "", nil, "one", "", ""},
		{"until_executing", "retried", "", failure, "one", "", "one"},
		{"until_executing", "dead", "", queue.Kill(nil), "one", "", ""},
		{"until_expired", "done", `,"lock_ttl":3600`, nil, "one", "one", "one"},
		{"until_expired", "dead", "", queue.Kill(nil), "one", "one", ""},
		{"while_executing", "done", "", nil, "", "one:RUN", ""},
		{"while_executing", "retried", "", failure, "", "one:RUN", ""},
		{"while_executing", "dead", "", queue.Kill(nil), "", "one:RUN", ""},
		{"while_executing_reject", "done", "", nil, "", "one:RUN", ""},
		{"until_and_while_executing", "done", "", nil, "one", "one:RUN", ""},
		{"until_and_while_executing", "retried", "", failure, "one", "one:RUN", "one"},
		{"until_and_while_executing", "put off", "", queue.Snooze(time.Hour), "one", "one:RUN",
			"one"},
		{"a kind of somebody else", "done", "", nil, "one", "one", "one"},
	} {
		t.Run(fmt.Sprint("a lock ", x.kind, " of a job that is ", x.end), func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.ruby("one", x.kind, x.fields)
			b.same("held while it waits", b.both(), x.waits)
			b.work(func(context.Context, *queue.Job) error {
				b.same("held while it runs", b.both(), x.runs)
				return x.err
			})
			b.settled()
			b.same("held after it", b.both(), x.left)
			if x.left == "" {
				b.same("the keys that are left", b.lockKeys(), "")
			}
		})
	}
}

// both returns the holders of the lock, and those of its runtime lock with ":RUN".
func (b *bench) both() string {
	held := b.holders(digest)
	if run := b.holders(digest + ":RUN"); run != "" {
		held += run + ":RUN"
	}
	return held
}

func TestConflicts(t *testing.T) {
	t.Parallel()
	for _, x := range []struct{ name, kind, fields, where string }{
		{"runs later", "while_executing", "", "schedule"},
		{"runs later, as it says", "while_executing", `,"on_conflict":"reschedule"`, "schedule"},
		{"fails", "while_executing", `,"on_conflict":"raise"`, "retry"},
		{"fails on the server", "while_executing",
			`,"on_conflict":{"client":"log","server":"raise"}`, "retry"},
		{"dies", "while_executing", `,"on_conflict":"reject"`, "dead"},
		{"dies by its kind", "while_executing_reject", `,"on_conflict":"log"`, "dead"},
		{"is dropped with a line in the log", "while_executing", `,"on_conflict":"log"`, ""},
		{"keeps the lock with which it waits", "until_and_while_executing", "", "schedule"},
	} {
		t.Run("a job whose runtime lock is held "+x.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.raw.HSet(t.Context(), digest+":RUN:LOCKED", "other", "1764380000.1")
			b.ruby("one", x.kind, x.fields)
			before := b.holders(digest)
			b.work(func(context.Context, *queue.Job) error { t.Error("it ran"); return nil })
			b.settled()
			for _, set := range []string{"schedule", "retry", "dead"} {
				b.same("in the set "+set, b.raw.ZCard(t.Context(), set).Val() == 1, set == x.where)
			}
			b.same("the holder of the runtime lock", b.holders(digest+":RUN"), "other")
			b.same("the holder of the other lock", b.holders(digest), before)
			if x.where == "schedule" {
				raw := b.raw.ZRange(t.Context(), "schedule", 0, 0).Val()[0]
				_, failed := must(envelope.ParseJob(raw)).RetryCount()
				b.same("whether an attempt was counted", failed, false)
			}
		})
	}
	t.Run("a job without its lock runs, and takes it", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.waits("one", "until_executed", "")
		b.work(func(context.Context, *queue.Job) error {
			b.same("held", b.both(), "one")
			return nil
		})
		b.settled()
		b.same("the keys that are left", b.lockKeys(), "")
	})
	t.Run("a job whose lock another job holds runs, and leaves the lock", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.take("other")
		b.waits("one", "until_executed", "")
		ran := make(chan bool, 1)
		b.work(func(context.Context, *queue.Job) error { ran <- true; return nil })
		<-ran
		b.settled()
		b.same("held", b.both(), "other")
	})
}

func must(j *queue.Job, err error) *queue.Job {
	if err != nil {
		panic(err)
	}
	return j
}

// dies fetches a job as a worker whose lease then ends, which another process has seen.
func (b *bench) dies() {
	b.Helper()
	o := b.store.Owner("elsewhere:1:x")
	if err := o.Register(b.Context(), queue.Host{Name: "elsewhere", PID: 1}, []string{"a"},
		time.Minute); err != nil {
		b.Fatal(err)
	}
	got, err := o.Fetch(b.Context(), queue.FetchRequest{Queues: []string{"a"}, Want: 1,
		First: b.store.Tokens(1)})
	if err != nil || len(got.Jobs) != 1 {
		b.Fatal(got, err)
	}
	leases, err := b.store.Leases(b.Context())
	if err != nil || len(leases) != 1 {
		b.Fatal(leases, err)
	}
	if fenced, err := b.store.Fence(b.Context(), leases[0]); !fenced || err != nil {
		b.Fatal(fenced, err)
	}
}

func TestRuntimeLock(t *testing.T) {
	t.Parallel()
	t.Run("lets as many jobs run as its limit says", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		for i := range 3 {
			b.ruby(fmt.Sprint(i), "while_executing", `,"lock_limit":2`)
		}
		release := make(chan bool)
		b.work(func(context.Context, *queue.Job) error { <-release; return nil })
		b.until("two run and one waits", func() bool {
			return b.raw.ZCard(t.Context(), "schedule").Val() == 1 &&
				b.raw.HLen(t.Context(), digest+":RUN:LOCKED").Val() == 2
		})
		close(release)
		b.settled()
		b.same("the keys that are left", b.lockKeys(), "")
	})
	t.Run("of a worker that died is free when its job goes back", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.ruby("one", "while_executing", "")
		b.dies()
		b.raw.HSet(t.Context(), digest+":RUN:LOCKED", "one", "1764380000.1")
		done := make(chan bool, 1)
		b.work(func(context.Context, *queue.Job) error { done <- true; return nil })
		<-done
		b.settled()
		b.same("the keys that are left", b.lockKeys(), "")
	})
}
