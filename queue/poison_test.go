package queue_test

import (
	"fmt"
	"testing"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// crash lets a new owner fetch n jobs, run them all, and die. A single job runs alone.
func (f *fixture) crash(identity string, n int) queue.Reclaimed {
	f.Helper()
	f.owner = f.newOwner(identity)
	jobs := f.fetch(n)
	if len(jobs) != n {
		f.Fatalf("%d jobs in flight, want %d", len(jobs), n)
	}
	if n == 1 {
		if err := f.owner.Alone(f.Context(), jobs[0]); err != nil {
			f.Fatal(err)
		}
	}
	for _, d := range jobs {
		if err := f.owner.Beside(f.Context(), d); n > 1 && err != nil {
			f.Fatal(err)
		}
	}
	return f.reclaim(f.owner, poison)
}

func TestPoison(t *testing.T) {
	t.Run("is a job that was alone in the last of three crashes", func(t *testing.T) {
		f := newFixture(t)
		f.push("a", 1)
		for i := 1; i <= 3; i++ {
			if got := f.crash(fmt.Sprint("h:2:", i), 1); (len(got.Poisoned) == 1) != (i == 3) {
				t.Errorf("crash %d: %+v", i, got)
			}
		}
		f.at("dead=1")
		j := f.page(inspect.New(f.store).DeadSet(), 1)[0].Job
		want := "3 workers died with this job in flight, within 1h0m0s: it was not run again"
		same(t, "the reason", j.String("error_message"), want)
		if _, failed := j.RetryCount(); failed {
			t.Error("a crash counted as a retry")
		}
	})
	t.Run("is a job that was never alone only after nine crashes", func(t *testing.T) {
		f := newFixture(t)
		f.push("a", 2)
		for i := 1; i <= 8; i++ {
			if got := f.crash(fmt.Sprint("h:2:", i), 2); len(got.Poisoned) > 0 {
				t.Errorf("crash %d: %+v", i, got)
			}
		}
		f.at("queue:a=2")
		same(t, "the number of jobs after crash 9", len(f.crash("h:2:9", 2).Poisoned), 2)
	})
}
