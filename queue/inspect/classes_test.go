package inspect_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// classes lets a process of Ruby run jobs of two classes, and writes the runs of two.
func (f *fixture) classes() {
	f.Helper()
	now := time.Now()
	byClass := map[string]*queue.ClassMetrics{"Fast": {}, "Wrapped": {}}
	for range 10 {
		byClass["Fast"].Add(time.Second, false)
	}
	byClass["Fast"].Add(time.Hour, true)
	byClass["Wrapped"].Add(30*time.Second, false)
	if err := f.store.FlushMetrics(f.Context(), byClass, now); err != nil {
		f.Fatal(err)
	}
	f.raw.SAdd(f.Context(), "processes", "r:1:x")
	f.raw.HSet(f.Context(), "r:1:x", "info", `{"queues":["a"],"concurrency":9}`)
	runs := func(class, jid string, since time.Duration) {
		payload := fmt.Sprintf(`{"class":"Sidekiq::ActiveJob::Wrapper","wrapped":%q,"jid":%q,`+
			`"args":[{"job_class":%q,"arguments":[]}]}`, class, jid, class)
		f.raw.HSet(f.Context(), "r:1:x:work", jid, fmt.Sprintf(
			`{"queue":"a","run_at":%d,"payload":%q}`, now.Add(-since).Unix(), payload))
	}
	runs("Wrapped", "young", 0)
	runs("Wrapped", "old", 20*time.Second)
	runs("Endless", "e", 2*time.Hour)
}

func TestClasses(t *testing.T) {
	f := newFixture(t)
	f.classes()
	list, err := f.in.Classes(t.Context(), time.Minute)
	if err != nil || len(list) != 3 {
		t.Fatalf("%+v %v", list, err)
	}
	endless, wrapped, fast := list[0], list[1], list[2]
	t.Run("have the threads that run their jobs now", func(t *testing.T) {
		same(t, "Threads", wrapped.Threads, 2)
		same(t, "AllThreads", wrapped.AllThreads, 9)
		same(t, "OldestJID", wrapped.OldestJID, "old")
		same(t, "the other class's Threads", fast.Threads, 0)
	})
	t.Run("have the runs of the time", func(t *testing.T) {
		same(t, "Runs", fast.Runs, 11)
		same(t, "Failures", fast.Failures, 1)
		same(t, "Mean", fast.Mean, 1)
		same(t, "Time", fast.Time, 10)
	})
	t.Run("have their shares of the thread time, with that of running jobs", func(t *testing.T) {
		same(t, "the first class", endless.Class, "Endless")
		same(t, "its time, which is that of the question", endless.Time, 60)
		for class, want := range map[float64]float64{endless.Share: 60, wrapped.Share: 50,
			fast.Share: 10} {
			if math.Abs(class-want/120) > 0.02 {
				t.Errorf("share %v, want %v", class, want/120)
			}
		}
	})
	t.Run("refuse a time without metrics", func(t *testing.T) {
		if _, err := f.in.Classes(t.Context(), 100*time.Hour); err == nil {
			t.Error("no error")
		}
	})
}
