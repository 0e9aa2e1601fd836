package worker

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/faultproxy"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

// TestMain runs more tests at once than there are cores, because most of them wait for a timer of
// the worker. A value of -parallel on the command line takes precedence.
func TestMain(m *testing.M) {
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given {
		flag.Set("test.parallel", "8")
	}
	goleak.VerifyTestMain(m)
}

// bench is a Redis of a test's own, with a Mux and a Config for the Runners on it.
type bench struct {
	*testing.T
	server *redistest.Server
	raw    *redis.Client // with all rights
	store  *queue.Store  // with the rights of a worker
	client *queue.Client
	mux    *Mux
	config Config
	log    testwait.Log // of all Runners, from level info on
	gates  []*gate
}

// newBench starts a Redis. By its Config a Runner serves the queues a and b with 5 threads.
func newBench(t *testing.T) *bench {
	b := &bench{T: t, server: redistest.Start(t), mux: NewMux()}
	b.raw, b.store = b.server.Client(), b.server.Store()
	b.client = queue.NewClient(b.store)
	b.config = Config{Capsules: []Capsule{{Concurrency: 5, Queues: queues("a", "b")}},
		Timeout: 10 * time.Second, Grace: 300 * time.Millisecond, PollFixed: 50 * time.Millisecond}
	return b
}

// queues returns the list of a capsule in strict mode.
func queues(names ...string) (list []QueueWeight) {
	for _, name := range names {
		list = append(list, QueueWeight{Name: name})
	}
	return list
}

// process is a Runner with the goroutine that runs it.
type process struct {
	*Runner
	b     *bench
	ended chan struct{} // closed when Run has returned
	err   error         // of Run, once ended is closed
}

// errPanicked tells a panic of Run from an error that it returns.
var errPanicked = errors.New("a panic of Run")

// make makes a Runner by the present Config, and does not start it.
func (b *bench) make(store *queue.Store) *process {
	b.Helper()
	c := b.config
	c.Mux, c.Logger = b.mux, slog.New(slog.NewTextHandler(&b.log, nil))
	r, err := New(store, c)
	if err != nil {
		b.Fatal(err)
	}
	return &process{Runner: r, b: b, ended: make(chan struct{})}
}

// launch makes a Runner and runs it. It is stopped with the test, after all gates were opened.
func (b *bench) launch(store *queue.Store) *process {
	b.Helper()
	p := b.make(store)
	p.launch()
	return p
}

// launch runs p, as bench.launch does.
func (p *process) launch() {
	b := p.b
	go func() { // ends with Run
		defer close(p.ended)
		p.err = p.runOnce()
	}()
	b.Cleanup(func() {
		for _, g := range b.gates {
			g.open()
		}
		p.Stop()
		p.Stop()
		select {
		case <-p.ended:
		case <-time.After(15 * time.Second):
			b.Error("the Runner does not stop")
		}
		if b.Failed() {
			b.Log(b.log.String())
		}
	})
}

// start is launch on the bench's Store. It returns when the Runner takes jobs.
func (b *bench) start() *process {
	b.Helper()
	return b.startOn(b.store)
}

// startOn is launch. It returns when the Runner takes jobs.
func (b *bench) startOn(store *queue.Store) *process {
	b.Helper()
	p := b.launch(store)
	select {
	case <-p.Running():
	case <-p.ended:
		b.Fatal("the Runner did not start:", p.err)
	case <-time.After(30 * time.Second):
		b.Fatal("the Runner does not start")
	}
	return p
}

// runOnce calls Run. A panic becomes its error.
func (p *process) runOnce() (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%w: %v", errPanicked, v)
		}
	}()
	return p.Run(context.Background())
}

// endsWithin fails the test if Run has not returned within limit.
func (p *process) endsWithin(limit time.Duration) {
	p.b.Helper()
	select {
	case <-p.ended:
	case <-time.After(limit):
		p.b.Fatalf("was told to stop, and has not after %v", limit)
	}
}

// stop stops the Runner and fails the test if Run returns an error.
func (p *process) stop() {
	p.b.Helper()
	p.Stop()
	p.endsWithin(30 * time.Second)
	if p.err != nil {
		p.b.Error("Run:", p.err)
	}
}

// gate holds up handlers until a test opens it. The end of the test opens it too.
type gate struct {
	once sync.Once
	c    chan struct{} // closed when the gate is open
}

