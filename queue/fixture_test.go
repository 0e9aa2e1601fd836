package queue_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var abc = []string{"a", "b", "c"}

// poison is a usual setting.
var poison = queue.Poison{Times: 3, Within: time.Hour}

// fixture is a Redis with an owner, h:1:a, that holds a lease and serves the queues a, b and c.
type fixture struct {
	*testing.T
	server *redistest.Server
	raw    *redis.Client
	store  *queue.Store
	client *queue.Client
	owner  *queue.Owner
}

func newFixture(t *testing.T, args ...string) *fixture {
	t.Helper()
	s := redistest.Start(t, args...)
	f := &fixture{T: t, server: s, raw: s.Client(), store: s.Store()}
	f.client = queue.NewClient(f.store)
	f.owner = f.newOwner("h:1:a")
	return f
}

// in returns the fixture for a subtest.
func (f *fixture) in(t *testing.T) *fixture {
	sub := *f
	sub.T = t
	return &sub
}

func (f *fixture) newOwner(id string) *queue.Owner {
	f.Helper()
	o := f.store.Owner(id)
	if err := o.Register(f.Context(), queue.Host{Name: "h", PID: 1}, abc, time.Minute); err != nil {
		f.Fatal(err)
	}
	return o
}

// push pushes n jobs to a queue. Their JIDs and first arguments count from 0: a0, a1, ….
func (f *fixture) push(q string, n int) {
	f.Helper()
	for i := range n {
		if _, err := f.client.Push(f.Context(), "Job", []any{i},
			queue.Options{Queue: q, JID: fmt.Sprintf("%s%d", q, i)}); err != nil {
			f.Fatal(err)
		}
	}
}

// put stores payloads in a queue, such as queue:a, or in a set.
func (f *fixture) put(place string, payloads ...string) {
	f.Helper()
	for i, p := range payloads {
		if name, isQueue := strings.CutPrefix(place, "queue:"); isQueue {
			f.raw.LPush(f.Context(), place, p)
			f.raw.SAdd(f.Context(), "queues", name)
		} else {
			f.raw.ZAdd(f.Context(), place, redis.Z{Score: float64(2e9 + i), Member: p})
		}
	}
}

// spoil replaces a key by a string, as another program may do.
func (f *fixture) spoil(keys ...string) {
	f.Helper()
	for _, key := range keys {
		f.raw.Del(f.Context(), key)
		if err := f.raw.Set(f.Context(), key, "of another program", 0).Err(); err != nil {
			f.Fatal(err)
		}
	}
}

// take fetches as o, and acknowledges done. stale counts those of done that were not in flight.
func take(ctx context.Context, s *queue.Store, o *queue.Owner, queues []string, want int,
	draws []string, done []*queue.Delivery) (jobs []*queue.Delivery, stale int, err error) {
	got, err := o.Fetch(ctx, queue.FetchRequest{Queues: queues, Want: want, First: s.Tokens(want),
		Draws: draws, Done: done})
	return got.Own(), len(done) - got.Acked, err
}

// fetch fetches as the fixture's owner, and acknowledges done.
func (f *fixture) fetch(want int, done ...*queue.Delivery) []*queue.Delivery {
	f.Helper()
	jobs, stale, err := take(f.Context(), f.store, f.owner, abc, want, nil, done)
	if err != nil || stale != 0 {
		f.Fatalf("fetch: %v, %d stale", err, stale)
	}
	return jobs
}

// settleOne settles a delivery, and reports whether it was in flight.
func settleOne(ctx context.Context, s *queue.Store, x queue.Settlement) (bool, error) {
	results, err := s.Settle(ctx, []queue.Settlement{x})
	return err == nil && results[0] == queue.Settled, err
}

func (f *fixture) settle(d *queue.Delivery, a queue.Action, payload string) bool {
	f.Helper()
	settled, err := settleOne(f.Context(), f.store, queue.Settlement{Delivery: d, Action: a,
		Payload: payload, At: time.Unix(2e9, 0), To: "b"})
	if err != nil {
		f.Fatal(err)
	}
	return settled
}

// land moves the next job of a queue to the landing list of h:1:a, as a doorbell would.
func (f *fixture) land(q string) {
	f.Helper()
	if err := f.raw.LMove(f.Context(), "queue:"+q, "kyu:{queue:"+q+"}:landing:h:1:a", "RIGHT",
		"LEFT").Err(); err != nil {
		f.Fatal(err)
	}
}

// fence declares the owner with an identity dead.
func (f *fixture) fence(identity string) {
	f.Helper()
	leases, err := f.store.Leases(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	for _, l := range leases {
		if l.Identity != identity {
			continue
		}
		if ok, err := f.store.Fence(f.Context(), l); !ok {
			f.Fatal("not fenced: ", err)
		}
	}
}

// at checks where the jobs are: "queue:a=2 inflight=1".
func (f *fixture) at(want string) {
	f.Helper()
	if got := redistest.Places(f.Context(), f.raw); got != want {
		f.Errorf("jobs are at %q, want %q", got, want)
	}
}

// jids returns the JIDs of deliveries.
func (f *fixture) jids(jobs []*queue.Delivery) string {
	f.Helper()
	var list []string
	for _, d := range jobs {
		j, err := envelope.ParseJob(d.Raw)
		if err != nil {
			f.Fatal(err)
		}
		list = append(list, j.JID)
	}
	return strings.Join(list, " ")
}

// jidOf returns the JID of a payload, or bytes that are no job.
func jidOf(raw string) string {
	j, err := envelope.ParseJob(raw)
	if err != nil {
		return raw
	}
	return j.JID
}

// page returns the first n entries of a set.
func (f *fixture) page(set *inspect.JobSet, n int64) []queue.Entry {
	f.Helper()
	list, err := set.Page(f.Context(), 0, n)
	if err != nil {
		f.Fatal(err)
	}
	return list
}

// same checks a value.
func same[T comparable](t testing.TB, name string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", name, got, want)
	}
}

// says reports whether the text of an error has all the parts.
func says(err error, parts ...string) bool {
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			return false
		}
	}
	return true
}

// bulkArgs returns the arguments of n jobs.
func bulkArgs(n int) [][]any {
	args := make([][]any, n)
	for i := range args {
		args[i] = []any{i, "abcdefghijklmnopqrstuvwxyzabcdef"}
	}
	return args
}
