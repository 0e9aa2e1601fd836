package inspect_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixture is a Redis with an owner, h:1:a, that holds a lease and serves the queue a.
type fixture struct {
	*testing.T
	server *redistest.Server
	raw    *redis.Client
	store  *queue.Store
	in     *inspect.Inspector
	owner  *queue.Owner
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	s := redistest.Start(t)
	f := &fixture{T: t, server: s, raw: s.Client(), store: s.Store()}
	f.in, f.owner = inspect.New(f.store), f.store.Owner("h:1:a")
	if err := f.owner.Register(t.Context(), queue.Host{Name: "h", PID: 1}, []string{"a"},
		time.Minute); err != nil {
		t.Fatal(err)
	}
	return f
}

// sub returns the fixture for a subtest.
func (f *fixture) sub(t *testing.T) *fixture {
	sub := *f
	sub.T = t
	return &sub
}

// push pushes n jobs to a queue. Their JIDs and first arguments count from 0: a0, a1, ….
func (f *fixture) push(q string, n int) {
	f.Helper()
	client := queue.NewClient(f.store)
	for i := range n {
		if _, err := client.Push(f.Context(), "Job", []any{i},
			queue.Options{Queue: q, JID: fmt.Sprintf("%s%d", q, i)}); err != nil {
			f.Fatal(err)
		}
	}
}

// at checks where the jobs are: "queue:a=2 retry=1".
func (f *fixture) at(want string) {
	f.Helper()
	if got := redistest.Places(f.Context(), f.raw); got != want {
		f.Errorf("jobs are at %q, want %q", got, want)
	}
}

// same checks a value.
func same[T comparable](t testing.TB, name string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s is %v, want %v", name, got, want)
	}
}