func (b *bench) gate() *gate {
	g := &gate{c: make(chan struct{})}
	b.gates = append(b.gates, g)
	return g
}

func (g *gate) open() { g.once.Do(func() { close(g.c) }) }

// pass waits until the gate is open, and ignores the caller's context.
func (g *gate) pass() { <-g.c }

// hook is a hook that waits until the gate is open.
func (g *gate) hook(context.Context) error { g.pass(); return nil }

// passOr waits until the gate is open, or ctx ends.
func (g *gate) passOr(ctx context.Context) error {
	select {
	case <-g.c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// handle registers a handler that takes no arguments.
func (b *bench) handle(class string, fn func(context.Context) error, o ...Options) {
	Handle(b.mux, class, func(ctx context.Context, _ []json.RawMessage) error {
		return fn(ctx)
	}, o...)
}

// handleNumber registers a handler that takes the first argument of a job, a number.
func (b *bench) handleNumber(class string, fn func(ctx context.Context, i int) error) {
	Handle(b.mux, class, func(ctx context.Context, args []json.RawMessage) error {
		i := 0
		if len(args) > 0 {
			json.Unmarshal(args[0], &i)
		}
		return fn(ctx, i)
	})
}

// push pushes a job to the queue of o, or to a.
func (b *bench) push(class string, args []any, o queue.Options) (jid string) {
	b.Helper()
	if o.Queue == "" {
		o.Queue = "a"
	}
	jid, err := b.client.Push(b.Context(), class, args, o)
	if err != nil {
		b.Fatal(err)
	}
	return jid
}

// fill pushes n payloads of size bytes each to a queue, the first to be taken first. The argument
// of each is its number.
func (b *bench) fill(q, class string, n, size int) {
	b.Helper()
	pipe := b.raw.TxPipeline()
	for i := range n {
		pipe.LPush(b.Context(), "queue:"+q, payload(q, class, i, size))
	}
	if _, err := pipe.Exec(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// payload returns job number i of a class, of about size bytes.
func payload(q, class string, i, size int) string {
	jid := fmt.Sprint(q, "-", class, "-", i)
	return fmt.Sprintf(`{"class":%q,"args":[%d],"jid":%q,"queue":%q,"retry":true,"filler":"%s"}`,
		class, i, jid, q, strings.Repeat("x", max(size-100, 0)))
}

// until fails the test if cond does not become true in good time.
func (b *bench) until(what string, cond func() bool) {
	b.Helper()
	testwait.Until(b, 30*time.Second, what, cond)
}

// always fails the test if cond is not true all the time for as long as limit.
func (b *bench) always(limit time.Duration, what string, cond func() bool) {
	b.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	end := time.After(limit)
	for began := time.Now(); ; {
		if !cond() {
			b.Fatalf("not true any more after %v: %s",
				time.Since(began).Round(time.Millisecond), what)
		}
		select {
		case <-tick.C:
		case <-end:
			return
		}
	}
}

// proxied returns a Store that reaches Redis through a proxy.
func (b *bench) proxied(options ...func(*queue.Config)) (*queue.Store, *faultproxy.Proxy) {
	b.Helper()
	proxy := faultproxy.Start(b, b.server.Addr)
	through := func(c *queue.Config) {
		c.URL = strings.Replace(c.URL, b.server.Addr, proxy.Addr, 1)
	}
	return b.server.Store(append(options, through)...), proxy
}

// says reports whether a line of the Runners' log contains text.
func (b *bench) says(text string) bool { return strings.Contains(b.log.String(), text) }

// list is a list of strings that handlers add to.
type list struct {
	mu  sync.Mutex
	all []string
}

func (l *list) add(s string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, s)
}

func (l *list) get() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.all)
}

func (l *list) len() int { return len(l.get()) }

func (l *list) String() string { return strings.Join(l.get(), " ") }

// adds returns a handler that adds s to the list.
func (l *list) adds(s string) func(context.Context) error {
	return func(context.Context) error { l.add(s); return nil }
}

// parse parses a payload.
func parse(t *testing.T, raw string) *queue.Job {
	t.Helper()
	j, err := envelope.ParseJob(raw)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// isClosed reports whether a channel is closed.
func isClosed[T any](c <-chan T) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
