package acceptance

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/harness"
)

func TestOrder(t *testing.T) {
	t.Parallel()
	beside(t, "one thread runs Ruby's jobs in strict order", testOneThread)
	beside(t, "with many threads, no job starts while a higher queue has jobs", testManyThreads)
}

// rubyPushes pushes n ledger jobs to each of the four queues from Ruby, the least important queue
// first, and starts a worker. It returns the ids of the jobs, QUEUE-NUMBER, in the order of their
// starts.
func rubyPushes(s *harness.Site, n, milliseconds int, threads string) (order []string) {
	s.Helper()
	var jobs [][]any
	for _, q := range slices.Backward(fourQueues) {
		for k := range n {
			jobs = append(jobs, []any{q, "Test::Ledger",
				[]any{s.LedgerPath(), fmt.Sprintf("%s-%d", q, k), milliseconds}})
		}
	}
	var jids []string
	s.Ruby().Do(&jids, `q[0].map { |queue, klass, args|
		Sidekiq::Client.push("queue" => queue, "class" => klass, "args" => args) }`, jobs)
	s.Equal("jobs that Ruby pushed", len(jids), 4*n)
	w := s.Worker("-c", threads)
	s.Until(30*time.Second, "all jobs have run", func() bool {
		_, ends, _ := s.Ledger()
		return len(ends) == 4*n
	})
	s.Contains("log", w.Log(), "mode=strict")
	_, _, order = s.Ledger()
	return order
}

func testOneThread(s *harness.Site) {
	order := rubyPushes(s, 250, 0, "1")
	for i, id := range order {
		if want := fmt.Sprintf("%s-%d", fourQueues[i/250], i%250); id != want {
			s.Fatalf("place %d: %s, want %s", i, id, want)
		}
	}
}

func testManyThreads(s *harness.Site) {
	const threads = 15
	order := rubyPushes(s, 250, 2, fmt.Sprint(threads))
	// One fetch can bring the last jobs of a queue and the first of the next. These start in any
	// order. So fewer jobs of higher queues than there are threads may start later.
	rank := func(id string) int {
		q, _, _ := strings.Cut(id, "-")
		return slices.Index(fourQueues, q)
	}
	for i, id := range order {
		higher := 0
		for _, later := range order[i+1:] {
			if rank(later) < rank(id) {
				higher++
			}
		}
		if higher >= threads {
			s.Fatalf("%s started before %d jobs of higher queues", id, higher)
		}
	}
}
