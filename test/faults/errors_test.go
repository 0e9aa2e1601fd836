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

// policy is what a worker does about an error of Redis: it keeps what it has, waits,
// and asks again; or it sends the script along.
type policy struct {
	kind string
	text string // as Redis 7.0 words it
	// provokes it; nil where one Redis of our own cannot
	real   func(s *harness.Site) (restore func())
	resend bool // it is no failure: the script is sent along
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
	// row 17
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

// operations are what may meet an error, and the commands in which they consist.
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

const (
	failing   = 3 * time.Second // that a cell of the table lasts
	perSecond = 5               // calls that a connection may make meanwhile
)

func TestEveryErrorOfRedisInEveryOperationIsWaitedOut(t *testing.T) {
	t.Parallel()
	row := scores(t, 15)
	var mu sync.Mutex
	cells, most := 0, 0.0
	t.Run("kinds", func(t *testing.T) {
		for _, p := range policies {
			t.Run(strings.ReplaceAll(p.kind, " ", "-"), func(t *testing.T) {
				t.Parallel()
				s := harness.New(t)
				proxy := faultproxy.Start(t, s.Server.Addr)
				w := serves(s, s.WorkerWith([]string{"REDIS_URL=redis://" + proxy.Addr},
					"-c", "2", "-q", "default", "-C", polls(s, 0.5)))
				client := through(t, proxy)
				l := newLedger(s)
				for _, op := range operations {
					rate := cell(t, s, l, proxy, client, p, op.name, op.commands)
					mu.Lock()
					cells++
					most = max(most, rate)
					mu.Unlock()
				}
				drained(s, 60*time.Second)
				l.check(t, s)
				if n := s.Card("dead"); n > 0 {
					t.Errorf("%d jobs are dead: they failed because Redis did", n)
				}
				lives(t, w)
			})
		}
	})
	row("%d of %d cells: lost 0, jobs failed 0, workers ended 0; at most %.1f calls/s per "+
		"connection while failing", cells, len(policies)*len(operations), most)
}

// cell lets one operation meet one error for a while, and gives how often a second
// it was tried on a connection.
func cell(t *testing.T, s *harness.Site, l *ledger, proxy *faultproxy.Proxy, client *queue.Client,
	p policy, op string, commands []string) (rate float64) {
	t.Helper()
	if op == "push" {
		proxy.Answer(commands[0], p.text)
		defer proxy.Answer(commands[0], "")
		_, err := client.Push(t.Context(), "Test::NoOp", nil, queue.Options{})
		switch {
		case p.resend && err != nil:
			t.Errorf("push: %v", err)
		case !p.resend && (err == nil || !strings.Contains(err.Error(), "nothing was pushed")):
			t.Errorf("push: %v, want an error that says that nothing was pushed", err)
		}
		if n := proxy.Answered(commands[0]); n != 1 {
			t.Errorf("push: tried %d times behind the caller's back", n)
		}
		return 0
	}
	push := func(class string, o queue.Options) {
		o.Queue, o.Retry = "default", queue.RetryMax(3)
		if err := l.push(t.Context(), client, class, []any{1}, o); err != nil {
			t.Fatal(err)
		}
	}
	if op == "ack" || op == "retry" { // the jobs end while it fails
		for range 2 {
			push(map[string]string{"ack": "Test::Ledger", "retry": "Test::Flaky"}[op],
				queue.Options{})
		}
	}
	for _, c := range commands {
		proxy.Answer(c, p.text)
	}
	switch op {
	case "promote":
		push("Test::Ledger", queue.Options{At: time.Now().Add(20 * time.Millisecond)})
	case "ack", "retry":
	default:
		push("Test::Ledger", queue.Options{})
	}
	<-time.After(failing)
	for _, c := range commands {
		n := proxy.Answered(c)
		proxy.Answer(c, "")
		rate = max(rate, float64(n)/failing.Seconds())
	}
	if !p.resend && rate > perSecond {
		t.Errorf("%s: %.1f calls/s while it failed", op, rate)
	}
	s.Until(40*time.Second, op+" works again", func() bool {
		return s.Waiting()+s.InFlight()+s.Card("schedule") == 0
	})
	if p.resend {
		return 0
	}
	return rate
}

func TestRealErrorsOfRedisAreWaitedOut(t *testing.T) {
	t.Parallel()
	for _, p := range policies {
		if p.real == nil {
			continue
		}
		t.Run(strings.ReplaceAll(p.kind, " ", "-"), func(t *testing.T) {
			t.Parallel()
			s := harness.New(t, append([]string{
				"--enable-debug-command", "yes", "--user", "default", "on", "nopass", "~*", "&*",
				"+@all", "--user", "kyu", "on", ">secret", "~*", "&*", "+@all"}, durable...)...)
			w := serves(s, s.WorkerWith([]string{"REDIS_URL=redis://kyu:secret@" + s.Server.Addr},
				"-c", "5", "-C", polls(s, 0.5)))
			l := newLedger(s)
			for range times(1, 5) {
				l.must(t, s, "default", 5, 300)
				for i := range 10 {
					o := queue.Options{Queue: fourQueues[i%4],
						At: time.Now().Add(time.Duration(i) * 100 * time.Millisecond)}
					if err := l.push(t.Context(), s.Client, "Test::Ledger", []any{5},
						o); err != nil {
						t.Fatal(err)
					}
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
			lives(t, w)
			t.Logf("%s for real: %+v; the worker said: %t", p.kind, v, w.Says("does not serve us"))
		})
	}
}

// admin is a connection of its own that stays when others are sent away.
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

func configured(name, value, usual string) func(s *harness.Site) func() {
	return func(s *harness.Site) func() {
		do := admin(s)
		do("CONFIG", "SET", name, value)
		return func() { do("CONFIG", "SET", name, usual) }
	}
}

// demoted makes the server a replica of nobody: writes are refused, doorbells are
// taken down.
func demoted(s *harness.Site) func() {
	do := admin(s)
	do("REPLICAOF", "127.0.0.1", "1")
	return func() { do("REPLICAOF", "NO", "ONE") }
}

func masterDown(s *harness.Site) func() {
	do := admin(s)
	do("CONFIG", "SET", "replica-serve-stale-data", "no")
	do("REPLICAOF", "127.0.0.1", "1")
	return func() {
		do("REPLICAOF", "NO", "ONE")
		do("CONFIG", "SET", "replica-serve-stale-data", "yes")
	}
}

// loading lets the server start again, slowly.
func loading(s *harness.Site) func() {
	s.Server.Kill()
	s.Server.With("--key-load-delay", "5000").Launch() // microseconds for each command
	return func() { admin(s)("CONFIG", "SET", "key-load-delay", "0") }
}

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

func flushed(s *harness.Site) func() {
	admin(s)("SCRIPT", "FLUSH")
	return func() {}
}

// crowded lets nobody new in, and sends everybody away.
func crowded(s *harness.Site) func() {
	do := admin(s)
	do("CONFIG", "SET", "maxclients", "1")
	do("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
	return func() { do("CONFIG", "SET", "maxclients", "10000") }
}

// locked asks for a password that nobody has been told, of who connects anew.
func locked(s *harness.Site) func() {
	do := admin(s)
	do("ACL", "SETUSER", "kyu", "resetpass", ">other")
	do("CLIENT", "KILL", "USER", "kyu")
	return func() { do("ACL", "SETUSER", "kyu", "resetpass", ">secret") }
}

func disabled(s *harness.Site) func() {
	do := admin(s)
	do("ACL", "SETUSER", "kyu", "off")
	do("CLIENT", "KILL", "USER", "kyu")
	return func() { do("ACL", "SETUSER", "kyu", "on") }
}

func forbidden(s *harness.Site) func() {
	do := admin(s)
	do("ACL", "SETUSER", "kyu", "-evalsha", "-blmove")
	return func() { do("ACL", "SETUSER", "kyu", "+evalsha", "+blmove") }
}
