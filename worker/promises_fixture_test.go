package worker_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/faultproxy"
	"github.com/kyujobs/kyu/worker"
	"github.com/redis/go-redis/v9"
)

// The tests TestPromise… hold what the core promises where something stands beside a
// single capsule that works undisturbed: several capsules, a new identity, doorbells,
// suspects, callbacks, big payloads, broken keys, a stop. The numbers in their comments
// are those of the faults in issue 14.

// stage is a bench with gates, on which several Runners can be.
type stage struct {
	*bench
	gates []*gate
}

// gate holds handlers up until it is opened. It is opened at the end of the test, before
// the Runners are stopped.
type gate struct {
	once sync.Once
	c    chan struct{}
}

func (g *gate) open() { g.once.Do(func() { close(g.c) }) }

// pass waits for the gate, whatever the caller's context says.
func (g *gate) pass() { <-g.c }

// hook is a hook that waits for the gate.
func (g *gate) hook(context.Context) error { g.pass(); return nil }

// passOr waits for the gate or the end of ctx.
func (g *gate) passOr(ctx context.Context) error {
	select {
	case <-g.c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// newStage gives a stage whose Runners serve a and b, with the shortest lease.
func newStage(t *testing.T) *stage {
	s := &stage{bench: newBench(t)}
	s.config.Lease = 2 * time.Second
	s.config.Timeout, s.config.Grace = 2*time.Second, 300*time.Millisecond
	return s
}

func (s *stage) gate() *gate {
	g := &gate{c: make(chan struct{})}
	s.gates = append(s.gates, g)
	return g
}

// play is a Runner on the stage.
type play struct {
	*worker.Runner
	s     *stage
	ended chan struct{}
	err   error // of Run, once ended
}

// start starts a Runner with the configuration as it is now, and waits until it takes
// jobs. It is stopped with the test.
func (s *stage) start(store *queue.Store) *play {
	s.Helper()
	p := s.launch(store)
	select {
	case <-p.Running():
	case <-p.ended:
		s.Fatal("did not start:", p.err)
	case <-time.After(10 * time.Second):
		s.Fatal("does not start")
	}
	return p
}

// launch starts a Runner and does not wait. A panic in Run is its error.
func (s *stage) launch(store *queue.Store) *play {
	s.Helper()
	p := s.make(store)
	go p.run()
	s.Cleanup(func() {
		for _, g := range s.gates {
			g.open()
		}
		p.Stop()
		p.Stop()
		select {
		case <-p.ended:
		case <-time.After(5 * time.Second):
			s.Error("the Runner does not stop")
		}
		if s.Failed() {
			s.Log(s.log.String())
		}
	})
	return p
}

// make makes a Runner without starting it.
func (s *stage) make(store *queue.Store) *play {
	s.Helper()
	c := s.config
	c.Mux = s.mux
	c.Logger = slog.New(slog.NewTextHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelWarn}))
	r, err := worker.New(store, c)
	if err != nil {
		s.Fatal(err)
	}
	return &play{Runner: r, s: s, ended: make(chan struct{})}
}

func (p *play) run() {
	defer close(p.ended)
	p.err = p.runOnce()
}

// errPanicked is how a test tells a panic of Run from its error.
var errPanicked = errors.New("a panic of Run")

// runOnce calls Run. A panic is its error.
func (p *play) runOnce() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", errPanicked, v)
		}
	}()
	return p.Run(context.Background())
}

// endsWithin fails the test if Run has not returned within limit.
func (p *play) endsWithin(limit time.Duration) {
	p.s.Helper()
	select {
	case <-p.ended:
	case <-time.After(limit):
		p.s.Fatalf("was told to stop, and has not after %v", limit)
	}
}

// fence declares the present identity of p dead, as a peer does that saw no beat of it,
// and returns it.
func (p *play) fence() (identity string) {
	p.s.Helper()
	p.s.until("the lease can be fenced", func() bool {
		leases, err := p.s.store.Leases(p.s.Context())
		for _, l := range leases {
			if err == nil && l.Identity == p.Status().Identity {
				fenced, err := p.s.store.Fence(p.s.Context(), l)
				identity = l.Identity
				return fenced && err == nil
			}
		}
		return false
	})
	return identity
}

// renewedFrom waits until p works under another identity than before.
func (p *play) renewedFrom(before string) {
	p.s.Helper()
	p.s.until("it takes a new identity", func() bool { return p.Status().Identity != before })
}

