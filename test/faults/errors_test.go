package faults

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/faultproxy"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/redis/go-redis/v9"
)

// policy is how a worker treats an error of Redis: it keeps its jobs and results, waits, and tries
// again. With resend it sends the script with the call, at once.
type policy struct {
	kind string
	text string // the text of Redis 7.0
	// provokes the error in a real Redis; nil: a single Redis cannot be brought to it
	real   func(s *harness.Site) (restore func())
	resend bool
}

var policies = []policy{
	{kind: "READONLY", text: "READONLY You can't write against a read only replica.",
		real: demoted},
	{kind: "UNBLOCKED", text: "UNBLOCKED force unblock from blocking operation, instance state " +
		"changed (master -> replica?)", real: demoted},
	{kind: "MASTERDOWN", text: "MASTERDOWN Link with MASTER is down and replica-serve-stale-data " +
		"is set to 'no'.", real: masterDown},
	{kind: "NOREPLICAS", text: "NOREPLICAS Not enough good replicas to write.",
		real: configured("min-replicas-to-write", "1", "0")},
	{kind: "LOADING", text: "LOADING Redis is loading the dataset in memory", real: loading},
	{kind: "BUSY", text: "BUSY Redis is busy running a script. You can only call SCRIPT KILL or " +
		"SHUTDOWN NOSAVE.", real: busy},
	{kind: "NOSCRIPT", text: "NOSCRIPT No matching script. Please use EVAL.", real: flushed,
		resend: true},
	{kind: "OOM", text: "OOM command not allowed when used memory > 'maxmemory'.",
		real: configured("maxmemory", "1", "0")},
	// TestRedisDisk provokes it.
	{kind: "MISCONF", text: "MISCONF Errors writing to the AOF file: No space left on device"},
	{kind: "TRYAGAIN", text: "TRYAGAIN Multiple keys request during rehashing of slot"},
	{kind: "CLUSTERDOWN", text: "CLUSTERDOWN The cluster is down"},
	{kind: "max number of clients", text: "ERR max number of clients reached", real: crowded},
	{kind: "NOAUTH", text: "NOAUTH Authentication required.", real: locked},
	{kind: "WRONGPASS", text: "WRONGPASS invalid username-password pair or user is disabled.",
		real: disabled},
	{kind: "NOPERM", text: "NOPERM this user has no permissions to run the 'evalsha' command",
		real: forbidden},
	{kind: "EXECABORT", text: "EXECABORT Transaction discarded because of previous errors."},
}

// operations are the operations that may get an error, and their commands.
var operations = []struct {
	name     string
	commands []string
}{
	{"push", []string{faultproxy.Script("push")}},
	{"fetch", []string{faultproxy.Script("fetch"), "blmove"}},
	{"ack", []string{faultproxy.Script("settle")}},
	{"retry", []string{faultproxy.Script("settle")}},
	{"promote", []string{faultproxy.Script("promote")}},
	{"heartbeat", []string{faultproxy.Script("beat")}},
}

// perSecond is how often a connection may call Redis while that answers with an error.
const perSecond = 5

func TestRedisError(t *testing.T) {
	t.Parallel()
	t.Run("in any operation is waited out", func(t *testing.T) {
		t.Parallel()
		answerErrors(t)
	})
	t.Run("of a real Redis is waited out", func(t *testing.T) {
		t.Parallel()
		provokeErrors(t)
	})
}

func answerErrors(t *testing.T) {
	row := scores(t, 15)
	var mu sync.Mutex
	cells, most := 0, 0.0
	t.Run("kinds", func(t *testing.T) {
		for _, p := range policies {
			t.Run(strings.ReplaceAll(p.kind, " ", "-"), func(t *testing.T) {
				t.Parallel()
				e := newErrorSite(t, p)
				for _, op := range operations {
					rate := e.cell(op.name, op.commands)
					mu.Lock()
					cells++
					most = max(most, rate)
					mu.Unlock()
				}
				drained(e.Site, 60*time.Second)
				e.ledger.check(t, e.Site)
				if n := e.Card("dead"); n > 0 {
					t.Errorf("%d jobs are dead, because Redis answered with errors", n)
				}
				stillRuns(t, e.worker)
			})
		}
	})
	row("%d of %d cells: lost 0, jobs failed 0, workers ended 0; at most %.1f calls/s per "+
		"connection while failing", cells, len(policies)*len(operations), most)
}

