package cron

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
	"github.com/redis/go-redis/v9"
)

// fixture is a Redis, and a Store that knows the capability.
type fixture struct {
	*testing.T
	server *redistest.Server
	raw    *redis.Client
	store  *queue.Store
}

func newFixture(t *testing.T, args ...string) *fixture {
	t.Helper()
	s := redistest.Start(t, args...)
	return &fixture{t, s, s.Client(), withCron(s)}
}

func withCron(s *redistest.Server) *queue.Store {
	return s.Store(func(c *queue.Config) { c.Capabilities = []queue.Capability{Capability()} })
}

// scheduler returns a Scheduler of entries, whose log goes to log if that is not nil.
func (f *fixture) scheduler(log io.Writer, entries ...Entry) *Scheduler {
	f.Helper()
	if log == nil {
		log = io.Discard
	}
	s, err := New(Config{Store: f.store, Schedule: Schedule{Entries: entries},
		Logger: slog.New(slog.NewTextHandler(log, nil))})
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// run runs Schedulers until stop is called.
func (f *fixture) run(list ...*Scheduler) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, len(list))
	for _, s := range list {
		go func() { done <- s.Run(ctx) }()
	}
	return func() {
		cancel()
		for range list {
			if err := <-done; err != nil {
				f.Error(err)
			}
		}
	}
}

// jobs returns the jobs of a queue, the oldest first.
func (f *fixture) jobs(name string) (list []*envelope.Job) {
	f.Helper()
	raws, err := f.raw.LRange(f.Context(), "queue:"+name, 0, -1).Result()
	if err != nil {
		f.Fatal(err)
	}
	for i := range raws {
		j, err := envelope.ParseJob(raws[len(raws)-1-i])
		if err != nil {
			f.Fatal(err)
		}
		list = append(list, j)
	}
	return list
}

// in returns the fixture for a subtest.
func (f *fixture) in(t *testing.T) *fixture { return &fixture{t, f.server, f.raw, f.store} }

// decode reads JSON that may be missing.
func decode(text string, out any) { _ = json.Unmarshal([]byte(text), out) }

func (f *fixture) until(limit time.Duration, what string, cond func() bool) {
	f.Helper()
	testwait.Until(f, limit, what, cond)
}

// runs returns the history of an entry without times, the oldest first.
func (f *fixture) runs(name string) string {
	var out []string
	list := f.raw.LRange(f.Context(), "kyu:cron:"+name+":runs", 0, -1).Val()
	for i := range list {
		out = append(out, strings.SplitN(list[len(list)-1-i], " ", 3)[2])
	}
	return strings.Join(out, ", ")
}

func same(t testing.TB, what string, got, want any) {
	t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		t.Errorf("%s: %s, want %s", what, g, w)
	}
}

// secondly is an entry that is due each second.
func secondly(name string) Entry {
	return Entry{Name: name, Cron: "* * * * * *", Class: "Job", Misfire: All}
}
