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

func sortDurations(d []time.Duration) { slices.Sort(d) }

// ledger is what is known of all jobs: which were meant to be pushed, which pushes
// Redis has acknowledged, and, from the file that the jobs themselves write to, how
// often each has started and ended. The file survives the SIGKILL of its writers.
type ledger struct {
	path string

	mu     sync.Mutex
	intent map[string]bool
	acked  map[string]bool
	class  map[string]string // of those that are not meant to run once and end

	file         *os.File
	tail         []byte // a line that is not whole yet
	starts, ends map[string]int
	torn         []string            // jobs whose load was not what was pushed
	left         []string            // not ended at the end, and somewhere in Redis
	places       map[string][]string // where what is left was, when the checker looked
	lives        histories
}

func newLedger(s *harness.Site) *ledger {
	return &ledger{path: s.LedgerPath(), intent: map[string]bool{}, acked: map[string]bool{},
		class:  map[string]string{},
		starts: map[string]int{}, ends: map[string]int{},
		lives: histories{of: map[string][]event{}}}
}

// intend notes that a job is about to be pushed, and acknowledge that it was.
func (l *ledger) intend(id string)      { l.mu.Lock(); l.intent[id] = true; l.mu.Unlock() }
func (l *ledger) acknowledge(id string) { l.mu.Lock(); l.acked[id] = true; l.mu.Unlock() }

// open is what is acknowledged and has not ended, by what was read.
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

// read takes in what the jobs have written since.
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

// take takes in a line: what happened, the id, and perhaps in which process and when.
func (l *ledger) take(line string) {
	what, rest, _ := strings.Cut(line, " ")
	id, rest, told := strings.Cut(rest, " ")
	id = strings.Clone(id) // and not all of the text
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
	if told {
		l.lives.add(id, what, rest)
	}
}

// ended is how many jobs have ended.
func (l *ledger) ended(t testing.TB) int {
	t.Helper()
	l.read(t)
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.ends)
}

// verdict is what the checker finds, in the words of Jepsen's total-queue: by the
// law that what was pushed is queued, in flight, waiting in a set, dead or done, and
// done at least once.
type verdict struct {
	Acked      int `json:"acked"`
	Ended      int `json:"ended"`
	Lost       int `json:"lost"`       // acknowledged, not ended, and nowhere in Redis
	Unexpected int `json:"unexpected"` // ended, and never meant to be pushed
	Recovered  int `json:"recovered"`  // ended though the push was not acknowledged
	Duplicates int `json:"duplicates"` // ends beyond the first of each
	Conflicts  int `json:"conflicts"`  // ended, and waiting or dead too
	Stranded   int `json:"stranded"`   // in somebody's hands, and not running
	Unfinished int `json:"unfinished"` // acknowledged, not ended, and waiting or dead
	Torn       int `json:"torn"`       // run with another load than was pushed
}

// everything gives, in one moment, the jids of all payloads and where each is. Payloads
// can be large: of what has no jid it gives the beginning. KEYS goes through all keys, with
// the markers of a million pushes among them: once is enough.
const everything = `local out = {}
local function add(where, list)
  for _, raw in ipairs(list) do
    local id, at = string.sub(raw, 1, 100), string.find(raw, '"jid":"', 1, true)
    if at then id = string.sub(raw, at + 7, string.find(raw, '"', at + 7, true) - 1) end
    out[#out + 1] = where
    out[#out + 1] = id
  end
end
for _, key in ipairs(redis.call('KEYS', '*queue:*')) do
  local kind = redis.call('TYPE', key).ok
  local at = string.find(key, 'queue:', 1, true) == 1 and 'queue' or 'in flight'
  if kind == 'hash' then add(at, redis.call('HVALS', key)) end
  if kind == 'list' then add(at, redis.call('LRANGE', key, 0, -1)) end
end
for _, class in ipairs(redis.call('SMEMBERS', 'kyu:held')) do
  add('held', redis.call('ZRANGE', 'kyu:hold:' .. class, 0, -1))
end
for _, key in ipairs({'retry', 'schedule', 'dead'}) do
  add(key, redis.call('ZRANGE', key, 0, -1))
end
return out`

