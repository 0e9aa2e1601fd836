package acceptance

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/pgtest"
)

const (
	deadHosts  = 10
	deadShare  = 0.05
	answerTime = 20 * time.Millisecond
	feedAhead  = 2000 // jobs in the queue
	window     = 20 * time.Second
)

// BenchmarkDeliveriesWithDeadHosts measures the deliveries that a worker with 25 threads makes to
// hosts that answer in 20 ms. In the second and third case, one delivery in twenty goes to one of
// ten hosts that accept the connection and do not answer. The third case has no breakers and
// limits. make bench-deadhosts runs it.
func BenchmarkDeliveriesWithDeadHosts(b *testing.B) {
	base := 0.0
	for _, c := range []struct {
		name string
		dead float64
		env  string
	}{{"none dead", 0, ""}, {"5% dead", deadShare, ""}, {"5% dead, no breakers", deadShare,
		"TEST_NO_BREAKERS"}} {
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				rate := deliveries(b, c.dead, c.env)
				if base == 0 {
					base = rate
				}
				b.ReportMetric(rate, "deliveries/s")
				b.ReportMetric(100*rate/base, "%ofnonedead")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// deliveries measures one case.
func deliveries(b *testing.B, dead float64, env string) float64 {
	s := harness.New(b)
	url := pgtest.Start(b)
	migrate(s, url)
	_, key := newKey(b)
	pgtest.Exec(b, url, "INSERT INTO accounts (id, username, private_key) VALUES (1, 'alice', $1)",
		key)
	var answered atomic.Int64
	inbox := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-time.After(answerTime)
		answered.Add(1)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer inbox.Close()
	silent := silence(b)
	s.WorkerWith([]string{"DATABASE_URL=" + url, "ALLOWED_PRIVATE_ADDRESSES=127.0.0.0/8",
		cmp.Or(env, "KYU") + "=1"}, "-c", "25", "-q", "push", "--log-level", "warn")
	ctx, stop := context.WithCancel(context.Background())
	var feeding sync.WaitGroup
	feeding.Go(func() { feed(ctx, s, dead, inbox.URL, silent) })
	defer feeding.Wait()
	defer stop()
	if dead > 0 && env == "" {
		s.Until(5*time.Minute, "all breakers are open", func() bool {
			open := 0
			for i := range deadHosts {
				if s.Raw.HExists(ctx, fmt.Sprintf("kyu:breaker:127.0.2.%d", i+1), "cool").Val() {
					open++
				}
			}
			return open == deadHosts
		})
	}
	<-time.After(10 * time.Second) // until the rate is steady
	before, start := answered.Load(), time.Now()
	<-time.After(window)
	return float64(answered.Load()-before) / time.Since(start).Seconds()
}

// silence accepts connections on a port and does not answer. It returns the port.
func silence(b *testing.B) (port string) {
	l, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		var held []net.Conn
		for {
			conn, err := l.Accept()
			if err != nil {
				for _, c := range held {
					c.Close()
				}
				return
			}
			held = append(held, conn)
		}
	}()
	_, port, _ = net.SplitHostPort(l.Addr().String())
	return port
}

// feed keeps the queue filled.
func feed(ctx context.Context, s *harness.Site, dead float64, inbox, silentPort string) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var jobs [][]any
		for range feedAhead - int(s.Len("push")) {
			to := inbox + "/inbox"
			if rand.Float64() < dead {
				to = fmt.Sprintf("http://127.0.2.%d:%s/inbox",
					rand.IntN(deadHosts)+1, silentPort)
			}
			jobs = append(jobs, []any{`{"type":"Create"}`, 1, to})
		}
		s.Client.PushBulk(ctx, "ActivityPub::DeliveryWorker", jobs, queue.Options{Queue: "push"})
	}
}
