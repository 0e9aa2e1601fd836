package faults

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/faultproxy"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/rediscluster"
	"github.com/redis/go-redis/v9"
)

// clusterTag is the tag of all keys in the tests of clusters.
const clusterTag = "faults"

// clusterSite is a cluster of three masters and three replicas, and processes whose keys are all in
// one slot of it.
type clusterSite struct {
	*harness.Site
	cluster *rediscluster.Cluster
}

func newClusterSite(t *testing.T, args ...string) *clusterSite {
	t.Helper()
	c := rediscluster.Start(t, args...)
	store := c.Store(clusterTag)
	return &clusterSite{harness.Over(t, c.URL(clusterTag), store.DB().Shared, store), c}
}

// producer opens a client of its own. It confirms a push when so many replicas have it.
func (w *clusterSite) producer(replicas int) *queue.Client {
	w.Helper()
	return queue.NewClient(w.cluster.Store(clusterTag,
		func(c *queue.Config) { c.WaitReplicas = replicas }))
}

// workers starts two workers.
func (w *clusterSite) workers() (list []*harness.Process) {
	w.Helper()
	for range 2 {
		args := []string{"-c", "5", "--log-level", "info"}
		for _, q := range fourQueues {
			args = append(args, "-q", q)
		}
		// the Redis of package jobs is another one, and these jobs do not use it
		env := []string{"SIDEKIQ_REDIS_URL=" + w.Server.URL, "REDIS_URL=redis://127.0.0.1:1"}
		list = append(list, untilServing(w.Site, w.WorkerWith(env, args...)))
	}
	return list
}

// finished waits until all jobs of a ledger that were acknowledged have ended. It returns how many
// have not.
func (w *clusterSite) finished(l *ledger) (lost int) {
	w.Helper()
	end := time.Now().Add(60 * time.Second)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for lost = l.unended(w); lost > 0 && time.Now().Before(end); lost = l.unended(w) {
		<-tick.C
	}
	return lost
}

// quiet waits until nothing more of a ledger ends, of which jobs may be lost. It returns how many
// were acknowledged and have not ended.
func (w *clusterSite) quiet(l *ledger) int {
	w.Helper()
	for before := -1; before != l.unended(w); {
		before = l.unended(w)
		since := time.Now()
		w.Until(10*time.Second, "time passes",
			func() bool { return time.Since(since) > 2*time.Second || l.unended(w) == 0 })
	}
	return l.unended(w)
}

func TestCluster(t *testing.T) {
	t.Parallel()
	t.Run("a failover is followed, and loses nothing that a replica has", followClusterFailovers)
	t.Run("a slot that moves takes its jobs along", followMovedSlot)
	t.Run("a command whose reply is lost is not sent again", sendOnceInCluster)
	t.Run("TLS follows the slot too", followOverTLS)
}

// fault is how a master of a cluster is replaced.
type clusterFault struct {
	name  string
	begin func(w *clusterSite) (old *rediscluster.Node)
	end   func(old *rediscluster.Node)
}

var clusterFaults = []clusterFault{
	{"kill -9", func(w *clusterSite) *rediscluster.Node {
		old := w.cluster.Owner(clusterTag)
		old.Kill()
		return old
	}, (*rediscluster.Node).Restart},
	{"planned", func(w *clusterSite) *rediscluster.Node { return w.cluster.Failover(clusterTag) },
		func(*rediscluster.Node) {}},
	{"hang", func(w *clusterSite) *rediscluster.Node {
		old := w.cluster.Owner(clusterTag)
		old.Pause()
		return old
	}, (*rediscluster.Node).Resume},
}

