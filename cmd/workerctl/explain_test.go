package main

import (
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

func TestExplain(t *testing.T) {
	s := withRedis(t)
	_, err := s.redis.Store().Owner("h:1:one").Publish(t.Context(), queue.ProcessRecord{
		Identity: "h:1:one", Concurrency: 15, StartedAt: time.Now(),
		Capsules: []queue.CapsuleRecord{{Name: "default", Concurrency: 15,
			Mode: "strict", Weights: map[string]int{"default": 0, "pull": 0},
			Queues: []string{"default", "pull"}, Floors: map[string]queue.FloorRecord{
				"pull": {Share: 0.05, Max: 3}}}}}, queue.Counts{Flush: 1}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("says what each queue gets, in order", func(t *testing.T) {
		out := strings.Join(strings.Fields(s.of(t).ok("", "explain")), " ")
		want := "h:1:one default 15 strict default 0 0s all jobs but 5 % for floors, while it " +
			"has jobs h:1:one default 15 strict pull 0 0s what default leave; at least 5 % of " +
			"the jobs; at most 3 threads"
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	})
	t.Run("shows one queue, also as JSON", func(t *testing.T) {
		out := s.of(t).ok(`"floor":{"share":0.05,"max":3}`, "explain pull -o jsonl")
		if strings.Contains(out, `"queue":"default"`) {
			t.Error(out)
		}
	})
	t.Run("refuses a queue of which no process takes jobs", func(t *testing.T) {
		s.of(t).fails(1, "did you mean pull", "explain pul")
	})
}
