package faults

import (
	"fmt"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
)

func TestLongQueue(t *testing.T) {
	t.Run("is fetched and shown as fast as a short one", measureLongQueue)
}

// timeFetches pushes jobs to the queue "long", takes 5,000 one by one, and returns the times of the
// fetches.
func timeFetches(t *testing.T, s *harness.Site, jobs int) (p50, p99 time.Duration) {
	t.Helper()
	for left := jobs; left > 0; left -= 500_000 {
		args := make([][]any, min(left, 500_000))
		for i := range args {
			args[i] = []any{i}
		}
		if _, err := s.Client.PushBulk(t.Context(), "Test::NoOp", args,
			queue.Options{Queue: "long"}); err != nil {
			t.Fatal(err)
		}
	}
	o := s.Store.Owner(fmt.Sprint("long:1:", jobs))
	s.Must(o.Register(t.Context(), queue.Host{Name: "long"}, []string{"long"}, time.Hour))
	var took []time.Duration
	var done []*queue.Delivery
	for range 5_000 {
		began := time.Now()
		got, err := o.Fetch(t.Context(), queue.FetchRequest{Queues: []string{"long"}, Want: 1,
			First: s.Store.Tokens(1), Done: done})
		if err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began))
		done = got.Own()
	}
	return percentile(took, 0.5), percentile(took, 0.99)
}

func measureLongQueue(t *testing.T) {
	row := scores(t, 23)
	s := harness.New(t)
	w := untilServing(s, s.Worker("-c", "5", "-q", "other", "--log-level", "info"))
	n := bySize(50_000, 10_000_000)
	before := memory(t, w.PID(), "VmRSS")
	_, short := timeFetches(t, s, 6_000)
	p50, long := timeFetches(t, s, n)
	began := time.Now()
	if out, code := s.Ctl("", "queue", "long"); code != 0 {
		t.Errorf("workerctl queue long: exit code %d: %s", code, out)
	}
	page := time.Since(began)
	row("%d jobs waiting: fetch and acknowledge p50 %.2f ms, p99 %.2f ms (short queue: p99 %.2f "+
		"ms); `workerctl queue` shows a page in %.0f ms; RSS of an idle worker beside it %+.0f %%",
		n, p50.Seconds()*1e3, long.Seconds()*1e3, short.Seconds()*1e3, page.Seconds()*1e3,
		100*(memory(t, w.PID(), "VmRSS")/before-1))
}