func followClusterFailovers(t *testing.T) {
	t.Parallel()
	row := scores(t, 18)
	w := newClusterSite(t)
	// The pushes of safe wait for the replica, also while there is none. Those of loose do not.
	safe, loose := newLedger(w.Site), newLedger(w.Site)
	loose.path += ".loose"
	workers := w.workers()
	stop := (&sentinelSite{Site: w.Site}).produce(map[*queue.Client]*ledger{w.producer(1): safe,
		w.producer(0): loose})
	times := bySize([]int{1, 1, 1}, []int{20, 20, 5})
	took, stuck := map[string][]time.Duration{}, 0
	for i := range times[0] {
		for k, f := range clusterFaults {
			if i >= times[k] {
				continue
			}
			before := safe.ended(t)
			w.Until(30*time.Second, "jobs run", func() bool { return safe.ended(t) > before+50 })
			if d, switched := w.timeFault(f, loose); switched {
				took[f.name] = append(took[f.name], d)
			} else {
				stuck++
			}
			last := time.Now()
			w.Until(time.Minute, "the masters may vote again",
				func() bool { return time.Since(last) > 2*rediscluster.NodeTimeout })
		}
	}
	for *size != "smoke" && safe.ended(t)+loose.ended(t) < 50_000 {
		before := safe.ended(t)
		w.Until(60*time.Second, "jobs run", func() bool { return safe.ended(t) > before+1000 })
	}
	stop()
	lost, looseLost := w.finished(safe), w.quiet(loose)
	for _, p := range workers {
		stillRuns(t, p)
	}
	if lost > 0 {
		t.Errorf("%d of %d acknowledged jobs are lost", lost, len(safe.acked))
	}
	var figures []string
	for _, f := range clusterFaults {
		worst := percentile(took[f.name], 1)
		if len(took[f.name]) == 0 {
			t.Errorf("%s: no other master was elected", f.name)
		}
		if worst > 3*time.Second {
			t.Errorf("%s: work went on %v after the switch, want 3 s at most", f.name, worst)
		}
		figures = append(figures, fmt.Sprintf("%d × %s: work went on %.1f s after the switch at "+
			"most (p50 %.1f s)", len(took[f.name]), f.name, worst.Seconds(),
			percentile(took[f.name], 0.5).Seconds()))
	}
	row("cluster of 3 + 3, REDIS_WAIT_REPLICAS=1: %s; %d without a switch within %v; lost %d of "+
		"%d acknowledged; without WAIT lost %d of %d", strings.Join(figures, "; "), stuck,
		switchWithin, lost, len(safe.acked), looseLost, len(loose.acked))
}

// switchWithin is how long the nodes get to elect another master. Whether they do is Redis's
// matter.
const switchWithin = 20 * time.Second

// timeFault replaces the master, and returns the time from the switch until a job of a ledger ends,
// or false if the nodes elected no other master. Afterwards the cluster is whole again.
func (w *clusterSite) timeFault(f clusterFault, l *ledger) (took time.Duration, switched bool) {
	w.Helper()
	old := f.begin(w)
	switched = w.cluster.MovedWithin(switchWithin, clusterTag, old)
	before, began := l.ended(w), time.Now()
	if switched {
		w.Until(60*time.Second, "jobs run again after "+f.name,
			func() bool { return l.ended(w) > before })
		took = time.Since(began)
	}
	f.end(old)
	w.cluster.UntilHealthy()
	return took, switched
}

// mover is the load while a slot moves: pushes that are not repeated, whatever comes of them.
type mover struct {
	refused, unknown, done atomic.Int64
	slowest                atomic.Int64 // push, in nanoseconds
}

// push pushes jobs until ctx ends.
func (m *mover) push(ctx context.Context, c *queue.Client, l *ledger) {
	tick := time.NewTicker(3 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ctx.Err() == nil; i++ {
		<-tick.C
		jid := queue.NewJID()
		l.intend(jid)
		began := time.Now()
		_, err := c.Push(context.Background(), "Test::Ledger", []any{l.path, jid, 1},
			queue.Options{JID: jid, Queue: fourQueues[i%4], Retry: queue.RetryMax(0)})
		m.slowest.Store(max(m.slowest.Load(), int64(time.Since(began))))
		switch {
		case err == nil:
			l.acknowledge(jid)
			m.done.Add(1)
		case errors.Is(err, queue.ErrUnknown):
			m.unknown.Add(1)
		default:
			m.refused.Add(1)
		}
	}
}

func followMovedSlot(t *testing.T) {
	t.Parallel()
	row := scores(t, 18)
	// MIGRATE of a long list blocks both nodes. If that takes longer than the node timeout, a
	// replica without the list takes over, and the list is lost. So it is Redis's default here.
	w := newClusterSite(t, "--cluster-node-timeout", "15000")
	l := newLedger(w.Site)
	backlog, moves := bySize(20_000, 300_000), bySize(2, 20)
	fillBacklog(t, w.Client, backlog)
	workers := w.workers()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m, producers := new(mover), sync.WaitGroup{}
	client := w.producer(0)
	producers.Go(func() { m.push(ctx, client, l) })
	var pauses []time.Duration
	for range moves {
		before := l.ended(t)
		w.Until(30*time.Second, "jobs run", func() bool { return l.ended(t) > before+50 })
		w.cluster.MoveSlot(clusterTag, w.cluster.Other(clusterTag))
		before, began := l.ended(t), time.Now()
		w.Until(30*time.Second, "jobs run", func() bool { return l.ended(t) > before })
		pauses = append(pauses, time.Since(began))
	}
	cancel()
	producers.Wait()
	lost := w.finished(l)
	for _, p := range workers {
		stillRuns(t, p)
	}
	doubled := 0
	for _, n := range l.ends {
		if n > 1 {
			doubled++
		}
	}
	left, err := w.Raw.LLen(t.Context(), w.Store.Keys().Queue("backlog")).Result()
	if lost > 0 || doubled > 0 || err != nil || left != int64(backlog) {
		t.Errorf("lost %d, doubled %d, and %d of %d waiting jobs are left (%v)", lost, doubled,
			left, backlog, err)
	}
	row("a slot moved %d times with %d jobs waiting: lost %d of %d acknowledged, doubled %d, "+
		"refused %d, unknown %d; slowest push %.2f s; work went on %.1f s after the move at most",
		moves, backlog, lost, len(l.acked), doubled, m.refused.Load(), m.unknown.Load(),
		time.Duration(m.slowest.Load()).Seconds(), percentile(pauses, 1).Seconds())
}

// fillBacklog pushes jobs to a queue that no worker serves.
func fillBacklog(t *testing.T, c *queue.Client, n int) {
	t.Helper()
	for n > 0 {
		page := min(n, 1000)
		if _, err := c.PushBulk(t.Context(), "X", make([][]any, page),
			queue.Options{Queue: "backlog"}); err != nil {
			t.Fatal(err)
		}
		n -= page
	}
}

// through returns an option that has a Store reach each node of a cluster through a proxy of its
// own.
func through(t *testing.T, c *rediscluster.Cluster) (proxies []*faultproxy.Proxy,
	option func(*queue.Config)) {
	by := map[string]string{}
	for _, n := range c.Nodes {
		p := faultproxy.Start(t, n.Addr)
		proxies, by[n.Addr] = append(proxies, p), p.Addr
	}
	return proxies, func(config *queue.Config) {
		config.Options = func(o *redis.Options) {
			o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
				return (&net.Dialer{Timeout: o.DialTimeout}).DialContext(ctx, network, by[addr])
			}
		}
	}
}

