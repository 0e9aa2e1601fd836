// Package harness runs the programs as real processes in tests: on a Redis for each test,
// beside a real Ruby Sidekiq, and under a real systemd.
package harness

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
	"github.com/redis/go-redis/v9"
)

// Site is a test's Redis, and the processes that use it.
type Site struct {
	testing.TB
	Server *redistest.Server
	Raw    *redis.Client // may do everything
	Store  *queue.Store  // has a worker's rights
	Client *queue.Client
	Dir    string   // for files of the test
	Env    []string // further variables for workerctl

	records *records
}

// New starts a Redis; args are its settings (see redistest.Start).
func New(t testing.TB, args ...string) *Site {
	t.Helper()
	s := &Site{TB: t, Server: redistest.Start(t, args...), Dir: t.TempDir(),
		records: new(records)}
	s.Raw, s.Store = s.Server.Client(), s.Server.Store()
	s.Client = queue.NewClient(s.Store)
	return s
}

// Over returns a site on a Redis that the test has started itself. url is for programs.
func Over(t testing.TB, url string, raw *redis.Client, store *queue.Store) *Site {
	t.Helper()
	return &Site{TB: t, Server: &redistest.Server{URL: url}, Raw: raw, Store: store,
		Client: queue.NewClient(store), Dir: t.TempDir(), records: new(records)}
}

// With returns the same site for a subtest.
func (s *Site) With(t testing.TB) *Site {
	c := *s
	c.TB = t
	return &c
}

// Until waits until cond is true; see testwait.Until.
func (s *Site) Until(limit time.Duration, what string, cond func() bool) {
	s.Helper()
	testwait.Until(s, limit, what, cond)
}

// Ctl runs workerctl, and returns its output and exit code.
func (s *Site) Ctl(stdin string, args ...string) (out string, code int) {
	s.Helper()
	cmd := exec.Command(filepath.Join(Bin, "workerctl"), args...)
	cmd.Env = append(append(os.Environ(), "REDIS_URL="+s.Server.URL), s.Env...)
	cmd.Stdin = strings.NewReader(stdin)
	b, _ := cmd.CombinedOutput()
	return string(b), cmd.ProcessState.ExitCode()
}

// OK runs workerctl, checks that it succeeds and prints want, and returns its output.
func (s *Site) OK(want string, args ...string) string {
	s.Helper()
	return s.Exits(0, want, args...)
}

// Exits runs workerctl, which must end with an exit code and print want. It returns the output.
func (s *Site) Exits(code int, want string, args ...string) string {
	s.Helper()
	out, got := s.Ctl("", args...)
	if got != code || !strings.Contains(out, want) {
		s.Errorf("workerctl %s: exit code %d, want %d and %q in\n%s", strings.Join(args, " "), got,
			code, want, out)
	}
	return out
}

// LedgerPath returns the path of the file to which Test::Ledger jobs write.
func (s *Site) LedgerPath() string { return filepath.Join(s.Dir, "ledger") }

// Ledger reads that file. It returns how often each id has started and ended, and the order
// of the starts.
func (s *Site) Ledger() (starts, ends map[string]int, order []string) {
	s.Helper()
	b, err := os.ReadFile(s.LedgerPath())
	if err != nil && !os.IsNotExist(err) {
		s.Fatal(err)
	}
	return ReadLedger(string(b))
}

// ReadLedger reads the text of a ledger.
func ReadLedger(text string) (starts, ends map[string]int, order []string) {
	starts, ends = map[string]int{}, map[string]int{}
	for line := range strings.Lines(text) {
		event, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		if event == "start" {
			starts[id]++
			order = append(order, id)
		} else {
			ends[id]++
		}
	}
	return starts, ends, order
}

// InFlight counts the jobs that are in flight or landed, also those of dead workers.
func (s *Site) InFlight() (n int64) {
	ctx := context.Background()
	for _, key := range s.Raw.Keys(ctx, "kyu:{queue:*").Val() {
		switch {
		case strings.Contains(key, ":inflight:"):
			n += s.Raw.HLen(ctx, key).Val()
		case strings.Contains(key, ":landing:"):
			n += s.Raw.LLen(ctx, key).Val()
		}
	}
	return n
}

// Waiting is the number of jobs in all queues, also of those that are parked in lanes.
func (s *Site) Waiting() (n int64) {
	for _, pattern := range []string{"queue:*", "kyu:{queue:*}:lanes:lane:*",
		"kyu:{queue:*}:lanes:arrived"} {
		for _, key := range s.Raw.Keys(context.Background(), pattern).Val() {
			n += s.Raw.LLen(context.Background(), key).Val()
		}
	}
	return n
}

// Card returns the size of a sorted set.
func (s *Site) Card(set string) int64 { return s.Raw.ZCard(context.Background(), set).Val() }

// Len returns the length of a queue.
func (s *Site) Len(queue string) int64 {
	return s.Raw.LLen(context.Background(), "queue:"+queue).Val()
}

// Push pushes a job and returns its jid. An error fails the test.
func (s *Site) Push(class string, args []any, o queue.Options) string {
	s.Helper()
	jid, err := s.Client.Push(context.Background(), class, args, o)
	s.Must(err)
	return jid
}

// countAll counts the jobs that wait, have landed or are in flight. It is a script, because a
// job can move from a queue to another place between two commands.
const countAll = `local n = 0
for _, key in ipairs(redis.call('KEYS', 'queue:*')) do n = n + redis.call('LLEN', key) end
for _, key in ipairs(redis.call('KEYS', 'kyu:{queue:*')) do
  if string.find(key, ':inflight:') then n = n + redis.call('HLEN', key)
  elseif string.find(key, ':landing:') or string.find(key, ':lanes:lane:', 1, true)
      or string.find(key, ':lanes:arrived', 1, true) then
    n = n + redis.call('LLEN', key)
  end
end
return n`

// Settled waits until the queues are empty and no job is in flight.
func (s *Site) Settled(limit time.Duration) {
	s.Helper()
	s.Until(limit, "the queues are empty and no job is in flight", func() bool {
		n, err := s.Raw.Eval(context.Background(), countAll, nil).Int()
		return err == nil && n == 0
	})
}
