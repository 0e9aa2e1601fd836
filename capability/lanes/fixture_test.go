package lanes_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/lanes"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
	"github.com/kyujobs/kyu/worker"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a Redis with a Store that keeps lanes.
type bench struct {
	*testing.T
	server  *redistest.Server
	raw     *redis.Client
	store   *queue.Store
	control lanes.Control
	lanes   *lanes.Lanes // of one process
	owner   *queue.Owner // its identity
	log     testwait.Log
}

func newBench(t *testing.T) *bench {
	t.Helper()
	s := redistest.Start(t)
	b := &bench{T: t, server: s, raw: s.Client()}
	b.use(open(s))
	return b
}

// use has the bench work with a Store.
func (b *bench) use(s *queue.Store) {
	b.store, b.control = s, lanes.Control{Store: s}
	b.lanes = lanes.New(s, slog.New(slog.NewTextHandler(&b.log, nil)))
}

func open(s *redistest.Server) *queue.Store {
	return s.Store(func(c *queue.Config) {
		c.Capabilities = []queue.Capability{lanes.Capability()}
	})
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// rule gives the queue a a rule.
func (b *bench) rule(text string) {
	b.Helper()
	r, err := lanes.ParseRule(text)
	b.must(err)
	b.must(b.control.Set(b.Context(), "a", r))
	_, err = b.lanes.Refresh(b.Context(), []string{"a", "b"})
	b.must(err)
}

// payload is a job whose lane is that of its first argument. Its number is the second.
func payload(queue, lane string, n int) string {
	return fmt.Sprintf(`{"class":"Job","args":[%q,%d],"jid":"%s%d","queue":%q,"retry":true,`+
		`"created_at":1764380000.1,"enqueued_at":1764380000.1}`, lane, n, lane, n, queue)
}

// push pushes jobs of lanes, such as "x1 x2 y1", to the queue a, as a Ruby client does.
func (b *bench) push(jobs string) {
	b.Helper()
	b.raw.SAdd(b.Context(), "queues", "a")
	for _, name := range strings.Fields(jobs) {
		var n int
		fmt.Sscan(name[1:], &n)
		b.must(b.raw.LPush(b.Context(), "queue:a", payload("a", name[:1], n)).Err())
	}
}

// sift moves all jobs of a to their lanes.
func (b *bench) sift() {
	b.Helper()
	for more := true; more; {
		var err error
		more, _, err = b.lanes.Sift(b.Context(), "a", "me")
		b.must(err)
	}
}

// register takes a lease for an identity, which the other methods then use.
func (b *bench) register(identity string) *queue.Owner {
	b.Helper()
	b.owner = b.store.Owner(identity)
	b.must(b.owner.Register(b.Context(), queue.Host{}, []string{"a", "b"}, time.Minute))
	return b.owner
}

// take fetches n jobs and acknowledges done.
func (b *bench) take(n int, done ...*queue.Delivery) *queue.Fetched {
	b.Helper()
	f, err := b.owner.Fetch(b.Context(), queue.FetchRequest{Queues: []string{"a", "b"}, Want: n,
		First: b.store.Tokens(n), Sources: []int{0}, Done: done})
	b.must(err)
	return &f
}

// names returns deliveries as push has them.
func names(list []*queue.Delivery) string {
	var all []string
	for _, d := range list {
		j, err := envelope.ParseJob(d.Raw)
		if err != nil {
			all = append(all, "?")
			continue
		}
		all = append(all, j.JID)
	}
	return strings.Join(all, " ")
}

// status returns the figures of the lanes of a, as text.
func (b *bench) status() string {
	b.Helper()
	s, err := b.control.Status(b.Context(), "a")
	b.must(err)
	return fmt.Sprintf("running %d, parked %d, ready %d, full %d, closed %d", s.Running, s.Parked,
		s.Ready, s.Full, s.Closed)
}

func (b *bench) same(what string, got, want any) {
	b.Helper()
	if got != want {
		b.Errorf("%s: %v, want %v", what, got, want)
	}
}

// work runs a worker until the test ends.
func (b *bench) work(handler func(ctx context.Context, lane string, n int) error,
	options ...func(*worker.Config)) *worker.Runner {
	b.Helper()
	mux := worker.NewMux()
	type args struct {
		Lane string
		N    int
	}
	worker.Handle(mux, "Job", func(ctx context.Context, a args) error {
		return handler(ctx, a.Lane, a.N)
	})
	log := slog.New(slog.NewTextHandler(&b.log, nil))
	source := func(s *queue.Store) worker.Source { return lanes.New(s, log) }
	c := worker.Config{Mux: mux, Logger: log, NoJobLog: true, Source: source,
		Capsules: []worker.Capsule{{Concurrency: 5,
			Queues: []worker.QueueWeight{{Name: "a"}, {Name: "b"}}}},
		Timeout: 5 * time.Second}
	for _, o := range options {
		o(&c)
	}
	r, err := worker.New(b.store, c)
	b.must(err)
	ended := make(chan error, 1)
	go func() { ended <- r.Run(context.Background()) }() // ends with Stop
	b.Cleanup(func() {
		r.Stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
		if b.Failed() {
			b.Log(b.log.String())
		}
	})
	select {
	case <-r.Running():
	case <-time.After(30 * time.Second):
		b.Fatal("the worker does not start")
	}
	return r
}

// clean reports what is left in the lanes of a besides the rule.
func (b *bench) left() string {
	keys := b.raw.Keys(b.Context(), "kyu:{queue:a}:lanes:*").Val()
	keys = slices.DeleteFunc(keys, func(k string) bool { return strings.HasSuffix(k, ":bell") })
	slices.Sort(keys)
	return strings.Join(keys, " ")
}