func sendOnceInCluster(t *testing.T) {
	t.Parallel()
	row := scores(t, 18)
	c := rediscluster.Start(t)
	proxies, option := through(t, c)
	store := c.Store(clusterTag, option)
	client := queue.NewClient(store)
	for _, p := range proxies {
		p.DropEvery(faultproxy.Script("push"), 7)
	}
	acked, unknown, all := map[string]bool{}, map[string]bool{}, bySize(300, 3000)
	for i := range all {
		if i == all/3 {
			c.MoveSlot(clusterTag, c.Other(clusterTag))
		}
		if i == all*2/3 {
			c.Failover(clusterTag)
		}
		jid := queue.NewJID()
		_, err := client.Push(t.Context(), "X", nil, queue.Options{JID: jid})
		switch {
		case err == nil:
			acked[jid] = true
		case errors.Is(err, queue.ErrUnknown):
			unknown[jid] = true
		}
	}
	dropped := 0
	for _, p := range proxies {
		dropped += p.Dropped()
		p.DropEvery("", 0)
	}
	list := store.Keys().Queue("default")
	raws, err := store.DB().Shared.LRange(t.Context(), list, 0, -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, raw := range raws {
		j, err := envelope.ParseJob(raw)
		if err != nil {
			t.Fatal(err)
		}
		seen[j.JID]++
	}
	for jid, n := range seen {
		if n > 1 || (!acked[jid] && !unknown[jid]) {
			t.Errorf("the job %s is %d times in the queue (acknowledged %v, unknown %v)", jid, n,
				acked[jid], unknown[jid])
		}
	}
	for jid := range acked {
		if seen[jid] == 0 {
			t.Errorf("the job %s was acknowledged and is not in the queue", jid)
		}
	}
	if dropped < all/10 {
		t.Errorf("%d replies were lost, want more than %d", dropped, all/10)
	}
	row("a proxy ate %d replies of %d pushes, with a slot moved and a failover between: doubled 0",
		dropped, all)
}

// clusterCerts makes a certificate for the nodes of a cluster.
func clusterCerts(t *testing.T) *rediscluster.Certs {
	t.Helper()
	certs := (&harness.Site{TB: t}).NewCerts()
	certs.Issue("node", "127.0.0.1")
	pem, err := os.ReadFile(certs.Path("ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AppendCertsFromPEM(pem)
	return &rediscluster.Certs{CA: certs.Path("ca.pem"), Cert: certs.Path("node.pem"),
		Key: certs.Path("node.key"), Config: &tls.Config{MinVersion: tls.VersionTLS12,
			RootCAs: trusted}}
}

func followOverTLS(t *testing.T) {
	t.Parallel()
	c := rediscluster.StartTLS(t, clusterCerts(t))
	store := c.Store(clusterTag)
	client := queue.NewClient(store)
	pushed := 0
	push := func() {
		t.Helper()
		if _, err := client.Push(t.Context(), "X", nil, queue.Options{}); err != nil {
			t.Error(err)
		}
		pushed++
	}
	push()
	c.Failover(clusterTag)
	push()
	c.UntilHealthy()
	c.MoveSlot(clusterTag, c.Other(clusterTag))
	push()
	push()
	n, err := store.DB().Shared.LLen(t.Context(), store.Keys().Queue("default")).Result()
	if err != nil || n != int64(pushed) {
		t.Errorf("%d jobs are in the queue (%v), want %d", n, err, pushed)
	}
}