// errorSite is a worker and a client behind a proxy that can answer with the error of a policy.
type errorSite struct {
	*harness.Site
	policy policy
	proxy  *faultproxy.Proxy
	client *queue.Client
	ledger *ledger
	worker *harness.Process
}

func newErrorSite(t *testing.T, p policy) *errorSite {
	t.Helper()
	s := harness.New(t)
	proxy := faultproxy.Start(t, s.Server.Addr)
	w := untilServing(s, s.WorkerWith([]string{"REDIS_URL=redis://" + proxy.Addr},
		"-c", "2", "-q", "default", "-C", pollConfig(s, 0.5)))
	return &errorSite{Site: s, policy: p, proxy: proxy, client: clientThrough(t, proxy),
		ledger: newLedger(s), worker: w}
}

// cell answers the commands of an operation with the error for a while. It returns how often a
// second they were tried.
func (e *errorSite) cell(op string, commands []string) (rate float64) {
	e.Helper()
	if op == "push" {
		e.failPush(commands[0])
		return 0
	}
	if op == "ack" || op == "retry" { // the jobs end while the settlement fails
		for range 2 {
			e.push(map[string]string{"ack": "Test::Ledger", "retry": "Test::Flaky"}[op],
				queue.Options{})
		}
	}
	for _, c := range commands {
		e.proxy.Answer(c, e.policy.text)
	}
	switch op {
	case "promote":
		e.push("Test::Ledger", queue.Options{At: time.Now().Add(20 * time.Millisecond)})
	case "ack", "retry":
	default:
		e.push("Test::Ledger", queue.Options{})
	}
	during := bySize(2*time.Second, 3*time.Second)
	<-time.After(during)
	for _, c := range commands {
		n := e.proxy.Answered(c)
		e.proxy.Answer(c, "")
		rate = max(rate, float64(n)/during.Seconds())
	}
	if !e.policy.resend && rate > perSecond {
		e.Errorf("%s: %.1f calls/s while it failed, want %d at most", op, rate, perSecond)
	}
	e.Until(40*time.Second, op+" works again", func() bool {
		return e.Waiting()+e.InFlight()+e.Card("schedule") == 0
	})
	if e.policy.resend {
		return 0
	}
	return rate
}

func (e *errorSite) push(class string, o queue.Options) {
	e.Helper()
	o.Queue, o.Retry = "default", queue.RetryMax(3)
	e.Must(e.ledger.push(e.Context(), e.client, class, []any{1}, o))
}

// failPush checks that a push which Redis refuses is tried once, and says that nothing was pushed.
func (e *errorSite) failPush(command string) {
	e.Helper()
	e.proxy.Answer(command, e.policy.text)
	defer e.proxy.Answer(command, "")
	_, err := e.client.Push(e.Context(), "Test::NoOp", nil, queue.Options{})
	switch {
	case e.policy.resend && err != nil:
		e.Errorf("push: %v, want no error", err)
	case !e.policy.resend && (err == nil || !strings.Contains(err.Error(), "nothing was pushed")):
		e.Errorf("push: %v, want an error that says that nothing was pushed", err)
	}
	if n := e.proxy.Answered(command); n != 1 {
		e.Errorf("push: tried %d times, want once", n)
	}
}

func provokeErrors(t *testing.T) {
	for _, p := range policies {
		if p.real == nil {
			continue
		}
		t.Run(strings.ReplaceAll(p.kind, " ", "-"), func(t *testing.T) {
			t.Parallel()
			provokeError(t, p)
		})
	}
}

// provokeError brings a real Redis to an error for 2 s while jobs run and become due.
func provokeError(t *testing.T, p policy) {
	t.Helper()
	s := harness.New(t, append([]string{
		"--enable-debug-command", "yes", "--user", "default", "on", "nopass", "~*", "&*",
		"+@all", "--user", "kyu", "on", ">secret", "~*", "&*", "+@all"}, durable...)...)
	w := untilServing(s, s.WorkerWith([]string{"REDIS_URL=redis://kyu:secret@" + s.Server.Addr},
		"-c", "5", "-C", pollConfig(s, 0.5)))
	l := newLedger(s)
	for range bySize(1, 5) {
		l.mustPush(t, s, "default", 5, 300)
		for i := range 10 {
			o := queue.Options{Queue: fourQueues[i%4],
				At: time.Now().Add(time.Duration(i) * 100 * time.Millisecond)}
			s.Must(l.push(t.Context(), s.Client, "Test::Ledger", []any{5}, o))
		}
		restore := p.real(s)
		<-time.After(2 * time.Second)
		restore()
		drained(s, 40*time.Second)
	}
	v := l.check(t, s)
	if n := s.Card("dead"); n > 0 || v.Duplicates > 0 {
		t.Errorf("%d jobs are dead, %d ended twice", n, v.Duplicates)
	}
	stillRuns(t, w)
	t.Logf("%s in a real Redis: %+v; the worker logged the error: %t", p.kind, v,
		w.Says("does not serve us"))
}

