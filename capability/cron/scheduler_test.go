package cron

import (
	"testing"
	"time"
)

func TestScheduler(t *testing.T) {
	f := newFixture(t)
	t.Run("pushes the job of each slot once", func(t *testing.T) {
		stop := f.run(f.scheduler(nil, secondly("one")))
		f.until(10*time.Second, "three jobs are there", func() bool {
			return len(f.jobs("default")) >= 3
		})
		stop()
		var last int64
		for _, j := range f.jobs("default") {
			same(t, "class", j.Class, "Job")
			slot, _ := j.Int("kyu")
			_ = slot
			if at := j.Time("enqueued_at").Unix(); at <= last {
				t.Errorf("a job at %d after one at %d", at, last)
			} else {
				last = at
			}
		}
	})
}
