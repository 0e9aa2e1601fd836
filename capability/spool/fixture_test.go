package spool_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/spool"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(pusherDir); dir != "" { // a process of TestKill or TestFolder
		if err := pusher(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// bench is a Redis with a spool before it.
type bench struct {
	*testing.T
	server *redistest.Server
	raw    *redis.Client
	store  *queue.Store
	dir    string
	spool  *spool.Spool
	client *queue.Client
	log    *testwait.Log
}

func newBench(t *testing.T, o spool.Options, config ...func(*queue.Config)) *bench {
	t.Helper()
	b := &bench{T: t, server: redistest.Start(t), dir: t.TempDir()}
	b.raw, b.store = b.server.Client(), b.server.Store(config...)
	b.open(b.store, o)
	return b
}

// open opens the spool in the folder of the bench.
func (b *bench) open(backend queue.Backend, o spool.Options) {
	b.Helper()
	b.log = new(testwait.Log)
	o.Logger = slog.New(slog.NewTextHandler(b.log, nil))
	s, err := spool.Open(b.dir, backend, o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	b.spool, b.client = s, queue.NewClient(s)
}

// run runs the spool until the test ends, or until stop is called.
func (b *bench) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- b.spool.Run(ctx) }() // ends with cancel
	stop = func() {
		if ctx.Err() != nil {
			return
		}
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	}
	b.Cleanup(stop)
	return stop
}

// push pushes a job, and fails the test if that returns an error.
func (b *bench) push(q, jid string) {
	b.Helper()
	_, err := b.client.Push(b.Context(), "Job", nil, queue.Options{Queue: q, JID: jid})
	if err != nil {
		b.Fatal(err)
	}
}

// drained waits until nothing waits on the disk.
func (b *bench) drained() {
	b.Helper()
	testwait.Until(b, 20*time.Second, "the spool is empty",
		func() bool { return b.spool.Stats().Waiting == 0 })
}

// jids are the JIDs in a queue, in the order in which they were pushed.
func (b *bench) jids(q string) string {
	b.Helper()
	return strings.Join(jidsIn(b, b.raw, q), " ")
}

func jidsIn(t testing.TB, raw *redis.Client, q string) (list []string) {
	t.Helper()
	payloads, err := raw.LRange(context.Background(), "queue:"+q, 0, -1).Result()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range payloads {
		j, err := envelope.ParseJob(p)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, j.JID)
	}
	slices.Reverse(list)
	return list
}

// files are the names of the files in the folder of the spool.
func (b *bench) files() string {
	b.Helper()
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		b.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func (b *bench) same(what string, got, want any) {
	b.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		b.Errorf("%s: %v, want %v", what, got, want)
	}
}

// letters are the arguments of a job that has n letters more than one without.
func letters(n int) []any { return []any{json.RawMessage(`"` + strings.Repeat("x", n) + `"`)} }
