package acceptance

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/harness"
)

var fourQueues = []string{"default", "push", "mailers", "pull"}

// rubyPushes pushes n ledger jobs to each of the four queues from Ruby, the least
// important first. Ids are queue-number.
func rubyPushes(s *harness.Site, n int, ms int) {
	s.Helper()
	var jobs [][]any
	for i := len(fourQueues) - 1; i >= 0; i-- {
		for k := range n {
			jobs = append(jobs, []any{fourQueues[i], "Test::Ledger",
				[]any{s.LedgerPath(), fmt.Sprintf("%s-%d", fourQueues[i], k), ms}})
		}
	}
	var jids []string
	s.Ruby().Do(&jids, `q[0].map { |queue, klass, args|
		Sidekiq::Client.push("queue" => queue, "class" => klass, "args" => args) }`, jobs)
	if len(jids) != 4*n {
		s.Fatalf("ruby pushed %d jobs", len(jids))
	}
}

func TestRubysJobsRunInStrictOrderOneByOne(t *testing.T) {
	s := harness.New(t)
	rubyPushes(s, 250, 0)
	w := s.Worker("-c", "1")
	s.Until(30*time.Second, "1,000 jobs have run", func() bool {
		_, ends, _ := s.Ledger()
		return len(ends) == 1000
	})
	_, _, order := s.Ledger()
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
	if !w.Says("mode=strict") {
		t.Error("the mode is not printed at boot")
	}
}

func TestWithManyThreadsNoLowerQueueStartsWhileAHigherOneHasJobs(t *testing.T) {
	s := harness.New(t)
	rubyPushes(s, 250, 2)
	s.Worker("-c", "15")
	s.Until(30*time.Second, "1,000 jobs have run", func() bool {
		_, ends, _ := s.Ledger()
		return len(ends) == 1000
	})
	_, _, order := s.Ledger()
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
