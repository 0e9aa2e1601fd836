package acceptance

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

var fourQueues = []string{"default", "push", "mailers", "pull"}

// rubyPushes pushes n ledger jobs to each of the four queues from Ruby, the least
// important first. Ids are queue-number.
func rubyPushes(s *site, n int, ms int) {
	s.Helper()
	var jobs [][]any
	for i := len(fourQueues) - 1; i >= 0; i-- {
		for k := range n {
			jobs = append(jobs, []any{fourQueues[i], "Test::Ledger", []any{s.ledgerPath(), fmt.Sprintf("%s-%d", fourQueues[i], k), ms}})
		}
	}
	var jids []string
	s.ruby().ask(&jids, map[string]any{"op": "push", "jobs": jobs})
	if len(jids) != 4*n {
		s.Fatalf("ruby pushed %d jobs", len(jids))
	}
}

func TestRubysJobsRunInStrictOrderOneByOne(t *testing.T) {
	s := newSite(t)
	rubyPushes(s, 250, 0)
	w := s.worker("-c", "1")
	s.until(30*time.Second, "1,000 jobs have run", func() bool { _, ends, _ := s.ledger(); return len(ends) == 1000 })
	_, _, order := s.ledger()
	var want []string
	for _, q := range fourQueues {
		for k := range 250 {
			want = append(want, fmt.Sprintf("%s-%d", q, k))
		}
	}
	for i := range want {
		if order[i] != want[i] {
			t.Fatalf("place %d: %s, want %s", i, order[i], want[i])
		}
	}
	if !w.says("mode=strict") {
		t.Error("the mode is not printed at boot")
	}
}

func TestWithManyThreadsNoLowerQueueStartsWhileAHigherOneHasJobs(t *testing.T) {
	s := newSite(t)
	rubyPushes(s, 250, 2)
	s.worker("-c", "15")
	s.until(30*time.Second, "1,000 jobs have run", func() bool { _, ends, _ := s.ledger(); return len(ends) == 1000 })
	_, _, order := s.ledger()
	rank := map[string]int{}
	for i, q := range fourQueues {
		rank[q] = i
	}
	// Jobs of two queues can come in one fetch, the last of the higher and the
	// first of the lower, and then start in any order: so of the higher queues
	// fewer than 15 may be left.
	for i, id := range order {
		q, _, _ := strings.Cut(id, "-")
		after := 0
		for _, later := range order[i+1:] {
			if lq, _, _ := strings.Cut(later, "-"); rank[lq] < rank[q] {
				after++
			}
		}
		if after >= 15 {
			t.Fatalf("%s started while %d jobs of higher queues had not", id, after)
		}
	}
}
