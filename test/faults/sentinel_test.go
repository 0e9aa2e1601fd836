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

// watched is two Redis servers, one the other's replica, and three Sentinels.
type watched struct {
	*harness.Site
	servers   []*redistest.Server
	sentinels []string
	boss      *redis.Client // of one of the Sentinels
}

func newWatched(t *testing.T) *watched {
	t.Helper()
	s := harness.New(t, "--repl-diskless-sync-delay", "0", "--repl-backlog-size", "32mb",
		"--repl-ping-replica-period", "1")
	w := &watched{Site: s, servers: []*redistest.Server{s.Server}}
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
	w.boss = redis.NewClient(&redis.Options{Addr: w.sentinels[0], Protocol: 2})
	t.Cleanup(func() { w.boss.Close() })
	w.whole()
	return w
}

func port(addr string) string { _, p, _ := net.SplitHostPort(addr); return p }

// whole waits until the Sentinels know each other and a replica that follows.
func (w *watched) whole() {
	w.Helper()
	w.Until(60*time.Second, "primary, replica and Sentinels agree", func() bool {
		reply, err := w.boss.Do(context.Background(), "SENTINEL", "master", "kyu").StringSlice()
		if err != nil {
			return false
		}
		is := map[string]string{}
		for i := 0; i+1 < len(reply); i += 2 {
			is[reply[i]] = reply[i+1]
		}
		return is["flags"] == "master" && is["num-slaves"] == "1" &&
			is["num-other-sentinels"] == "2" && w.followed()
	})
}

// followed reports whether the primary's replica has all it has.
func (w *watched) followed() bool {
	c := redis.NewClient(&redis.Options{Addr: w.primary().Addr, Protocol: 2})
	defer c.Close()
	info := c.Info(context.Background(), "replication").Val()
	return strings.Contains(info, "role:master") && strings.Contains(info, "state=online")
}

// primary is the server that the Sentinels name.
func (w *watched) primary() *redistest.Server {
	w.Helper()
	addr, err := w.boss.Do(context.Background(), "SENTINEL", "get-master-addr-by-name",
		"kyu").StringSlice()
	if err != nil || len(addr) != 2 {
		w.Fatal(addr, err)
	}
	for _, s := range w.servers {
		if port(s.Addr) == addr[1] {
			return s
		}
	}
	w.Fatalf("the primary is at %v, where there is no server", addr)
	return nil
}

// failOver makes the replica the primary, and returns the one before when the
// Sentinels say so.
func (w *watched) failOver(kill bool) (before *redistest.Server) {
	w.Helper()
	before = w.primary()
	if kill {
		before.Kill()
	} else {
		w.Until(20*time.Second, "a planned failover begins", func() bool {
			return w.boss.Do(context.Background(), "SENTINEL", "FAILOVER", "kyu").Err() == nil
		})
	}
	w.Until(60*time.Second, "the primary is another", func() bool { return w.primary() != before })
	return before
}

// producer pushes through the Sentinels; replicas must have what is acknowledged.
func (w *watched) producer(replicas int) *queue.Client {
	w.Helper()
	store, err := queue.Open(context.Background(), queue.Config{Sentinels: w.sentinels,
		SentinelMaster: "kyu", WaitReplicas: replicas})
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { store.Close() })
	return queue.NewClient(store)
}

func TestAFailoverIsFollowedAndCostsNothingThatAReplicaHas(t *testing.T) {
	t.Parallel()
	row := scores(t, 18)
	w := newWatched(t)
	safe := newLedger(w.Site)
	loose := newLedger(w.Site)
	loose.path += ".loose"
	env := []string{"REDIS_URL=", "REDIS_SENTINELS=" + strings.Join(w.sentinels, ","),
		"REDIS_SENTINEL_MASTER=kyu"}
	var workers []*harness.Process
	for range 2 {
		workers = append(workers, serves(w.Site, w.WorkerWith(env,
			"-c", "5", "--log-level", "info")))
	}
	ctx, stop := context.WithCancel(context.Background())
	var producers sync.WaitGroup
	for client, l := range map[*queue.Client]*ledger{w.producer(1): safe, w.producer(0): loose} {
		producers.Go(func() {
			tick := time.NewTicker(3 * time.Millisecond)
			defer tick.Stop()
			for i := 0; ctx.Err() == nil; i++ {
				<-tick.C
				l.push(t.Context(), client, "Test::Ledger", []any{1},
					queue.Options{Queue: fourQueues[i%4], Retry: queue.RetryMax(0)})
			}
		})
	}
	times := times(2, 50)
	var took []time.Duration
	for i := range times {
		before := safe.ended(t)
		w.Until(30*time.Second, "jobs run", func() bool { return safe.ended(t) > before+50 })
		kill := i%2 == 1
		old := w.failOver(kill)
		loose.read(t)
		before, begun := loose.ended(t), time.Now()
		w.Until(60*time.Second, "jobs run again", func() bool { return loose.ended(t) > before })
		took = append(took, time.Since(begun))
		if kill {
			old.Restart() // the Sentinels make it a replica
		}
		w.whole()
	}
	stop()
	producers.Wait()
	w.Server = w.primary()
	w.Raw = w.Server.Client()
	w.Settled(60 * time.Second)
	v := safe.check(t, w.Site)
	loose.read(t)
	lost := 0
	for id := range loose.acked {
		if loose.ends[id] == 0 {
			lost++
		}
	}
	for _, p := range workers {
		lives(t, p)
	}
	worst := percentile(took, 1)
	if worst > 5*time.Second {
		t.Errorf("work went on %v after the failover", worst)
	}
	row("%d failovers, planned and by kill -9 in turn: work went on %.1f s after the switch at "+
		"most (p50 %.1f s); with REDIS_WAIT_REPLICAS=1 lost 0 of %d, ended twice %d; without, "+
		"lost %d of %d acknowledged",
		times, worst.Seconds(), percentile(took, 0.5).Seconds(), v.Acked, v.Duplicates, lost,
		len(loose.acked))
}
