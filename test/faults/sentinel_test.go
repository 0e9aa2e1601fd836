package faults

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
)

// sentinelSite is a primary, a replica, and three Sentinels.
type sentinelSite struct {
	*harness.Site
	servers   []*redistest.Server
	sentinels []string
	sentinel  *redis.Client // the first of the Sentinels
}

func newSentinelSite(t *testing.T) *sentinelSite {
	t.Helper()
	s := harness.New(t, "--repl-diskless-sync-delay", "0", "--repl-backlog-size", "32mb",
		"--repl-ping-replica-period", "1")
	w := &sentinelSite{Site: s, servers: []*redistest.Server{s.Server}}
	w.servers = append(w.servers, redistest.Start(t, "--replicaof", "127.0.0.1",
		port(s.Server.Addr), "--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"))
	for range 3 {
		p := strconv.Itoa(redistest.FreePort(t))
		dir := t.TempDir()
		file := filepath.Join(dir, "sentinel.conf")
		text := fmt.Sprintf("port %s\nbind 127.0.0.1\ndir %s\nsentinel monitor kyu 127.0.0.1 %s "+
			"2\nsentinel down-after-milliseconds kyu 1000\nsentinel failover-timeout kyu 4000\n", p,
			dir, port(s.Server.Addr))
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("redis-server", file, "--sentinel")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		w.sentinels = append(w.sentinels, "127.0.0.1:"+p)
	}
	w.sentinel = redis.NewClient(&redis.Options{Addr: w.sentinels[0], Protocol: 2})
	t.Cleanup(func() { w.sentinel.Close() })
	w.untilAgreed()
	return w
}

func port(addr string) string { _, p, _ := net.SplitHostPort(addr); return p }

// untilAgreed waits until the Sentinels know each other, the primary, and a replica that has all
// data.
func (w *sentinelSite) untilAgreed() {
	w.Helper()
	w.Until(60*time.Second, "primary, replica and Sentinels agree", func() bool {
		reply, err := w.sentinel.Do(context.Background(), "SENTINEL", "master", "kyu").StringSlice()
		if err != nil {
			return false
		}
		is := map[string]string{}
		for i := 0; i+1 < len(reply); i += 2 {
			is[reply[i]] = reply[i+1]
		}
		return is["flags"] == "master" && is["num-slaves"] == "1" &&
			is["num-other-sentinels"] == "2" && w.replicated()
	})
}

// replicated reports whether the primary's replica has all data.
func (w *sentinelSite) replicated() bool {
	c := redis.NewClient(&redis.Options{Addr: w.primary().Addr, Protocol: 2})
	defer c.Close()
	info := c.Info(context.Background(), "replication").Val()
	return strings.Contains(info, "role:master") && strings.Contains(info, "state=online")
}

// primary returns the server that the Sentinels name as the primary.
func (w *sentinelSite) primary() *redistest.Server {
	w.Helper()
	addr, err := w.sentinel.Do(context.Background(), "SENTINEL", "get-master-addr-by-name",
		"kyu").StringSlice()
	if err != nil || len(addr) != 2 {
		w.Fatalf("SENTINEL get-master-addr-by-name: %v %v", addr, err)
	}
	for _, s := range w.servers {
		if port(s.Addr) == addr[1] {
			return s
		}
	}
	w.Fatalf("the Sentinels name %v as the primary, and no server is there", addr)
	return nil
}

// failOver makes the replica the primary, and waits until the Sentinels name it. It returns the old
// primary.
func (w *sentinelSite) failOver(kill bool) (before *redistest.Server) {
	w.Helper()
	before = w.primary()
	if kill {
		before.Kill()
	} else {
		w.Until(20*time.Second, "a planned failover begins", func() bool {
			return w.sentinel.Do(context.Background(), "SENTINEL", "FAILOVER", "kyu").Err() == nil
		})
	}
	w.Until(60*time.Second, "the replica is the primary",
		func() bool { return w.primary() != before })
	return before
}

// producer opens a client that finds the primary by the Sentinels. It confirms a push when so many
// replicas have it.
func (w *sentinelSite) producer(replicas int) *queue.Client {
	w.Helper()
	store, err := queue.Open(context.Background(), queue.Config{Sentinels: w.sentinels,
		SentinelMaster: "kyu", WaitReplicas: replicas})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { store.Close() })
	return queue.NewClient(store)
}

func TestSentinel(t *testing.T) {
	t.Parallel()
	t.Run("a failover is followed, and loses nothing that a replica has", followFailovers)
}

func followFailovers(t *testing.T) {
	t.Parallel()
	row := scores(t, 18)
	w := newSentinelSite(t)
	// The pushes of safe wait for the replica. Those of loose do not.
	safe, loose := newLedger(w.Site), newLedger(w.Site)
	loose.path += ".loose"
	var workers []*harness.Process
	for range 2 {
		workers = append(workers, untilServing(w.Site, w.WorkerWith([]string{"REDIS_URL=",
			"REDIS_SENTINELS=" + strings.Join(w.sentinels, ","), "REDIS_SENTINEL_MASTER=kyu"},
			"-c", "5", "--log-level", "info")))
	}
	stop := w.produce(map[*queue.Client]*ledger{w.producer(1): safe, w.producer(0): loose})
	failovers := bySize(2, 50)
	var took []time.Duration
	for i := range failovers {
		before := safe.ended(t)
		w.Until(30*time.Second, "jobs run", func() bool { return safe.ended(t) > before+50 })
		took = append(took, w.timeFailover(i%2 == 1, loose))
	}
	stop()
	w.Server = w.primary()
	w.Raw = w.Server.Client()
	w.Settled(60 * time.Second)
	v := safe.check(t, w.Site)
	lost := loose.unended(t)
	for _, p := range workers {
		stillRuns(t, p)
	}
	worst := percentile(took, 1)
	if worst > 5*time.Second {
		t.Errorf("work went on %v after the failover, want 5 s at most", worst)
	}
	row("%d failovers, planned and by kill -9 in turn: work went on %.1f s after the switch at "+
		"most (p50 %.1f s); with REDIS_WAIT_REPLICAS=1 lost 0 of %d, ended twice %d; without, "+
		"lost %d of %d acknowledged",
		failovers, worst.Seconds(), percentile(took, 0.5).Seconds(), v.Acked, v.Duplicates, lost,
		len(loose.acked))
}

// produce pushes jobs by each client, for its ledger, until stop is called.
func (w *sentinelSite) produce(ledgers map[*queue.Client]*ledger) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var producers sync.WaitGroup
	for client, l := range ledgers {
		producers.Go(func() {
			tick := time.NewTicker(3 * time.Millisecond)
			defer tick.Stop()
			for i := 0; ctx.Err() == nil; i++ {
				<-tick.C
				l.push(w.Context(), client, "Test::Ledger", []any{1},
					queue.Options{Queue: fourQueues[i%4], Retry: queue.RetryMax(0)})
			}
		})
	}
	return func() { cancel(); producers.Wait() }
}

// timeFailover makes the replica the primary, and returns the time until a job of a ledger ends.
// Afterwards the old primary is the replica.
func (w *sentinelSite) timeFailover(kill bool, l *ledger) time.Duration {
	w.Helper()
	old := w.failOver(kill)
	before, began := l.ended(w), time.Now()
	w.Until(60*time.Second, "jobs run again", func() bool { return l.ended(w) > before })
	took := time.Since(began)
	if kill {
		old.Restart() // the Sentinels make it the replica
	}
	w.untilAgreed()
	return took
}
