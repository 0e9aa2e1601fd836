package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/harness"
)

func TestPayload(t *testing.T) {
	t.Run("that is no job is kept byte for byte", keepNotJobs)
	t.Run("of 100 MB is kept, and costs twice the limit of memory at most", keepHuge)
	t.Run("over the limit is refused at the push", refuseLarge)
	t.Run("of an unknown class runs when a worker knows the class", runUnknown)
}

// notJobs returns payloads that are no jobs.
func notJobs() []string {
	return []string{"", "{", "null", "[]", `"x"`, `{"class":"Test::NoOp"`, `{"args":[]}`,
		`{"class":"Test::NoOp","args":{}}`, `{"class":1,"args":[]}`,
		`{"class":"Test::NoOp","args":[NaN]}`,
		"{\"class\":\"Test::NoOp\",\"args\":[\"\xff\xfe\x00\"]} trailing",
		strings.Repeat("[", 10_001),
		`{"class":"","args":[]}`, "\x00\x01\x02", `{"class":"Test::NoOp","args":[1,]}`,
		strings.Repeat(`{"a":`, 10_001) + "1" + strings.Repeat("}", 10_001)}
}

func keepNotJobs(t *testing.T) {
	row := scores(t, 24)
	s := harness.New(t)
	untilServing(s, s.Worker("-c", "5", "-q", "default", "--log-level", "info"))
	for _, raw := range notJobs() {
		s.Raw.RPush(t.Context(), "queue:default", raw)
	}
	s.Until(20*time.Second, "all are dead",
		func() bool { return s.Card("dead") == int64(len(notJobs())) && s.InFlight() == 0 })
	kept := map[string]bool{}
	for _, raw := range s.Raw.ZRange(t.Context(), "dead", 0, -1).Val() {
		kept[raw] = true
	}
	for _, raw := range notJobs() {
		if !kept[envelope.ForDeadSet(raw)] {
			t.Errorf("not in the dead set byte for byte: %.60q", raw)
		}
	}
	row("%d kinds of bytes that are no job: kept byte for byte", len(notJobs()))
}

func keepHuge(t *testing.T) {
	row := scores(t, 24)
	s := harness.New(t)
	w := untilServing(s, s.Worker("-c", "5", "-q", "default", "--log-level", "info"))
	makeHuge(s)
	patient := s.Raw.WithTimeout(time.Minute)
	before := memory(t, w.PID(), "VmHWM")
	for i := range bySize(2, 4) {
		if i%2 == 0 { // a doorbell takes the payload
			s.Until(20*time.Second, "the worker sleeps", func() bool {
				return strings.Contains(s.Raw.ClientList(t.Context()).Val(), "cmd=blmove")
			})
		} else { // a fetch takes it
			for range 200 {
				s.Push("Test::Sleep", []any{5}, queue.Options{})
			}
		}
		s.Must(patient.Eval(t.Context(),
			"return redis.call('RPUSH', 'queue:default', redis.call('GET', 'huge'))", nil).Err())
		s.Until(30*time.Second, "it is dead", func() bool { return s.Card("dead") == 1 })
		same, err := patient.Eval(t.Context(), `local kept = redis.call('ZRANGE', 'dead', 0, 0)[1]
return kept == redis.call('GET', 'huge') and 1 or 0`, nil).Bool()
		if err != nil || !same {
			t.Errorf("a payload of 100 MB was not kept byte for byte (error: %v)", err)
		}
		s.Raw.Del(t.Context(), "dead")
		s.Settled(20 * time.Second)
	}
	grown := memory(t, w.PID(), "VmHWM") - before
	if limit := float64(queue.DefaultMaxTaken >> 20); grown > 2*limit {
		t.Errorf("the process grew by %.0f MiB, want twice %.0f MiB at most", grown, limit)
	}
	row("100 MB: dead as it was, RSS + %.0f MiB", grown)
}

// makeHuge makes a payload of 100 MB in the key huge. It stays in Redis, because the race detector
// needs several times its size, and a minute, for it in the test's own process.
func makeHuge(s *harness.Site) {
	s.Helper()
	ctx, part := s.Context(), strings.Repeat("x", 1<<20)
	s.Must(s.Raw.Append(ctx, "huge", `{"class":"Test::NoOp","jid":"huge","args":["`).Err())
	for range 100 {
		s.Must(s.Raw.Append(ctx, "huge", part).Err())
	}
	s.Must(s.Raw.Append(ctx, "huge", `"]}`).Err())
}

func refuseLarge(t *testing.T) {
	s := harness.New(t)
	large := strings.Repeat("x", queue.DefaultMaxPayload)
	_, err := s.Client.Push(t.Context(), "Test::NoOp", []any{large}, queue.Options{})
	if err == nil {
		t.Error("a push of more than queue.DefaultMaxPayload bytes was accepted")
	}
}

// runUnknown pushes jobs to a worker that does not know their class, and then starts one that does.
func runUnknown(t *testing.T) {
	row := scores(t, 24)
	const n = 20
	s := harness.New(t)
	l := newLedger(s)
	s.Start(filepath.Join(harness.Bin, "worker"), "-q", "odd")
	for range n {
		if err := l.push(t.Context(), s.Client, "Test::Ledger", []any{0},
			queue.Options{Queue: "odd"}); err != nil {
			t.Fatal(err)
		}
	}
	s.Until(20*time.Second, "all jobs wait for a retry",
		func() bool { return s.Card("retry") == n })
	s.Worker("-q", "odd")
	s.Until(40*time.Second, "all jobs have run", func() bool {
		set := inspect.New(s.Store).RetrySet() // the worker that does not know the class still runs
		if _, err := set.All(t.Context(), set.Retry); err != nil {
			t.Fatal(err)
		}
		return l.ended(t) == n
	})
	s.Settled(20 * time.Second)
	l.check(t, s)
	row("unknown class: discarded 0 of %d, run when a worker knew the class", n)
}

// memory returns a field of /proc/PID/status, in MiB.
func memory(t *testing.T, pid int, field string) float64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024
		}
	}
	t.Fatalf("/proc/%d/status has no %s", pid, field)
	return 0
}
