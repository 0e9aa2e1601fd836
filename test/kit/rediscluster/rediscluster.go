// Package rediscluster starts real clusters of Redis or Valkey for tests, on free ports: three
// masters with a replica each. Programs and Stores under test use the user that docs/redis.md
// recommends, as in package redistest.
package rediscluster

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
	"github.com/redis/go-redis/v9"
)

// Server is the program of the nodes: redis-server, or what the variable KYU_TEST_VALKEY names
// (scripts/valkey.sh makes one).
func Server() string {
	if v := os.Getenv("KYU_TEST_VALKEY"); v != "" {
		return v
	}
	return "redis-server"
}

// NodeTimeout is the time after which the nodes hold a silent one for dead.
const NodeTimeout = 1500 * time.Millisecond

// masters is how many masters a cluster has. Each has a replica.
const masters = 3

// Cluster is a cluster for one test.
type Cluster struct {
	Nodes []*Node
	t     testing.TB
	certs *Certs // nil: no TLS
	extra []string
}

// Certs are the files of a certificate for 127.0.0.1 and its authority, and the authority.
type Certs struct {
	CA, Cert, Key string
	Config        *tls.Config // of clients
}

// Node is a node of the cluster.
type Node struct {
	Addr string // host:port
	ID   string
	Raw  *redis.Client // may do everything; not by the slot: it asks this node

	c    *Cluster
	port int
	bus  int
	dir  string
	cmd  *exec.Cmd
	held bool // it is paused
}

// Start starts a cluster whose slots are spread evenly. args are further settings of each node.
func Start(t testing.TB, args ...string) *Cluster { return start(t, nil, args) }

// StartTLS is Start with TLS for clients and between the nodes.
func StartTLS(t testing.TB, certs *Certs, args ...string) *Cluster { return start(t, certs, args) }

func start(t testing.TB, certs *Certs, args []string) *Cluster {
	t.Helper()
	c := &Cluster{t: t, certs: certs, extra: args}
	for range 2 * masters {
		n := &Node{c: c, port: redistest.FreePort(t), bus: redistest.FreePort(t), dir: t.TempDir()}
		n.Addr = "127.0.0.1:" + strconv.Itoa(n.port)
		n.Raw = redis.NewClient(&redis.Options{Addr: n.Addr, Protocol: 2, MaxRetries: -1,
			TLSConfig: c.tls(), DialTimeout: time.Second, ReadTimeout: 20 * time.Second})
		t.Cleanup(func() { n.Raw.Close() })
		c.Nodes = append(c.Nodes, n)
		n.launch()
		t.Cleanup(n.Kill)
	}
	for _, n := range c.Nodes {
		n.untilAnswers()
		n.ID = n.must("CLUSTER", "MYID").(string)
	}
	c.join()
	return c
}

func (c *Cluster) tls() *tls.Config {
	if c.certs == nil {
		return nil
	}
	return c.certs.Config
}

// join makes the nodes one cluster.
func (c *Cluster) join() {
	c.t.Helper()
	for i, n := range c.Nodes {
		n.must("CLUSTER", "SET-CONFIG-EPOCH", i+1)
		if i < masters {
			n.must("CLUSTER", "ADDSLOTSRANGE", i*redisdb.Slots/masters,
				(i+1)*redisdb.Slots/masters-1)
		}
		if i > 0 {
			c.Nodes[0].must("CLUSTER", "MEET", "127.0.0.1", n.port, n.bus)
		}
	}
	for i, n := range c.Nodes[masters:] {
		master := c.Nodes[i]
		c.until(30*time.Second, "a replica knows its master", func() bool {
			return n.Raw.Do(ctx, "CLUSTER", "REPLICATE", master.ID).Err() == nil
		})
	}
	c.UntilHealthy()
}

var ctx = context.Background()

func (c *Cluster) until(limit time.Duration, what string, cond func() bool) {
	c.t.Helper()
	testwait.Until(c.t, limit, what, cond)
}

// UntilHealthy waits until all nodes say that all slots are served, and each master has a replica
// with all its data.
func (c *Cluster) UntilHealthy() {
	c.t.Helper()
	c.until(60*time.Second, "the cluster is whole", func() bool {
		for _, n := range c.Nodes {
			info := n.Raw.Info(ctx, "replication").Val()
			state := n.Raw.Do(ctx, "CLUSTER", "INFO").String()
			if !strings.Contains(state, "cluster_state:ok") ||
				!strings.Contains(state, "cluster_known_nodes:6") ||
				!(strings.Contains(info, "state=online") ||
					strings.Contains(info, "master_link_status:up")) {
				return false
			}
		}
		return true
	})
}

// URL is the URL of the slot of a tag, with all nodes as seeds and the user of docs/redis.md.
func (c *Cluster) URL(tag string) string { return c.url(tag, "kyu:secret@") }

