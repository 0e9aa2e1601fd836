package faults

import (
	"context"
	"time"

	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/harness"
)

// supervisor starts a program again when it has died.
type supervisor struct {
	site   *harness.Site
	start  func() *harness.Process
	now    *harness.Process
	deaths int
}

func supervise(s *harness.Site, start func() *harness.Process) *supervisor {
	return &supervisor{site: s, start: start, now: start()}
}

// until waits until cond is true. Meanwhile it starts the program again when that has died.
func (v *supervisor) until(limit time.Duration, what string, cond func() bool) {
	v.site.Helper()
	v.site.Until(limit, what, func() bool {
		select {
		case <-v.now.Done:
			v.deaths++
			v.now = v.start()
		default:
		}
		return cond()
	})
}

// untilDead waits until n jobs are dead, and no job waits or is in flight.
func (v *supervisor) untilDead(limit time.Duration, n int) {
	s := v.site
	s.Helper()
	v.until(limit, "the poison jobs are dead and the other jobs have run", func() bool {
		return s.Card("dead") == int64(n) && s.Waiting()+s.InFlight() == 0
	})
}

// classes counts the entries of a set by class.
func classes(s *harness.Site, set string) map[string]int {
	counts := map[string]int{}
	for _, raw := range s.Raw.ZRange(context.Background(), set, 0, -1).Val() {
		if j, err := envelope.ParseJob(raw); err == nil {
			counts[j.Class]++
		} else {
			counts["?"]++
		}
	}
	return counts
}

// onlyDead checks that the dead set holds n jobs of a class and no other job.
func onlyDead(s *harness.Site, class string, n int) {
	s.Helper()
	if got := classes(s, "dead"); got[class] != n || len(got) != 1 {
		s.Errorf("the dead set has %v, want %d of %s and no other job", got, n, class)
	}
}
