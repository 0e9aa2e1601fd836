package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/faultproxy"
)

func TestHistorian(t *testing.T) {
	t.Parallel()
	t.Run("a clean stop writes the last counts of queues and classes", stopWritesHistory)
	t.Run("a job in flight has left its queue, and is out when it is settled", inFlightHistory)
	t.Run("a flush whose reply is lost counts once", lostHistory)
	t.Run("runs whose flush was lost count once", lostRuns)
	t.Run("a queue whose keys are forbidden loses only its own history", forbiddenQueue)
	t.Run("a ring of a wrong type is logged once, and delays no job", brokenRing)
	t.Run("while Redis is full jobs run, and what they counted is added later", fullForHistory)
	t.Run("counts that Redis does not accept for long are dropped", dropsOldCounts)
	t.Run("more queues than a call takes are written in pages", pagesOfHistory)
	t.Run("writes nothing without history", noHistory)
}

func TestUntilFlush(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ now, want time.Duration }{
		{0, 17 * time.Second}, {7 * time.Second, 10 * time.Second},
		{9 * time.Second, 8 * time.Second}, {10*time.Second - 1, 7*time.Second + 1},
	} {
		now := time.Unix(1_800_000_000, 0).Add(c.now)
		t.Run(fmt.Sprintf("%v after the beginning of a slot", c.now), func(t *testing.T) {
			if got := untilFlush(now, 7*time.Second); got != c.want {
				t.Errorf("waits %v, want %v", got, c.want)
			}
		})
	}
}

// out is how many jobs have left a queue, by its history.
func (b *bench) out(q string) (n int64) {
	b.Helper()
	for _, p := range b.history(q) {
		n += p.Out
	}
	return n
}

func (b *bench) history(q string) []inspect.Point {
	b.Helper()
	points, _, err := inspect.New(b.store).QueueHistory(b.Context(), q, inspect.MaxHistory)
	if err != nil {
		b.Fatal(err)
	}
	return points
}

// processed is how many runs a class has, by its history.
func (b *bench) processed(class string) (n int64) {
	b.Helper()
	points, _, err := inspect.New(b.store).ClassHistory(b.Context(), class, inspect.MaxHistory)
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range points {
		n += p.Processed
	}
	return n
}

// historian makes a historian of its own for queues, whose loop does not run, with an identity that
// has a lease.
func (b *bench) historian(store *queue.Store, names ...string) *historian {
	b.Helper()
	owner := store.Owner("h:1:history")
	if err := owner.Register(b.Context(), queue.Host{Name: "h", PID: 1}, names,
		time.Minute); err != nil {
		b.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(&b.log, nil))
	o := &ownership{born: time.Now()}
	o.until.Store(int64(time.Hour))
	capsule := Capsule{Name: "x", Concurrency: 5, Queues: queues(names...)}
	l := newLedger([]Capsule{capsule}, names, store.Tokens, o, func(int) {})
	l.renewed(owner)
	h := newHistorian(l, newOutage(log), log)
	h.owner, h.rings = func() *queue.Owner { return owner }, historyKeys(store)
	return h
}

// lines counts the lines of the log that contain text.
func (b *bench) lines(text string) int { return strings.Count(b.log.String(), text) }

// is checks a number.
func is[T comparable](t testing.TB, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}

func stopWritesHistory(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	hold := b.gate()
	b.handle("Good", func(context.Context) error { return nil })
	b.handle("Bad", func(context.Context) error { return errors.New("no use") })
	b.handle("Later", func(context.Context) error { return queue.Snooze(time.Hour) })
	b.handle("Long", func(ctx context.Context) error { return hold.passOr(ctx) })
	b.config.Timeout = 50 * time.Millisecond
	p := b.start()
	b.fill("a", "Good", 40, 0)
	b.fill("b", "Bad", 3, 0)
	b.fill("b", "Later", 2, 0)
	b.until("they have run", func() bool { return b.empty() && b.size("retry") == 3 })
	b.fill("b", "Long", 1, 0) // the stop puts it back
	b.until("one runs", func() bool { return b.inFlight() == 1 })
	p.stop()
	is(t, "out of a", b.out("a"), 40)
	is(t, "out of b", b.out("b"), 5)
	is(t, "runs of Good", b.processed("Good"), 40)
	is(t, "runs of Bad", b.processed("Bad"), 3)
	points := b.history("b")
	is(t, "jobs in b", points[len(points)-1].Size, 1)
}

func inFlightHistory(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	h := b.historian(b.store, "x")
	in := func() (n int64) {
		for _, p := range b.history("x") {
			n += p.In
		}
		return n
	}
	h.flush(t.Context())
	h.ledger.bring(t, "1", "2", "3") // they were in the queue before the first flush
	out, held := h.ledger.flow()
	is(t, "out", out["x"], 0)
	is(t, "in flight", held["x"], 3)
	e, _, _ := h.ledger.pools[0].next(h.ledger.pools[0].all[0], false)
	h.ledger.finish(e, nil)
	batch := h.ledger.process.Batch(0)
	h.ledger.left.settled(batch, []queue.Result{queue.Settled}, 0)
	h.ledger.process.Confirmed(0, []queue.Result{queue.Settled})
	h.collect()
	is(t, "out", h.pages[0].flows["x"].Out, 1)
	is(t, "left", h.pages[0].flows["x"].Left, 3)
	h.flush(t.Context())
	is(t, "out by the history", b.out("x"), 1)
	if n := in(); n != 0 && n != 3 { // 3 if an hour has just begun
		t.Errorf("%d jobs came", n)
	}
}

