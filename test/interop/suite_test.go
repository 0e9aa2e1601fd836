// Package interop runs the interoperability cases of docs/sidekiq.md: the built
// worker and workerctl, and package queue, beside a real Ruby Sidekiq 6.4.1 on a
// real Redis. For Sidekiq 7 and 8, whose Ruby is not in Debian 12, payloads and
// keys in testdata/golden stand in, made by hand from what those versions write.
package interop

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/redis/go-redis/v9"
)

// versions of Sidekiq that a case is run with: 6 is the real one.
type versions []int

var (
	all   = versions{6, 7, 8}
	six   = versions{6}
	seven = versions{7}
	eight = versions{8}
	later = versions{7, 8}
)

// Why a case is not run with a version.
const (
	noRuby = "needs a running Sidekiq of that version, which Debian 12 does not have; what it " +
		"would read is held by the golden checks of the other cases"
	sameWire = "nothing that this case looks at differs from 6.4.1 on the wire"
	notIn6   = "6.4.1 does not have it"
	not7     = "7 does not write it"
)

// suite is one Redis and one Ruby process, which the cases of a section share.
type suite struct {
	t    *testing.T
	site *harness.Site
	ruby *harness.Ruby
}

func newSuite(t *testing.T) *suite {
	s := &suite{t: t, site: harness.New(t)}
	s.ruby = s.site.Ruby()
	return s
}

// kase is one case with one version, on an empty database.
type kase struct {
	*harness.Site
	t    *testing.T
	ruby *harness.Ruby
	v    int
}

// check runs a case with the versions that it can be run with, and notes the
// outcome for the table of docs/sidekiq.md. why says why the others are missing.
func (s *suite) check(id, says string, vs versions, why string, run func(k *kase)) {
	s.t.Helper()
	for _, v := range vs {
		name := fmt.Sprintf("%s %s, Sidekiq %d", id, says, v)
		passed := s.t.Run(name, func(t *testing.T) {
			site := s.site.With(t)
			site.Until(10*time.Second, "nobody sleeps in Redis", func() bool {
				return strings.Contains(site.Raw.Info(t.Context(), "clients").Val(),
					"blocked_clients:0\r")
			}) // the bells of a worker that was killed: one would swallow the next job
			site.Clear()
			run(&kase{Site: site, t: t, ruby: s.ruby.With(site), v: v})
		})
		note(id, says, v, passed, why)
	}
	note(id, says, 0, true, why)
}

// golden reads what a version writes.
func (k *kase) golden(name string) string {
	k.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", "golden", strconv.Itoa(k.v), name))
	if err != nil {
		k.Fatal(err)
	}
	return strings.TrimSuffix(string(b), "\n")
}

// push pushes a job as version v does: 6 by Ruby code, 7 and 8 by a golden
// payload. It returns the bytes in the queue.
func (k *kase) push(ruby, golden string) string {
	k.Helper()
	if k.v == 6 {
		k.ruby.Do(nil, ruby+"; nil")
		name := k.Raw.SRandMember(k.Context(), "queues").Val()
		return k.Raw.LIndex(k.Context(), "queue:"+name, 0).Val()
	}
	return k.enqueue(k.golden(golden + ".json"))
}

// enqueue puts raw bytes into the queue "default".
func (k *kase) enqueue(raw string) string {
	k.Helper()
	k.Raw.SAdd(k.Context(), "queues", "default")
	if err := k.Raw.LPush(k.Context(), "queue:default", raw).Err(); err != nil {
		k.Fatal(err)
	}
	return raw
}

// row is a key of a dump.
type row struct {
	Key   string
	Type  string
	TTL   int
	Value json.RawMessage
}

// load puts a dump of keys into Redis.
func (k *kase) load(name string) {
	k.Helper()
	var rows []row
	if err := json.Unmarshal([]byte(k.golden(name)), &rows); err != nil {
		k.Fatal(err)
	}
	for _, r := range rows {
		var err error
		switch r.Type {
		case "hash":
			var h map[string]string
			json.Unmarshal(r.Value, &h)
			err = k.Raw.HSet(k.Context(), r.Key, h).Err()
		case "set":
			var members []any
			json.Unmarshal(r.Value, &members)
			err = k.Raw.SAdd(k.Context(), r.Key, members...).Err()
		case "bits":
			var text string
			json.Unmarshal(r.Value, &text)
			b, herr := hex.DecodeString(text)
			if herr != nil {
				k.Fatal(herr)
			}
			err = k.Raw.Set(k.Context(), r.Key, b, 0).Err()
		default:
			k.Fatalf("%s: type %s", r.Key, r.Type)
		}
		if err != nil {
			k.Fatal(err)
		}
		if r.TTL > 0 {
			k.Raw.Expire(k.Context(), r.Key, time.Duration(r.TTL)*time.Second)
		}
	}
}