// where says in which places the jobs are, by their ids: each must be in one.
func where(t testing.TB, s *harness.Site) map[string][]string {
	t.Helper()
	flat, err := s.Raw.Eval(context.Background(), everything, nil).StringSlice()
	if err != nil {
		t.Fatal(err)
	}
	places := map[string][]string{}
	for i := 0; i+1 < len(flat); i += 2 {
		places[flat[i+1]] = append(places[flat[i+1]], flat[i])
	}
	return places
}

// conserve checks the law in the middle of a run: a job that was acknowledged
// before the look, and has not ended after it, is in exactly one place.
func (l *ledger) conserve(t *testing.T, s *harness.Site) {
	t.Helper()
	l.read(t)
	before := l.open()
	places := where(t, s)
	l.read(t)
	after := l.open()
	for id := range before {
		if after[id] && len(places[id]) == 0 {
			t.Errorf("%s is nowhere in the middle of the run", id)
		}
	}
	for id, in := range places {
		if len(in) > 1 {
			t.Errorf("%s is in %v at the same time", id, in)
		}
	}
}

// check gives the verdict at the end, and fails the test for what must not be.
func (l *ledger) check(t *testing.T, s *harness.Site) verdict {
	t.Helper()
	l.read(t)
	places := where(t, s)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.places = places
	v := verdict{Acked: len(l.acked), Ended: len(l.ends), Torn: len(l.torn)}
	shown := map[*int]int{}
	found := func(n *int, id, what string) {
		*n++
		if shown[n]++; shown[n] <= 10 {
			t.Errorf("%s: %s: %s", what, id, l.life(id))
		}
	}
	for id := range l.acked {
		switch doomed := l.class[id] == "Test::Doomed"; {
		case l.ends[id] > 0 || doomed && slices.Equal(places[id], []string{"dead"}):
		case len(places[id]) == 0:
			found(&v.Lost, id, "lost")
		case doomed:
			found(&v.Unfinished, id, "failed, and not in the dead set")
		default:
			v.Unfinished++
			l.left = append(l.left, id)
		}
	}
	for id, n := range l.ends {
		v.Duplicates += n - 1
		switch {
		case !l.intent[id]:
			found(&v.Unexpected, id, "unexpected")
		case !l.acked[id]:
			v.Recovered++
		}
	}
	for id, in := range places {
		switch {
		case slices.Contains(in, "in flight"):
			found(&v.Stranded, id, "stranded")
		case l.ends[id] > 0:
			found(&v.Conflicts, id, "ended, and waiting too")
		case len(in) > 1:
			found(&v.Conflicts, id, "in two places")
		}
	}
	for _, id := range l.torn {
		t.Errorf("its load was not what was pushed: %s", l.life(id))
	}
	if v.Acked == 0 {
		t.Error("nothing was pushed: the test tests nothing")
	}
	return v
}

// push pushes a job that writes to the ledger, and insists: a push whose outcome is
// unknown is repeated until it is known.
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
		select {
		case <-wait.C:
		case <-ctx.Done():
			return fmt.Errorf("push: %w", err)
		}
	}
}

// must pushes n jobs that take ms each; they must not fail, for they may not be
// retried.
func (l *ledger) must(t *testing.T, s *harness.Site, queueName string, n, ms int) {
	t.Helper()
	for range n {
		if err := l.push(t.Context(), s.Client, "Test::Ledger", []any{ms},
			queue.Options{Queue: queueName, Retry: queue.RetryMax(0)}); err != nil {
			t.Fatal(err)
		}
	}
}

// countLeft counts what is not dead, in one moment: between two readings a job can go
// from the one place to the other.
const countLeft = `local n = redis.call('ZCARD', 'retry') + redis.call('ZCARD', 'schedule')
for _, key in ipairs(redis.call('KEYS', '*queue:*')) do
  local kind = redis.call('TYPE', key).ok
  if kind == 'hash' then n = n + redis.call('HLEN', key) end
  if kind == 'list' then n = n + redis.call('LLEN', key) end
end
for _, class in ipairs(redis.call('SMEMBERS', 'kyu:held')) do
  n = n + redis.call('ZCARD', 'kyu:hold:' .. class)
end
return n`

// drained waits until nothing is queued, in flight, to be retried or scheduled.
func drained(s *harness.Site, limit time.Duration) {
	s.Helper()
	s.Until(limit, "everything has run", func() bool {
		n, err := s.Raw.Eval(context.Background(), countLeft, nil).Int()
		return err == nil && n == 0
	})
}
