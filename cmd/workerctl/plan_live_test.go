package main

import (
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

func TestLoadsOf(t *testing.T) {
	l := loadsOf([]inspect.ClassTotals{
		{Class: "Deliver", Processed: 3600, Failed: 600, Millis: 1_500_000},
		{Class: "Other", Processed: 3600, Millis: 0}, {Class: "Strange", Processed: 9},
		{Class: "Fails", Processed: 36, Failed: 36},
	}, map[string]string{"Deliver": "push", "Other": "push", "Fails": "pull"}, time.Hour)
	t.Run("adds the classes of a queue, with the mean of successful runs", func(t *testing.T) {
		want := loads{{"pull", 0.01, 100 * time.Millisecond}, {"push", 2, 227 * time.Millisecond}}
		if len(l.loads) != 2 || l.loads[0] != want[0] || l.loads[1].Rate != 2 ||
			l.loads[1].Mean.Truncate(time.Millisecond) != want[1].Mean {
			t.Errorf("%+v, want %+v", l.loads, want)
		}
	})
	t.Run("names the classes whose queue is not known", func(t *testing.T) {
		if len(l.missing) != 1 || l.missing[0] != "Strange" {
			t.Error(l.missing)
		}
	})
}

func TestPlanLive(t *testing.T) {
	s := withRedis(t)
	t.Run("wants a job that ran", func(t *testing.T) {
		s.of(t).fails(1, "no job ran in the last 1h0m0s", "plan --live")
	})
	m := &queue.ClassMetrics{}
	for range 3600 {
		m.Add(500*time.Millisecond, false)
	}
	ran := map[string]*queue.ClassMetrics{"Deliver": m, "Strange": m}
	if err := s.redis.Store().FlushMetrics(t.Context(), ran, time.Now()); err != nil {
		t.Fatal(err)
	}
	s.ok("", "push Deliver --queue push")
	t.Run("plans for the load of the fleet", func(t *testing.T) {
		s.of(t).ok("1 x 0.5 s / 0.7 = 0.7", "plan --live")
		s.of(t).ok("not counted, because no job shows their queue: Strange", "plan --live")
	})
	t.Run("takes what is typed before it", func(t *testing.T) {
		s.of(t).ok("30 x 0.5 s / 0.7 = 21.4", "plan --live --rate push=30")
		s.of(t).ok("2 x 0.1 s / 0.7 = 0.3", "plan --live --rate pull=2")
	})
	t.Run("refuses a time without metrics", func(t *testing.T) {
		s.of(t).fails(2, "--since 100h0m0s: want more than 0 and at most 72h",
			"plan --live --since 100h")
	})
}