// worker starts the built worker, which looks at the retry and schedule sets
// twice a second.
func (k *kase) worker(args ...string) *harness.Process {
	k.Helper()
	return k.Worker(append([]string{"-C", k.config("poll_interval_average: 0.5\n")}, args...)...)
}

func (k *kase) config(yaml string) string {
	k.Helper()
	f, err := os.CreateTemp(k.Dir, "*.yml")
	if err != nil {
		k.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(yaml); err != nil {
		k.Fatal(err)
	}
	return f.Name()
}

// members are a sorted set's, in order.
func (k *kase) members(set string) []redis.Z {
	return k.Raw.ZRangeWithScores(k.Context(), set, 0, -1).Val()
}

// one waits until a set holds exactly one job, and reads it.
func (k *kase) one(set string) (*queue.Job, time.Time) {
	k.Helper()
	k.Until(10*time.Second, "one job in "+set, func() bool { return k.Card(set) == 1 })
	z := k.members(set)[0]
	j, err := envelope.ParseJob(z.Member.(string))
	if err != nil {
		k.Fatalf("%s: %v: %v", set, z.Member, err)
	}
	return j, time.UnixMicro(int64(z.Score * 1e6))
}

// due makes every job of a set due.
func (k *kase) due(set string) {
	k.Helper()
	for _, z := range k.members(set) {
		k.Raw.ZAdd(k.Context(), set, redis.Z{Score: 1000, Member: z.Member})
	}
}

// ran waits until n records of an event are there.
func (k *kase) ran(event string, n int) []harness.Record {
	k.Helper()
	k.Until(20*time.Second, fmt.Sprintf("%d times %q", n, event),
		func() bool { return len(k.Records(event)) >= n })
	return k.Records(event)
}

// raw are the bytes of the jobs in a queue, the next to run first.
func (k *kase) raw(name string) []string {
	k.Helper()
	list, err := inspect.New(k.Store).QueuePage(k.Context(), name, 0, 10_000)
	if err != nil {
		k.Fatal(err)
	}
	return list
}

// readTime reads a timestamp token as the given version of Sidekiq does: up to 7
// any number is seconds; 8 decides by the JSON type alone (docs/wire.md 3.3).
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

// near asserts that a timestamp token is read as now by a version.
func (k *kase) near(version int, what, token string) {
	k.Helper()
	if d := time.Since(readTime(version, token)); d < -time.Minute || d > time.Minute {
		k.Errorf("%s %s: Sidekiq %d reads it as %v ago", what, token, version, d)
	}
}

func (k *kase) equal(what string, got, want any) {
	k.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		k.Errorf("%s: %v, want %v", what, got, want)
	}
}

// sameJSON compares JSON by its tokens, so that 1.0 is not 1.
func (k *kase) sameJSON(what string, got json.RawMessage, want string) {
	k.Helper()
	if string(got) != want {
		k.Errorf("%s: %s, want %s", what, got, want)
	}
}

// results by case, for the table.
var results = struct {
	sync.Mutex
	cases map[string]*result
}{cases: map[string]*result{}}

type result struct {
	says, why string
	passed    map[int]bool
	failed    bool
}

func note(id, says string, version int, passed bool, why string) {
	results.Lock()
	defer results.Unlock()
	r := results.cases[id]
	if r == nil {
		r = &result{says: says, why: why, passed: map[int]bool{}}
		results.cases[id] = r
	}
	r.passed[version] = passed
	r.failed = r.failed || !passed
}

// workerArgs is the command line of a worker for a program that starts it.
func (k *kase) workerArgs(args ...string) []string {
	k.Helper()
	return append([]string{filepath.Join(harness.Bin, "testworker"), "--test-jobs",
		"--log-format", "plain", "-C", k.config("poll_interval_average: 0.5\n")}, args...)
}
