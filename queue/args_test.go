package queue_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/worker/workertest"
	"github.com/redis/go-redis/v9"
)

type welcome struct {
	User   int
	Locale string   `job:"optional"`
	Tags   []string `job:"rest"`
}

func (welcome) JobClass() string { return "WelcomeWorker" }

type broken struct {
	A int `job:"optional"`
	B int
}

func (broken) JobClass() string { return "Broken" }

type ownJSON struct{ A int }

func (ownJSON) JobClass() string             { return "OwnJSON" }
func (ownJSON) MarshalJSON() ([]byte, error) { return []byte("[]"), nil }

type number int

func (number) JobClass() string { return "Number" }

func TestPush(t *testing.T) {
	fake := &workertest.Fake{}
	c := queue.NewClient(fake)
	argsOf := func() (list []string) {
		for _, j := range fake.Jobs("WelcomeWorker") {
			list = append(list, string(j.Args))
		}
		fake.Clear()
		return list
	}
	t.Run("a struct's fields are the arguments, in order", func(t *testing.T) {
		jid, err := queue.Push(t.Context(), c, welcome{1, "ja", []string{"a", "b"}},
			queue.Options{Queue: "mailers"})
		if jobs := fake.Jobs(); err != nil || len(jobs) != 1 || jobs[0].JID != jid ||
			jobs[0].Queue != "mailers" {
			t.Fatalf("%v, %v", jobs, err)
		}
		if got := argsOf(); !slices.Equal(got, []string{`[1,"ja","a","b"]`}) {
			t.Errorf("pushed %v", got)
		}
	})
	t.Run("a pointer to a struct is as good, and options may be left out", func(t *testing.T) {
		if _, err := queue.Push(t.Context(), c, &welcome{User: 2}); err != nil {
			t.Fatal(err)
		}
		if got := argsOf(); !slices.Equal(got, []string{"[2]"}) {
			t.Errorf("pushed %v", got)
		}
	})
	t.Run("many are pushed in their order", func(t *testing.T) {
		jids, err := queue.PushAll(t.Context(), c, []welcome{{User: 1}, {User: 2}, {User: 3}})
		if err != nil || len(jids) != 3 {
			t.Fatal(jids, err)
		}
		if got := argsOf(); !slices.Equal(got, []string{"[1]", "[2]", "[3]"}) {
			t.Errorf("pushed %v", got)
		}
		if jids, err := queue.PushAll(t.Context(), c, []welcome{}); err != nil || jids != nil {
			t.Errorf("of none: %v, %v", jids, err)
		}
	})
	for name, c2 := range map[string]struct {
		args queue.Args
		says string
	}{
		"a wrong tag": {broken{},
			"broken.B is required but comes after an optional one"},
		"what is no struct":        {number(1), "want a struct"},
		"a nil pointer":            {(*welcome)(nil), "want a struct"},
		"what has JSON of its own": {ownJSON{}, "push its arguments with Client.Push"},
	} {
		t.Run("refuses "+name+", and pushes nothing", func(t *testing.T) {
			_, err := queue.Push(t.Context(), c, c2.args)
			var invalid *queue.InvalidError
			if !errors.As(err, &invalid) || !strings.Contains(err.Error(), c2.says) {
				t.Errorf("error %v, want one that says %q", err, c2.says)
			}
			if n := len(fake.Jobs()); n != 0 {
				t.Errorf("%d jobs were pushed", n)
			}
		})
	}
}

func TestAttempt(t *testing.T) {
	for fields, want := range map[string]int{
		"": 1, `,"retry_count":0`: 2, `,"retry_count":3`: 5, `,"retry_count":-1`: 1,
		`,"retry_count":-9`: 1, `,"retry_count":99999999999`: 1_000_002,
	} {
		j, err := envelope.ParseJob(`{"class":"A","args":[]` + fields + `}`)
		if err != nil || j.Attempt() != want {
			t.Errorf("%s: %d, %v, want %d", fields, j.Attempt(), err, want)
		}
	}
}

// counting is a hook that counts commands.
type counting struct{ commands atomic.Int64 }

func (c *counting) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c *counting) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.commands.Add(1)
		return next(ctx, cmd)
	}
}

func (c *counting) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func TestConfigOptions(t *testing.T) {
	t.Run("a dialer and a hook of one's own are used", func(t *testing.T) {
		var dialed atomic.Int64
		hook := &counting{}
		s := redistest.Start(t).Store(func(c *queue.Config) {
			c.Hooks = []redis.Hook{hook}
			c.Options = func(o *redis.Options) {
				o.DialTimeout = time.Minute
				o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
					dialed.Add(1)
					return new(net.Dialer).DialContext(ctx, network, addr)
				}
			}
		})
		before := hook.commands.Load()
		if _, err := queue.Push(t.Context(), queue.NewClient(s), welcome{}); err != nil {
			t.Fatal(err)
		}
		if dialed.Load() == 0 || hook.commands.Load() == before {
			t.Errorf("%d connections, %d commands", dialed.Load(), hook.commands.Load()-before)
		}
	})
}

func TestFromEnvironment(t *testing.T) {
	for _, name := range []string{"SIDEKIQ_REDIS_URL", "REDIS_PROVIDER", "REDIS_HOST"} {
		t.Setenv(name, "")
	}
	t.Run("reads Mastodon's variables", func(t *testing.T) {
		t.Setenv("REDIS_URL", "redis://redis.example:6380/3")
		c, err := queue.FromEnvironment()
		if want := "redis://redis.example:6380/3"; err != nil || c.URL != want {
			t.Errorf("%+v, %v", c.URL, err)
		}
	})
	t.Run("names everything that is wrong", func(t *testing.T) {
		t.Setenv("REDIS_URL", "http://x")
		t.Setenv("REDIS_NAMESPACE", "a b")
		_, err := queue.FromEnvironment()
		for _, name := range []string{"http://x", "REDIS_NAMESPACE"} {
			if err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%q does not name %s", err, name)
			}
		}
	})
}