// Admin is URL with a user that may do everything.
func (c *Cluster) Admin(tag string) string { return c.url(tag, "") }

func (c *Cluster) url(tag, user string) string {
	scheme, seeds := "redis+cluster", []string(nil)
	if c.certs != nil {
		scheme = "rediss+cluster"
	}
	for _, n := range c.Nodes {
		seeds = append(seeds, n.Addr)
	}
	return scheme + "://" + user + strings.Join(seeds, ",") + "/?tag=" + tag
}

// Config is the configuration of a Store with all keys in the slot of a tag.
func (c *Cluster) Config(tag string) queue.Config {
	return queue.Config{URL: c.URL(tag), TLS: c.tls()}
}

// Store opens a Store with all keys in the slot of a tag. options change its configuration.
func (c *Cluster) Store(tag string, options ...func(*queue.Config)) *queue.Store {
	c.t.Helper()
	config := c.Config(tag)
	for _, o := range options {
		o(&config)
	}
	s, err := queue.Open(ctx, config)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { s.Close() })
	return s
}

// Owner returns the node that has the slot of a tag: the one that most nodes name.
func (c *Cluster) Owner(tag string) *Node {
	c.t.Helper()
	var owner *Node
	c.until(30*time.Second, "a node has the slot", func() bool {
		owner = c.owner(tag)
		return owner != nil
	})
	return owner
}

func (c *Cluster) owner(tag string) *Node {
	votes := map[string]int{}
	for _, n := range c.Nodes {
		if n.cmd != nil && !n.held {
			votes[n.names(redisdb.SlotOf(tag))]++
		}
	}
	for _, n := range c.Nodes {
		if votes[n.ID] > masters/2+1 {
			return n
		}
	}
	return nil
}

// names returns the id of the node that n takes for the owner of a slot, or "".
func (n *Node) names(slot int) string {
	ranges, err := n.Raw.Do(ctx, "CLUSTER", "SLOTS").Slice() // first, last, master, replicas ...
	if err != nil {
		return ""
	}
	for _, r := range ranges {
		fields, _ := r.([]any)
		if len(fields) < 3 {
			continue
		}
		first, _ := fields[0].(int64)
		last, _ := fields[1].(int64)
		if master, _ := fields[2].([]any); first <= int64(slot) && int64(slot) <= last &&
			len(master) > 2 {
			id, _ := master[2].(string)
			return id
		}
	}
	return ""
}

// Replica returns a replica of the owner of a tag's slot.
func (c *Cluster) Replica(tag string) *Node {
	c.t.Helper()
	owner := c.Owner(tag)
	for _, n := range c.Nodes {
		if n.cmd == nil || n.held {
			continue
		}
		info := n.Raw.Info(ctx, "replication").Val()
		if strings.Contains(info, "role:slave") &&
			strings.Contains(info, fmt.Sprintf("master_port:%d\r", owner.port)) {
			return n
		}
	}
	c.t.Fatalf("%s has no replica", owner.Addr)
	return nil
}

// UntilMoved waits until a node other than old has the slot of a tag.
func (c *Cluster) UntilMoved(tag string, old *Node) *Node {
	c.t.Helper()
	c.until(60*time.Second, "another node has the slot", func() bool { return c.moved(tag, old) })
	return c.Owner(tag)
}

func (c *Cluster) moved(tag string, old *Node) bool {
	n := c.owner(tag)
	return n != nil && n != old
}

// MovedWithin waits until a node other than old has the slot of a tag, and reports whether that
// happened in time. After two failovers in a row the nodes may not elect a master for a while.
func (c *Cluster) MovedWithin(limit time.Duration, tag string, old *Node) bool {
	end := time.Now().Add(limit)
	for !c.moved(tag, old) {
		if time.Now().After(end) {
			return false
		}
		<-time.After(5 * time.Millisecond)
	}
	return true
}

// Failover makes the replica of the owner of a tag's slot the master, without losing anything, and
// returns the node that was it.
func (c *Cluster) Failover(tag string) (old *Node) {
	c.t.Helper()
	old = c.Owner(tag)
	replica := c.Replica(tag)
	for range 5 { // the masters may not vote for it, soon after another failover
		replica.must("CLUSTER", "FAILOVER")
		if c.MovedWithin(6*time.Second, tag, old) {
			return old
		}
	}
	c.t.Fatal("a planned failover did not happen")
	return nil
}

// Other returns a master that does not have the slot of a tag.
func (c *Cluster) Other(tag string) *Node {
	c.t.Helper()
	owner := c.Owner(tag)
	for _, n := range c.Nodes {
		if n != owner && strings.Contains(n.Raw.Info(ctx, "replication").Val(), "role:master") {
			return n
		}
	}
	c.t.Fatal("there is no other master")
	return nil
}

