package faults

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
)

// ledger holds what is known of all jobs: which were about to be pushed, which pushes Redis
// acknowledged, and how often each job started and ended. The jobs write their starts and ends to
// a file, which survives the SIGKILL of its writers.
type ledger struct {
	path string

	mu     sync.Mutex
	intent map[string]bool
	acked  map[string]bool
	class  map[string]string // of the jobs that are not of the class Test::Ledger

	file         *os.File
	tail         []byte // the last line, if its end is not read yet
	starts, ends map[string]int
	torn         []string            // jobs that got other bytes than were pushed
	left         []string            // jobs that check found in Redis, and that have not ended
	places       map[string][]string // by job: where check found it
	events       histories
	claims       claims
}

func newLedger(s *harness.Site) *ledger {
	return &ledger{path: s.LedgerPath(), intent: map[string]bool{}, acked: map[string]bool{},
		class:  map[string]string{},
		starts: map[string]int{}, ends: map[string]int{},
		events: histories{of: map[string][]event{}}, claims: newClaims()}
}

// intend notes that a job is about to be pushed. acknowledge notes that Redis confirmed the push.
func (l *ledger) intend(id string)      { l.mu.Lock(); l.intent[id] = true; l.mu.Unlock() }
func (l *ledger) acknowledge(id string) { l.mu.Lock(); l.acked[id] = true; l.mu.Unlock() }

// open returns the jobs that were acknowledged and have not ended, as far as the file was read.
func (l *ledger) open() map[string]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	open := map[string]bool{}
	for id := range l.acked {
		if l.ends[id] == 0 {
			open[id] = true
		}
	}
	return open
}

// unended returns how many jobs were acknowledged and have not ended.
func (l *ledger) unended(t testing.TB) int {
	t.Helper()
	l.read(t)
	return len(l.open())
}

// read reads the lines that the jobs wrote since the last call.
func (l *ledger) read(t testing.TB) {
	t.Helper()
	if l.file == nil {
		f, err := os.Open(l.path)
		if os.IsNotExist(err) {
			return
		} else if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		l.file = f
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(l.file); err != nil {
		t.Fatal(err)
	}
	text := append(l.tail, b.Bytes()...)
	whole := bytes.LastIndexByte(text, '\n') + 1
	l.tail = slices.Clone(text[whole:])
	l.mu.Lock()
	defer l.mu.Unlock()
	for line := range bytes.Lines(text[:whole]) {
		l.take(string(bytes.TrimSpace(line)))
	}
}

// take notes a line: an event, the id of a job, and perhaps the process and the time.
func (l *ledger) take(line string) {
	what, rest, _ := strings.Cut(line, " ")
	id, rest, dated := strings.Cut(rest, " ")
	id = strings.Clone(id) // a substring would keep the whole text in memory
	switch what {
	case "start":
		l.starts[id]++
	case "end":
		l.ends[id]++
	case "intend":
		l.intent[id] = true
	case "acked":
		l.acked[id] = true
	case "torn":
		l.torn = append(l.torn, id)
	}
	if dated {
		l.events.add(id, what, rest)
	}
}

// ended returns how many jobs have ended.
func (l *ledger) ended(t testing.TB) int {
	t.Helper()
	l.read(t)
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ends)
}

// push pushes a job that writes to the ledger. It repeats the push until Redis confirms it, or says
// that another job has its lock.
func (l *ledger) push(ctx context.Context, c *queue.Client, class string, args []any,
	o queue.Options) error {
	if o.JID == "" {
		o.JID = queue.NewJID()
	}
	o.Idempotent = true
	l.intend(o.JID)
	if class != "Test::Ledger" {
		l.mu.Lock()
		l.class[o.JID] = class
		l.mu.Unlock()
	}
	args = append([]any{l.path, o.JID}, args...)
	wait := time.NewTicker(20 * time.Millisecond)
	defer wait.Stop()
	for {
		_, err := c.Push(ctx, class, args, o)
		if err == nil {
			l.acknowledge(o.JID)
			return nil
		}
		if l.refused(err) {
			return nil
		}
		select {
		case <-wait.C:
		case <-ctx.Done():
			return fmt.Errorf("push job %s: %w", o.JID, err)
		}
	}
}

// mustPush pushes n jobs that take ms milliseconds each. They have no retries: a job that fails is
// found in the dead set.
func (l *ledger) mustPush(t *testing.T, s *harness.Site, queueName string, n, ms int) {
	t.Helper()
	for range n {
		if err := l.push(t.Context(), s.Client, "Test::Ledger", []any{ms},
			queue.Options{Queue: queueName, Retry: queue.RetryMax(0)}); err != nil {
			t.Fatal(err)
		}
	}
}

// countLeft counts all jobs that are not dead. It is a script, because a job can move from one
// place to another between two commands.
const countLeft = `local n = redis.call('ZCARD', 'retry') + redis.call('ZCARD', 'schedule')
for _, key in ipairs(redis.call('KEYS', '*queue:*')) do
  local kind = redis.call('TYPE', key).ok
  if string.find(key, ':lanes', 1, true) and not string.find(key, ':lanes:lane:', 1, true)
      and not string.find(key, ':lanes:arrived', 1, true) then
    kind = 'no jobs'
  end
  if kind == 'hash' then n = n + redis.call('HLEN', key) end
  if kind == 'list' then n = n + redis.call('LLEN', key) end
end
for _, class in ipairs(redis.call('SMEMBERS', 'kyu:held')) do
  n = n + redis.call('ZCARD', 'kyu:hold:' .. class)
end
return n`

// drained waits until no job is queued, in flight, held, scheduled or waiting for a retry.
func drained(s *harness.Site, limit time.Duration) {
	s.Helper()
	s.Until(limit, "all jobs have run", func() bool {
		n, err := s.Raw.Eval(context.Background(), countLeft, nil).Int()
		return err == nil && n == 0
	})
}