func lostHistory(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	store, proxy := b.proxied()
	h := b.historian(store, "a")
	h.ledger.left["a"] = 7
	proxy.DropReply(faultproxy.Script("history"), 1)
	h.flush(t.Context())
	is(t, "lost replies", proxy.Dropped(), 1)
	h.ledger.left["a"] = 5 // counted while the flush is in doubt
	h.flush(t.Context())
	is(t, "out", b.out("a"), 12)
	h.flush(t.Context())
	is(t, "out after another flush", b.out("a"), 12)
}

func lostRuns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	store, proxy := b.proxied()
	h := b.historian(store, "a")
	h.add(map[string]*queue.ClassMetrics{"A": {Processed: 7}})
	proxy.DropReply(faultproxy.Script("historyclass"), 1)
	h.flushRuns(t.Context())
	is(t, "lost replies", proxy.Dropped(), 1)
	h.add(map[string]*queue.ClassMetrics{"A": {Processed: 5}})
	h.flushRuns(t.Context())
	is(t, "runs", b.processed("A"), 12)
}

func forbiddenQueue(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	names := []string{"a", "b", "c", "d"}
	h := b.historian(b.store, names...)
	b.raw.Do(t.Context(), "ACL", "SETUSER", "kyu", "resetkeys", "~queue*", "~kyu:[^{]*",
		"~kyu:{queue:[acd]}*")
	for i := range 3 {
		for _, name := range names {
			h.ledger.left[name] = 10
		}
		h.flush(t.Context())
		is(t, "lines in the log", b.lines("Redis refuses the history of a queue"), 1)
		is(t, "out of a", b.out("a"), int64(10*(i+1)))
	}
	is(t, "out of c", b.out("c"), 30)
	is(t, "pages", len(h.pages), 3)
	b.raw.Do(t.Context(), "ACL", "SETUSER", "kyu", "~*")
	h.flush(t.Context())
	is(t, "out of b, once it is allowed", b.out("b"), 30)
}

func brokenRing(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	bad := "kyu:{queue:a}:history:10s"
	b.raw.LPush(t.Context(), bad, "a list")
	h := b.historian(b.store, "a", "b")
	for range 3 {
		h.ledger.left["a"], h.ledger.left["b"] = 1, 1
		h.flush(t.Context())
	}
	is(t, "lines in the log", b.lines("key of a wrong type"), 1)
	is(t, "lines that name the keys", b.lines("kyu:{queue:a}:history:*"), 1)
	is(t, "out of a, by the other rings", b.out("a"), 3)
	is(t, "out of b", b.out("b"), 3)
}

func fullForHistory(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	h := b.historian(b.store, "a")
	b.raw.ConfigSet(t.Context(), "maxmemory-policy", "noeviction")
	b.raw.ConfigSet(t.Context(), "maxmemory", "1")
	h.add(map[string]*queue.ClassMetrics{"A": {Processed: 7}})
	for range 3 {
		h.ledger.left["a"] = 2
		h.flush(t.Context())
		h.flushRuns(t.Context())
	}
	is(t, "lines in the log", b.lines("level="), 1)
	is(t, "outages", h.outage.last(), nil)
	b.raw.ConfigSet(t.Context(), "maxmemory", "0")
	h.flush(t.Context())
	h.flushRuns(t.Context())
	is(t, "out", b.out("a"), 6)
	is(t, "runs", b.processed("A"), 7)
}

func dropsOldCounts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	store, proxy := b.proxied()
	h := b.historian(store, "a")
	proxy.Answer(faultproxy.Script("history"), "LOADING for the test")
	h.ledger.left["a"] = 7
	h.flush(t.Context())
	is(t, "kept", h.pages[0].flows["a"].Out, 7)
	h.pages[0].since = time.Now().Add(-historyKept - time.Second)
	h.flush(t.Context())
	proxy.Answer(faultproxy.Script("history"), "")
	h.ledger.left["a"] = 3
	h.flush(t.Context())
	is(t, "out", b.out("a"), 3)
}

func pagesOfHistory(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var names []string
	for i := range queue.MaxHistoryQueues + 1 {
		names = append(names, fmt.Sprint("q", i))
	}
	h := b.historian(b.store, names...)
	for i, name := range names {
		h.ledger.left[name] = int64(i + 1)
	}
	for range 2 {
		h.flush(t.Context())
	}
	is(t, "pages", len(h.pages), 2)
	for i, name := range names {
		is(t, "out of "+name, b.out(name), int64(i+1))
	}
}

func noHistory(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.NoHistory = true
	b.handle("Good", func(context.Context) error { return nil })
	p := b.start()
	b.fill("a", "Good", 3, 0)
	b.until("they have run", func() bool { return b.empty() })
	p.stop()
	if keys := b.raw.Keys(t.Context(), "kyu:*history*").Val(); len(keys) > 0 {
		t.Errorf("there are %v", keys)
	}
}