// admin opens a connection that stays when other connections are closed or refused. The returned
// function sends a command.
func admin(s *harness.Site) func(args ...any) {
	s.Helper()
	c := redis.NewClient(&redis.Options{Addr: s.Server.Addr, PoolSize: 1, MaxRetries: -1,
		Protocol: 2, DisableIdentity: true})
	if err := c.Ping(context.Background()).Err(); err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { c.Close() })
	return func(args ...any) {
		s.Helper()
		if err := c.Do(context.Background(), args...).Err(); err != nil && err != redis.Nil {
			s.Fatal(fmt.Sprint(args...), ": ", err)
		}
	}
}

// configured sets a value by CONFIG SET.
func configured(name, value, usual string) func(s *harness.Site) func() {
	return func(s *harness.Site) func() {
		do := admin(s)
		do("CONFIG", "SET", name, value)
		return func() { do("CONFIG", "SET", name, usual) }
	}
}

// demoted makes the server a replica of a primary that does not exist: it refuses writes and ends
// blocking commands.
func demoted(s *harness.Site) func() {
	do := admin(s)
	do("REPLICAOF", "127.0.0.1", "1")
	return func() { do("REPLICAOF", "NO", "ONE") }
}

// masterDown makes the server such a replica that also refuses reads.
func masterDown(s *harness.Site) func() {
	do := admin(s)
	do("CONFIG", "SET", "replica-serve-stale-data", "no")
	do("REPLICAOF", "127.0.0.1", "1")
	return func() {
		do("REPLICAOF", "NO", "ONE")
		do("CONFIG", "SET", "replica-serve-stale-data", "yes")
	}
}

// loading restarts the server, and makes it slow to load its data.
func loading(s *harness.Site) func() {
	s.Server.Kill()
	s.Server.With("--key-load-delay", "5000").Launch() // microseconds for each command
	return func() { admin(s)("CONFIG", "SET", "key-load-delay", "0") }
}

// busy keeps the server busy with a script that does not end.
func busy(s *harness.Site) func() {
	do := admin(s)
	do("CONFIG", "SET", "busy-reply-threshold", "50")
	done := make(chan struct{})
	go func() {
		defer close(done)
		c := s.Server.Client()
		c.Eval(context.Background(), "while true do end", nil)
	}()
	return func() { do("SCRIPT", "KILL"); <-done }
}

// flushed removes all scripts.
func flushed(s *harness.Site) func() {
	admin(s)("SCRIPT", "FLUSH")
	return func() {}
}

// crowded closes all other connections, and allows no new one.
func crowded(s *harness.Site) func() {
	do := admin(s)
	do("CONFIG", "SET", "maxclients", "1")
	do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	return func() { do("CONFIG", "SET", "maxclients", "10000") }
}

// locked changes the password of the worker's user, and closes its connections.
func locked(s *harness.Site) func() {
	do := admin(s)
	do("ACL", "SETUSER", "kyu", "resetpass", ">other")
	do("CLIENT", "KILL", "USER", "kyu")
	return func() { do("ACL", "SETUSER", "kyu", "resetpass", ">secret") }
}

// disabled switches the worker's user off, and closes its connections.
func disabled(s *harness.Site) func() {
	do := admin(s)
	do("ACL", "SETUSER", "kyu", "off")
	do("CLIENT", "KILL", "USER", "kyu")
	return func() { do("ACL", "SETUSER", "kyu", "on") }
}

// forbidden takes the right to two commands from the worker's user.
func forbidden(s *harness.Site) func() {
	do := admin(s)
	do("ACL", "SETUSER", "kyu", "-evalsha", "-blmove")
	return func() { do("ACL", "SETUSER", "kyu", "+evalsha", "+blmove") }
}