// MoveSlot moves the slot of a tag to another master, key by key as redis-cli does, or in one step
// if the server can (Valkey 9).
func (c *Cluster) MoveSlot(tag string, to *Node) {
	c.t.Helper()
	slot, from := redisdb.SlotOf(tag), c.Owner(tag)
	err := from.Raw.Do(ctx, "CLUSTER", "MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE",
		to.ID).Err()
	if err == nil {
		c.UntilMoved(tag, from)
		return
	}
	to.must("CLUSTER", "SETSLOT", slot, "IMPORTING", from.ID)
	from.must("CLUSTER", "SETSLOT", slot, "MIGRATING", to.ID)
	for {
		keys, err := from.Raw.ClusterGetKeysInSlot(ctx, slot, 100).Result()
		if err != nil {
			c.t.Fatalf("keys of the slot at %s: %v", from.Addr, err)
		}
		if len(keys) == 0 {
			break
		}
		args := []any{"MIGRATE", "127.0.0.1", to.port, "", 0, 10_000, "KEYS"}
		for _, k := range keys {
			args = append(args, k)
		}
		from.must(args...)
	}
	to.must("CLUSTER", "SETSLOT", slot, "NODE", to.ID)
	from.must("CLUSTER", "SETSLOT", slot, "NODE", to.ID)
	for _, n := range c.Nodes { // the others hear of it sooner; a replica may not be told
		n.Raw.Do(ctx, "CLUSTER", "SETSLOT", slot, "NODE", to.ID)
	}
	c.UntilMoved(tag, from)
}

func (n *Node) must(args ...any) any {
	n.c.t.Helper()
	v, err := n.Raw.Do(ctx, args...).Result()
	if err != nil {
		n.c.t.Fatalf("%v at %s: %v", args[:2], n.Addr, err)
	}
	return v
}

// launch starts the server of the node.
func (n *Node) launch() {
	n.c.t.Helper()
	log, err := os.OpenFile(filepath.Join(n.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		n.c.t.Fatal(err)
	}
	defer log.Close()
	args := slices.Concat([]string{"--bind", "127.0.0.1", "--dir", n.dir, "--save", "",
		"--appendonly", "no", "--daemonize", "no", "--cluster-enabled", "yes",
		"--cluster-node-timeout", strconv.FormatInt(NodeTimeout.Milliseconds(), 10),
		"--cluster-port", strconv.Itoa(n.bus), "--repl-diskless-sync-delay", "0",
		"--repl-ping-replica-period", "1", "--repl-backlog-size", "64mb"}, n.ports(), n.c.extra,
		[]string{"--user", "default", "on", "nopass", "~*", "&*", "+@all", "--user", "kyu"},
		rule(n.c.t))
	n.cmd = exec.Command(Server(), args...)
	n.cmd.Stdout, n.cmd.Stderr = log, log
	if err := n.cmd.Start(); err != nil {
		n.cmd = nil
		n.c.t.Fatalf("%s does not start: %v: is it installed? (make deps)", Server(), err)
	}
}

// rule is the ACL rule of docs/redis.md for a cluster: each key begins with a tag.
func rule(t testing.TB) []string {
	words := redistest.Rule(t)
	for i, w := range words {
		if pattern, ok := strings.CutPrefix(w, "~"); ok {
			words[i] = "~{*}:" + pattern
		}
	}
	return words
}

func (n *Node) ports() []string {
	if n.c.certs == nil {
		return []string{"--port", strconv.Itoa(n.port)}
	}
	return []string{"--port", "0", "--tls-port", strconv.Itoa(n.port), "--tls-cluster", "yes",
		"--tls-replication", "yes", "--tls-auth-clients", "no", "--tls-cert-file", n.c.certs.Cert,
		"--tls-key-file", n.c.certs.Key, "--tls-ca-cert-file", n.c.certs.CA}
}

func (n *Node) untilAnswers() {
	n.c.t.Helper()
	n.c.until(30*time.Second, "a node answers",
		func() bool { return n.Raw.Ping(ctx).Err() == nil })
}

// Kill ends the node by SIGKILL.
func (n *Node) Kill() {
	if n.cmd != nil {
		n.cmd.Process.Kill()
		n.cmd.Wait()
		n.cmd, n.held = nil, false
	}
}

// Restart starts a node again that was killed.
func (n *Node) Restart() {
	n.c.t.Helper()
	n.launch()
	n.untilAnswers()
}

// Pause makes the node hang: it accepts connections and answers nothing.
func (n *Node) Pause() {
	n.held = true
	n.cmd.Process.Signal(syscall.SIGSTOP)
}

// Resume ends Pause.
func (n *Node) Resume() {
	n.cmd.Process.Signal(syscall.SIGCONT)
	n.held = false
}
