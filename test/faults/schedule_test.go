package faults

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/faultproxy"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/redis/go-redis/v9"
)

// populate adds n jobs to a sorted set. They become due one after the other between two times.
func populate(t *testing.T, s *harness.Site, set string, n int, from, to time.Time,
	payload func(i int, due time.Time) string) {
	t.Helper()
	step := to.Sub(from) / time.Duration(n)
	for at := 0; at < n; at += 5000 {
		var batch []redis.Z
		for i := at; i < min(at+5000, n); i++ {
			due := from.Add(time.Duration(i) * step)
			batch = append(batch, redis.Z{Score: float64(due.UnixMicro()) / 1e6,
				Member: payload(i, due)})
		}
		if err := s.Raw.ZAdd(t.Context(), set, batch...).Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// measureFetches fetches from an empty queue at an interval until stop is called. stop returns the
// times that the fetches took.
func measureFetches(t *testing.T, s *harness.Site,
	every time.Duration) (stop func() []time.Duration) {
	t.Helper()
	o := s.Store.Owner(fmt.Sprint("probe:1:", time.Now().UnixNano()))
	if err := o.Register(t.Context(), queue.Host{Name: "probe"}, []string{"probe"},
		time.Hour); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	out := make(chan []time.Duration)
	go func() {
		var took []time.Duration
		for ctx.Err() == nil {
			began := time.Now()
			if _, err := o.Fetch(context.WithoutCancel(ctx), queue.FetchRequest{
				Queues: []string{"probe"}, Want: 1, First: s.Store.Tokens(1)}); err == nil {
				took = append(took, time.Since(began))
			}
			<-time.After(every)
		}
		out <- took
	}()
	return func() []time.Duration {
		cancel()
		took := <-out
		o.Leave(context.Background(), queue.Host{Name: "probe"}, []string{"probe"})
		return took
	}
}

// slowCalls reads Redis's slow log. It returns how many calls of a script it has, and the longest.
func slowCalls(t *testing.T, s *harness.Site, script string) (n int, longest time.Duration) {
	t.Helper()
	log, err := s.Raw.SlowLogGet(t.Context(), 1000).Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range log {
		if len(e.Args) > 1 && strings.ToLower(e.Args[0]+" "+e.Args[1]) == script {
			n, longest = n+1, max(longest, e.Duration)
		}
	}
	return n, longest
}

func TestDueRetries(t *testing.T) {
	t.Run("are promoted in small steps", promoteRetries)
}

func promoteRetries(t *testing.T) {
	row := scores(t, 21)
	s := harness.New(t, "--slowlog-log-slower-than", "5000", "--slowlog-max-len", "1000")
	l := newLedger(s)
	n := bySize(5_000, 100_000)
	due := time.Now().Add(-time.Second)
	populate(t, s, "retry", n, due, due, func(i int, _ time.Time) string {
		id := fmt.Sprint(i)
		l.intend(id)
		l.acknowledge(id)
		return fmt.Sprintf(`{"class":"Test::Ledger","queue":"%s","jid":"%s",`+
			`"args":["%s","%s",0],"retry":3,"retry_count":0,"created_at":%d.5,`+
			`"error_message":"once"}`,
			fourQueues[i%4], id, l.path, id, due.Unix())
	})
	probe := measureFetches(t, s, time.Millisecond)
	for range 3 {
		s.Worker("-c", "15", "--log-level", "warn", "-C", pollConfig(s, 0.2))
	}
	s.Until(30*time.Second, "promotion begins", func() bool { return s.Card("retry") < int64(n) })
	began, left := time.Now(), s.Card("retry")
	s.Until(2*time.Minute, "all are promoted", func() bool { return s.Card("retry") == 0 })
	rate := float64(left) / max(time.Since(began).Seconds(), 0.001)
	took := probe()
	s.Settled(2 * time.Minute)
	v := l.check(t, s)
	if v.Duplicates > 0 {
		t.Errorf("%d jobs ended twice", v.Duplicates)
	}
	over, longest := slowCalls(t, s, faultproxy.Script("promote"))
	row("%d due at once, 3 workers running them: %.0f promoted/s, promote scripts over 5 ms: %d "+
		"(longest %.1f ms); fetch meanwhile p50 %.2f ms, p99 %.1f ms; lost 0, ended twice %d",
		n, rate, over, longest.Seconds()*1e3, percentile(took, 0.5).Seconds()*1e3,
		percentile(took, 0.99).Seconds()*1e3, v.Duplicates)
}

func TestScheduledJobs(t *testing.T) {
	t.Run("run within 1 s of their time among many others", runOnTime)
	t.Run("survive kills during their promotion", killDuringPromotion)
}

func runOnTime(t *testing.T) {
	row := scores(t, 22)
	s := harness.New(t)
	n, dueOnes := bySize(20_000, 1_000_000), bySize(200, 10_000)
	later := time.Now().Add(24 * time.Hour)
	populate(t, s, "schedule", n, later, later.Add(time.Hour), func(i int, _ time.Time) string {
		return fmt.Sprintf(`{"class":"Test::NoOp","queue":"default","jid":"later%d","args":[]}`, i)
	})
	path := filepath.Join(s.Dir, "lags")
	from := time.Now().Add(2 * time.Second)
	populate(t, s, "schedule", dueOnes, from, from.Add(bySize(2*time.Second, 20*time.Second)),
		func(i int, due time.Time) string {
			return fmt.Sprintf(`{"class":"Test::Stamp","queue":"default","jid":"due%d",`+
				`"args":["%s",%d]}`, i, path, due.UnixMicro())
		})
	for range 3 {
		s.Worker("-c", "15", "--log-level", "warn", "-C", pollConfig(s, 0.5))
	}
	s.Until(2*time.Minute, "all due jobs have run",
		func() bool { return s.Card("schedule") == int64(n) && s.Waiting()+s.InFlight() == 0 })
	lags := stamps(t, path)
	if len(lags) != dueOnes {
		t.Errorf("%d of %d due jobs ran", len(lags), dueOnes)
	}
	p99 := percentile(lags, 0.99)
	if p99 > time.Second {
		t.Errorf("jobs ran %v late (p99), want 1 s at most", p99)
	}
	row("%d scheduled, %d due: late by p50 %.2f s, p99 %.2f s, with a look every 0.5 s by each "+
		"of 3 workers", n, dueOnes, percentile(lags, 0.5).Seconds(), p99.Seconds())
}

func killDuringPromotion(t *testing.T) {
	row := scores(t, 22)
	kills := 0
	for _, point := range []string{"promote_before", "promote_sent"} {
		killAt(t, point, bySize(2, 250))
		kills += bySize(2, 250)
	}
	row("promotion killed %d times: lost 0", kills)
}

// stamps reads the file of the Test::Stamp jobs, and returns how late each ran.
func stamps(t *testing.T, path string) (lags []time.Duration) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		us, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		lags = append(lags, time.Duration(us)*time.Microsecond)
	}
	return lags
}
