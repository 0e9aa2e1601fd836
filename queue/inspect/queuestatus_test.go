package inspect_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// statuses are the queues by name.
func (f *fixture) statuses() map[string]inspect.QueueStatus {
	f.Helper()
	list, err := f.in.QueueStatus(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	byName := map[string]inspect.QueueStatus{}
	for _, q := range list {
		byName[q.Name] = q
	}
	return byName
}

// state checks a queue: its state, its threads, those that run its jobs, and its jobs in flight.
func (f *fixture) state(q inspect.QueueStatus, want string) {
	f.Helper()
	got := fmt.Sprintf("%s: %s %d %d/%d %d", q.Name, q.State(), len(q.Processes), q.Busy, q.Threads,
		q.InFlight)
	same(f, "the queue", got, want)
}

func TestQueueStatus(t *testing.T) {
	f := newFixture(t)
	f.publish()
	for _, q := range []string{"a", "b", "c", "d"} {
		f.push(q, 1)
	}
	f.store.Pause(t.Context(), "d")
	f.raw.HSet(t.Context(), "kyu:{queue:a}:inflight:h:1:a", "1", "x", "2", "y")
	got := f.statuses()
	t.Run("has the threads of a worker of Kyu, and its jobs in flight", func(t *testing.T) {
		f.sub(t).state(got["a"], "a:  1 1/8 2")
	})
	t.Run("says that all processes are quiet, and does not count their threads",
		func(t *testing.T) { f.sub(t).state(got["b"], "b: quiet 0 0/0 0") })
	t.Run("says that no process serves a queue", func(t *testing.T) {
		f.sub(t).state(got["c"], "c: unserved 0 0/0 0")
		f.sub(t).state(got["d"], "d: paused 0 0/0 0")
	})
	t.Run("counts a process of Ruby", func(t *testing.T) {
		f := f.sub(t)
		f.raw.HSet(t.Context(), "r:8:x", "quiet", "false")
		f.state(f.statuses()["b"], "b:  1 1/3 0")
	})
	t.Run("counts the threads of the capsules that serve a queue", func(t *testing.T) {
		f := f.sub(t)
		f.raw.HSet(t.Context(), "r:8:x", "info", `{"queues":["b","c"],"capsules":{
			"default":{"concurrency":5,"weights":{"b":0}},
			"slow":{"concurrency":2,"weights":{"b":1,"c":1}}}}`)
		f.state(f.statuses()["b"], "b:  1 1/7 0")
		f.state(f.statuses()["c"], "c:  1 0/2 0")
	})
	t.Run("knows no rates without history", func(t *testing.T) {
		if a := got["a"]; a.In != nil || a.Out != nil || a.Empty != nil {
			t.Errorf("%+v", a)
		}
	})
}

// TestQueueStatusTrips reads a fleet of 60 processes that serve 20 queues.
func TestQueueStatusTrips(t *testing.T) {
	f := newFixture(t)
	var names []string
	for i := range 20 {
		names = append(names, fmt.Sprint("q", i))
		f.push(names[i], 1)
	}
	for i := range 60 {
		o := f.store.Owner(fmt.Sprintf("h:%d:x", i))
		if err := o.Register(t.Context(), queue.Host{Name: "h"}, names, time.Minute); err != nil {
			t.Fatal(err)
		}
		if _, err := o.Publish(t.Context(), queue.ProcessRecord{Identity: o.Identity,
			Concurrency: 5, Capsules: []queue.CapsuleRecord{{Name: "default", Concurrency: 5,
				Queues: names}}}, queue.Counts{}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	f.raw.Set(t.Context(), "kyu:{queue:q3}:inflight:h:3:x", "of another program", 0)
	f.statuses() // loads the script
	before := f.stat("total_reads_processed")
	got := f.statuses()
	trips := f.stat("total_reads_processed") - before
	t.Run("takes a few round trips", func(t *testing.T) {
		if trips > 30 { // a long request may be read in several parts
			t.Errorf("%d reads", trips)
		}
	})
	t.Run("counts all processes, in spite of a key of a wrong type", func(t *testing.T) {
		q := got["q3"]
		same(t, "Threads", q.Threads, 300)
		same(t, "Processes", len(q.Processes), 60)
		same(t, "order", strings.Join(q.Processes, " "),
			strings.Join(slices.Sorted(slices.Values(q.Processes)), " "))
	})
}