// holds fails the test if cond is not true all the time for as long as limit.
func (s *stage) holds(limit time.Duration, what string, cond func() bool) {
	s.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(limit)
	for began := time.Now(); ; {
		if !cond() {
			s.Fatalf("not true any more after %v: %s",
				time.Since(began).Round(time.Millisecond), what)
		}
		select {
		case <-tick.C:
		case <-end:
			return
		}
	}
}

// link gives a Store that reaches Redis through a proxy.
func (s *stage) link(options ...func(*queue.Config)) (*queue.Store, *faultproxy.Proxy) {
	s.Helper()
	proxy := faultproxy.Start(s, s.server.Addr)
	through := func(c *queue.Config) {
		c.URL = strings.Replace(c.URL, s.server.Addr, proxy.Addr, 1)
	}
	return s.server.Store(append(options, through)...), proxy
}

// fill pushes n payloads of size bytes each to a queue, as they are, the first to be
// taken first.
func (s *stage) fill(q, class string, n, size int) {
	s.Helper()
	pipe := s.raw.TxPipeline()
	for i := range n {
		pipe.LPush(s.Context(), "queue:"+q, payload(q, class, i, size))
	}
	if _, err := pipe.Exec(s.Context()); err != nil {
		s.Fatal(err)
	}
}

// payload is the i-th job of a class, of about size bytes. Its argument is i.
func payload(q, class string, i, size int) string {
	jid := fmt.Sprint(q, "-", class, "-", i)
	return fmt.Sprintf(`{"class":%q,"args":[%d],"jid":%q,"queue":%q,"retry":true,"filler":"%s"}`,
		class, i, jid, q, strings.Repeat("x", max(size-100, 0)))
}

// deadOwner writes down an owner elsewhere that has given up its lease, with payloads of
// a queue in its hands.
func (s *stage) deadOwner(identity, q string, payloads ...string) {
	s.Helper()
	o, h := s.store.Owner(identity), queue.Host{Name: "elsewhere", PID: 1}
	if err := o.Register(s.Context(), h, []string{q}, time.Minute); err != nil {
		s.Fatal(err)
	}
	for i, p := range payloads {
		s.raw.HSet(s.Context(), inflightKey(q, identity), i+1, p)
	}
	leases, err := s.store.Leases(s.Context())
	for _, l := range leases {
		if l.Identity == identity && err == nil {
			_, err = s.store.Fence(s.Context(), l)
		}
	}
	if err != nil {
		s.Fatal(err)
	}
}

func inflightKey(q, identity string) string { return "kyu:{queue:" + q + "}:inflight:" + identity }

// inFlight counts what Redis has as delivered to workers.
func (s *stage) inFlight() (n int64) {
	for _, key := range s.raw.Keys(s.Context(), "kyu:{queue:*inflight*").Val() {
		n += s.raw.HLen(s.Context(), key).Val()
	}
	return n
}

// waiting is how many jobs are in a queue.
func (s *stage) waiting(q string) int64 { return s.raw.LLen(s.Context(), "queue:"+q).Val() }

// info is a number of Redis's INFO.
func (s *stage) info(section, field string) (n int64) {
	for line := range strings.Lines(s.raw.Info(s.Context(), section).Val()) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			fmt.Sscanf(rest, "%d", &n)
		}
	}
	return n
}

// refused counts the calls of a command that Redis has refused.
func (s *stage) refused(command string) (n int64) {
	for line := range strings.Lines(s.raw.Info(s.Context(), "commandstats").Val()) {
		if strings.HasPrefix(line, "cmdstat_"+command+":") {
			_, rest, _ := strings.Cut(line, "rejected_calls=")
			fmt.Sscanf(rest, "%d", &n)
		}
	}
	return n
}

// bells is how many connections sleep in Redis.
func (s *stage) bells() int64 { return s.info("clients", "blocked_clients") }

// score is the end of an identity's lease; negative if it is fenced.
func (s *stage) score(identity string) (end float64, there bool) {
	end, err := s.raw.ZScore(s.Context(), "kyu:leases", identity).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		s.Fatal(err)
	}
	return end, err == nil
}

// handleNumber registers a handler that is told the number in the job's arguments.
func (s *stage) handleNumber(class string, fn func(ctx context.Context, i int) error) {
	worker.Handle(s.mux, class, func(ctx context.Context, args []json.RawMessage) error {
		i := 0
		if len(args) > 0 {
			json.Unmarshal(args[0], &i)
		}
		return fn(ctx, i)
	})
}
