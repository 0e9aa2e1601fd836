// Package interop runs the interoperability cases of docs/sidekiq.md. They run the built
// programs and package queue beside a real Ruby Sidekiq, on a real Redis. The Sidekiq of Debian
// 12 is 6.4.1. Beside it, cases use the payloads and keys in testdata/golden, which the real
// Sidekiq 7.3 and 8.1 wrote. `make interop-new` runs the cases with these versions themselves.
package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/redis/go-redis/v9"
)

// kase is one case with one version of Sidekiq. Its Redis is empty at the start.
type kase struct {
	*harness.Site
	ruby *harness.Ruby
	v    int  // the major version of Sidekiq
	real bool // ruby is of this version; otherwise there are only golden data of it
}

// TestCases runs the rows of the table in docs/sidekiq.md. Most run beside each other, because
// they wait for processes most of the time.
func TestCases(t *testing.T) {
	p := newPairs(t)
	for _, c := range slices.Concat(rubyPushes, goPushes, rubyWatches, goWatches, mixed) {
		for _, v := range tried {
			why := c.left(v)
			if why != "" && len(tried) > 1 {
				continue // the table names the reason
			}
			t.Run(fmt.Sprintf("%s %s, Sidekiq %d", c.id, c.says, v), func(t *testing.T) {
				if why != "" {
					t.Skip(why)
				}
				t.Cleanup(func() { note(c, v, !t.Failed()) })
				if !c.alone {
					t.Parallel()
				}
				c.run(p.borrow(t, v))
			})
		}
	}
}

// pair is a Redis and a Ruby process on it.
type pair struct {
	site *harness.Site
	ruby *harness.Ruby
}

// pairs are those of a test. A case borrows one, so that it disturbs no other case.
type pairs struct {
	t    *testing.T
	free chan pair
}

func newPairs(t *testing.T) *pairs { return &pairs{t, make(chan pair, 100)} }

// borrow gives a case a pair until its end, with an empty Redis.
func (p *pairs) borrow(t *testing.T, v int) *kase {
	t.Helper()
	one := p.take()
	t.Cleanup(func() { p.free <- one })
	site := one.site.With(t)
	// The doorbells of a worker that was killed could take the first job of this case.
	site.Until(10*time.Second, "no client of an earlier case is blocked in Redis", func() bool {
		return strings.Contains(site.Raw.Info(t.Context(), "clients").Val(),
			"blocked_clients:0\r")
	})
	site.Clear()
	return &kase{Site: site, ruby: one.ruby.With(site), v: v, real: v == major}
}

// take gives a pair that no case has, and starts one if there is none.
func (p *pairs) take() pair {
	select {
	case one := <-p.free:
		return one
	default:
		return start(p.t)
	}
}

func start(t *testing.T) pair {
	site := harness.New(t)
	return pair{site, site.Ruby()}
}

// newKase is a case outside of the table, on servers of its own.
func newKase(t *testing.T) *kase {
	one := start(t)
	return &kase{Site: one.site, ruby: one.ruby, v: major, real: true}
}

// own gives a case a Redis that it may kill.
func (k *kase) own(args ...string) *kase {
	own := *k
	own.Site = harness.New(k.TB, args...)
	return &own
}

// enqueue puts raw bytes into the queue "default".
func (k *kase) enqueue(raw string) string {
	k.Helper()
	k.Raw.SAdd(k.Context(), "queues", "default")
	k.Must(k.Raw.LPush(k.Context(), "queue:default", raw).Err())
	return raw
}

// worker starts the built worker. It polls the retry and schedule sets twice a second.
func (k *kase) worker(args ...string) *harness.Process {
	k.Helper()
	return k.Worker(append([]string{"-C", k.config("poll_interval_average: 0.5\n")}, args...)...)
}

// workerArgs is the command line of such a worker, for a program that starts it.
func (k *kase) workerArgs(args ...string) []string {
	k.Helper()
	return append([]string{filepath.Join(harness.Bin, "testworker"), "--test-jobs",
		"--log-format", "plain", "-C", k.config("poll_interval_average: 0.5\n")}, args...)
}

// config writes a configuration file and returns its path.
func (k *kase) config(yaml string) string {
	k.Helper()
	f, err := os.CreateTemp(k.Dir, "*.yml")
	k.Must(err)
	defer f.Close()
	_, err = f.WriteString(yaml)
	k.Must(err)
	return f.Name()
}

// members are the members of a sorted set, in order.
func (k *kase) members(set string) []redis.Z {
	return k.Raw.ZRangeWithScores(k.Context(), set, 0, -1).Val()
}

// parse reads the bytes of a job.
func (k *kase) parse(raw string) *queue.Job {
	k.Helper()
	j, err := envelope.ParseJob(raw)
	if err != nil {
		k.Fatalf("%v: %s", err, raw)
	}
	return j
}

// one waits until a set holds exactly one job, and reads it.
func (k *kase) one(set string) (j *queue.Job, due time.Time) {
	k.Helper()
	k.Until(10*time.Second, "one job in "+set, func() bool { return k.Card(set) == 1 })
	z := k.members(set)[0]
	return k.parse(z.Member.(string)), time.UnixMicro(int64(z.Score * 1e6))
}

// due makes every job of a set due.
func (k *kase) due(set string) {
	k.Helper()
	for _, z := range k.members(set) {
		k.Raw.ZAdd(k.Context(), set, redis.Z{Score: 1000, Member: z.Member})
	}
}

// ran waits until there are n records of an event.
func (k *kase) ran(event string, n int) []harness.Record {
	k.Helper()
	k.Until(20*time.Second, fmt.Sprintf("%d records %q", n, event),
		func() bool { return len(k.Records(event)) >= n })
	return k.Records(event)
}

// raw are the bytes of the jobs in a queue. The first is the next to run.
func (k *kase) raw(name string) []string {
	k.Helper()
	list, err := inspect.New(k.Store).QueuePage(k.Context(), name, 0, 10_000)
	k.Must(err)
	return list
}

// sameJSON compares JSON by its bytes, so that 1.0 is not 1.
func (k *kase) sameJSON(what string, got []byte, want string) {
	k.Helper()
	if string(got) != want {
		k.Errorf("%s: %s, want %s", what, got, want)
	}
}

// kept checks that a key expires, at the earliest after low and at the latest after high.
func (k *kase) kept(key string, low, high time.Duration) {
	k.Helper()
	harness.Between(k, "time to live of "+key, k.Raw.TTL(k.Context(), key).Val(), low, high)
}

// readTime reads a timestamp in JSON as the given version of Sidekiq does. Versions 6 and 7 read
// any number as seconds. Version 8 decides by the JSON type alone (docs/wire.md 3.3).
func readTime(version int, token string) time.Time {
	f, err := strconv.ParseFloat(token, 64)
	switch {
	case err != nil:
		return time.Time{}
	case version >= 8 && !strings.ContainsAny(token, ".eE"):
		return time.UnixMilli(int64(f))
	default:
		return time.UnixMicro(int64(f * 1e6))
	}
}

// near checks that a version reads a timestamp as now, within a minute.
func (k *kase) near(version int, what, token string) {
	k.Helper()
	if d := time.Since(readTime(version, token)); d.Abs() > time.Minute {
		k.Errorf("%s %s: Sidekiq %d reads it as %v ago", what, token, version, d)
	}
}
