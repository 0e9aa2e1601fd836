package unique_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
	"github.com/kyujobs/kyu/worker"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// digest is the lock of the jobs that Ruby pushes in these tests.
const digest = "uniquejobs:0123456789abcdef0123456789abcdef"

// bench is a Redis with a Store that keeps locks.
type bench struct {
	*testing.T
	server *redistest.Server
	raw    *redis.Client
	store  *queue.Store
	log    testwait.Log
}

func newBench(t *testing.T) *bench {
	s := redistest.Start(t)
	return &bench{T: t, server: s, raw: s.Client(), store: open(s)}
}

func open(s *redistest.Server) *queue.Store {
	return s.Store(func(c *queue.Config) {
		c.Capabilities = []queue.Capability{unique.Capability()}
	})
}

// ruby pushes a job as Ruby's client leaves it: with its lock, unless the kind is taken at the
// start. fields are further fields of the payload.
func (b *bench) ruby(jid, kind, fields string) {
	b.Helper()
	if !strings.HasPrefix(kind, "while_executing") {
		b.take(jid)
	}
	b.waits(jid, kind, fields)
}

// take gives the lock to a job, as Ruby's client does.
func (b *bench) take(jid string) {
	b.raw.Set(b.Context(), digest, jid, 0)
	b.raw.HSet(b.Context(), digest+":LOCKED", jid, "1764380000.1234567")
	b.raw.ZAdd(b.Context(), "uniquejobs:digests", redis.Z{Score: 1764380000.12, Member: digest})
}

// waits puts a job into the queue a that names the lock in its payload.
func (b *bench) waits(jid, kind, fields string) {
	b.Helper()
	named := digest
	if strings.HasPrefix(kind, "while_executing") {
		named += ":RUN"
	}
	payload := fmt.Sprintf(`{"class":"Job","args":[],"jid":%q,"queue":"a","retry":true,`+
		`"created_at":1764380000.1,"enqueued_at":1764380000.1,"lock":%q,"lock_digest":%q,`+
		`"lock_timeout":0,"lock_ttl":null%s}`, jid, kind, named, fields)
	b.raw.SAdd(b.Context(), "queues", "a")
	if err := b.raw.LPush(b.Context(), "queue:a", payload).Err(); err != nil {
		b.Fatal(err)
	}
}

// holders returns the JIDs that hold the lock of a digest, sorted.
func (b *bench) holders(digest string) string {
	jids := b.raw.HKeys(b.Context(), digest+":LOCKED").Val()
	slices.Sort(jids)
	return strings.Join(jids, " ")
}

// lockKeys returns the keys of locks that are left in Redis.
func (b *bench) lockKeys() string {
	keys := append(b.raw.Keys(b.Context(), "uniquejobs:*").Val(),
		b.raw.Keys(b.Context(), "kyu:lock:*").Val()...)
	slices.Sort(keys)
	return strings.Join(keys, " ")
}

// work runs a worker until the test ends. handler has the class Job. options change its settings.
func (b *bench) work(handler worker.Handler, options ...func(*worker.Config)) {
	b.Helper()
	mux := worker.NewMux()
	mux.Use(unique.Middleware())
	mux.HandleJob("Job", handler)
	c := worker.Config{Mux: mux, Logger: slog.New(slog.NewTextHandler(&b.log, nil)),
		Capsules:  []worker.Capsule{{Concurrency: 5, Queues: []worker.QueueWeight{{Name: "a"}}}},
		PollFixed: 50 * time.Millisecond, Timeout: 5 * time.Second}
	for _, o := range options {
		o(&c)
	}
	r, err := worker.New(b.store, c)
	if err != nil {
		b.Fatal(err)
	}
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
}

func (b *bench) until(what string, cond func() bool) {
	b.Helper()
	testwait.Until(b, 20*time.Second, what, cond)
}

// settled waits until no job waits or is in flight.
func (b *bench) settled() {
	b.Helper()
	b.until("nothing waits or is in flight", func() bool {
		for _, pattern := range []string{"queue:*", "kyu:*landing*", "kyu:*inflight*"} {
			if len(b.raw.Keys(b.Context(), pattern).Val()) > 0 {
				return false
			}
		}
		return true
	})
}

func (b *bench) same(what string, got, want any) {
	b.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		b.Errorf("%s: %v, want %v", what, got, want)
	}
}
