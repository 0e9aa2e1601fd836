package faults

import (
	"context"
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
	"github.com/kyujobs/kyu/test/kit/testjobs"
)

// supervisor starts a program again whenever it has died.
type supervisor struct {
	site   *harness.Site
	start  func() *harness.Process
	now    *harness.Process
	deaths int
}

func supervise(s *harness.Site, start func() *harness.Process) *supervisor {
	return &supervisor{site: s, start: start, now: start()}
}

// until waits for something, and meanwhile keeps the program alive.
func (v *supervisor) until(limit time.Duration, what string, cond func() bool) {
	v.site.Helper()
	v.site.Until(limit, what, func() bool {
		select {
		case <-v.now.Done:
			v.deaths++
			v.now = v.start()
		default:
		}
		return cond()
	})
}

// classes counts the entries of a set by class.
func classes(s *harness.Site, set string) map[string]int {
	counts := map[string]int{}
	for _, raw := range s.Raw.ZRange(context.Background(), set, 0, -1).Val() {
		if j, err := envelope.ParseJob(raw); err == nil {
			counts[j.Class]++
		} else {
			counts["?"]++
		}
	}
	return counts
}

// cgroup makes a control group with a limit of memory, and gives the words that start
// a program in it.
func cgroup(t *testing.T, bytes int) []string {
	t.Helper()
	dir := fmt.Sprintf("/sys/fs/cgroup/memory/kyu-test-%d", os.Getpid())
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skip("needs a cgroup v1 memory controller that it may write to, for the kernel to kill: ",
			err)
	}
	t.Cleanup(func() {
		for range 100 { // until the last process in it is gone
			if os.Remove(dir) == nil {
				return
			}
			<-time.After(50 * time.Millisecond)
		}
		t.Error(dir, "is still there")
	})
	for _, file := range []string{"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(strconv.Itoa(bytes)),
			0o644); err != nil {
			t.Log(err) // without an account of swap there is no second one
		}
	}
	return []string{"sh", "-c", "echo $$ > " + dir + `/cgroup.procs && exec "$@"`, "sh"}
}

func TestAJobThatEatsAllMemoryDiesAloneAfterThreeKills(t *testing.T) {
	row := scores(t, 9)
	s := harness.New(t)
	l := newLedger(s)
	words := append(cgroup(t, 200<<20), filepath.Join(harness.Bin, "testworker"),
		"--test-jobs", "--log-format", "plain", "-c", "10", "-q", "default", "-q", "other")
	v := supervise(s, func() *harness.Process { return s.Start(words[0], words[1:]...) })
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("dead are %v, waiting %d, in flight %d", classes(s, "dead"), s.Waiting(),
				s.InFlight())
		}
	})
	eat := func(n int) {
		for range n {
			l.must(t, s, "default", 10, 30)
			s.Push("Test::Eat", nil, queue.Options{Retry: queue.RetryMax(0)})
			l.must(t, s, "default", 10, 30)
			l.must(t, s, "other", 5, 30)
		}
	}
	pills, worst := times(2, 20), 0
	for i := range pills {
		before := v.deaths
		eat(1)
		v.until(60*time.Second, "the pill is dead and the rest has run",
			func() bool { return s.Card("dead") == int64(i+1) && s.Waiting()+s.InFlight() == 0 })
		worst = max(worst, v.deaths-before)
	}
	if worst > 3 {
		t.Errorf("a pill has killed %d times", worst)
	}
	before := v.deaths
	eat(pills) // all at once
	v.until(5*time.Minute, "all pills are dead",
		func() bool { return s.Card("dead") == int64(2*pills) && s.Waiting()+s.InFlight() == 0 })
	if n := v.deaths - before; n > 3*pills {
		t.Errorf("%d pills have killed %d times", pills, n)
	}
	if got := classes(s, "dead"); got["Test::Eat"] != 2*pills || len(got) != 1 {
		t.Errorf("dead are %v", got)
	}
	res := l.check(t, s)
	row("%d pills one by one: dead after %d kills at most; %d more at once: %d kills; innocents "+
		"dead-lettered 0 of %d, lost 0", pills, worst, pills, v.deaths-before, res.Acked)
}

func TestWhatAJobDoesToItsProcessCostsNoOtherJob(t *testing.T) {
	row := scores(t, 10)
	n := times(1, 20)
	died, exits := 0, 0
	for i, kind := range testjobs.Faults {
		fatal := i >= 4
		t.Run(kind, func(t *testing.T) {
			s := harness.New(t)
			l := newLedger(s)
			v := supervise(s, func() *harness.Process {
				return s.Worker("-c", "5", "-q", "default", "--log-level", "warn")
			})
			for range n {
				l.must(t, s, "default", 5, 5)
				s.Push("Test::Fault", []any{kind}, queue.Options{Retry: queue.RetryMax(0)})
				l.must(t, s, "default", 5, 5)
				if fatal && kind == "stack" { // takes a gigabyte of stack: one after the other
					before := s.Card("dead")
					v.until(2*time.Minute, "it is dead",
						func() bool { return s.Card("dead") == before+1 })
				}
			}
			v.until(3*time.Minute, "all has run", func() bool {
				return s.Card("dead") == int64(n) && s.Waiting()+s.InFlight() == 0
			})
			if got := classes(s, "dead"); got["Test::Fault"] != n || len(got) != 1 {
				t.Errorf("dead are %v", got)
			}
			l.check(t, s)
			if !fatal && v.deaths > 0 {
				t.Errorf("the process died %d times", v.deaths)
			}
			if fatal {
				died += v.deaths
			} else {
				exits += v.deaths
			}
		})
	}
	row("4 kinds that end the job x %d: process exits %d; 4 kinds that end the process x %d: %d "+
		"deaths, other jobs lost 0, dead-lettered 0", n, exits, n, died)
}

func TestAThreadThatAJobDoesNotGiveBackIsReplaced(t *testing.T) {
	row := scores(t, 11)
	n := times(4, 50)
	s := harness.New(t)
	l := newLedger(s)
	s.Worker("-c", "2", "-q", "default", "--max-stuck", "200", "--log-level", "warn", "-t", "1")
	var took []time.Duration
	for i := range n {
		class := "Test::Hang"
		if i%10 == 0 {
			class = "Test::Spin"
		}
		began := time.Now()
		s.Push(class, nil, queue.Options{})
		s.Push(class, nil, queue.Options{})
		l.must(t, s, "default", 1, 0)
		s.Until(20*time.Second, "a thread is free again", func() bool { return l.ended(t) == i+1 })
		took = append(took, time.Since(began)-time.Second) // their Timeout is a second
	}
	worst := percentile(took, 1)
	if worst > 5*time.Second {
		t.Errorf("a thread came back %v after the timeout", worst)
	}
	row("all threads stuck %d times (select{} and for{}): one is back %.1f s after the timeout "+
		"at most, p50 %.1f s", n, worst.Seconds(), percentile(took, 0.5).Seconds())
}

// memory is a line of /proc/PID/status, in MiB.
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
	t.Fatalf("no %s", field)
	return 0
}

// noJobs are bytes that are no job.
func noJobs() []string {
	return []string{"", "{", "null", "[]", `"x"`, `{"class":"Test::NoOp"`, `{"args":[]}`,
		`{"class":"Test::NoOp","args":{}}`, `{"class":1,"args":[]}`,
		`{"class":"Test::NoOp","args":[NaN]}`,
		"{\"class\":\"Test::NoOp\",\"args\":[\"\xff\xfe\x00\"]} trailing",
		strings.Repeat("[", 10_001),
		`{"class":"","args":[]}`, "\x00\x01\x02", `{"class":"Test::NoOp","args":[1,]}`,
		strings.Repeat(`{"a":`, 10_001) + "1" + strings.Repeat("}", 10_001)}
}

func TestPayloadsThatNobodyCanRunAreKeptByteForByte(t *testing.T) {
	row := scores(t, 24)
	s := harness.New(t)
	w := serves(s, s.Worker("-c", "5", "-q", "default", "--log-level", "info"))
	for _, raw := range noJobs() {
		s.Raw.RPush(t.Context(), "queue:default", raw)
	}
	s.Until(20*time.Second, "all are dead",
		func() bool { return s.Card("dead") == int64(len(noJobs())) && s.InFlight() == 0 })
	kept := map[string]bool{}
	for _, raw := range s.Raw.ZRange(t.Context(), "dead", 0, -1).Val() {
		kept[raw] = true
	}
	for _, raw := range noJobs() {
		if !kept[envelope.ForDeadSet(raw)] {
			t.Errorf("not kept as it was: %.60q", raw)
		}
	}
	s.Raw.Del(t.Context(), "dead")

	before := memory(t, w.PID(), "VmHWM")
	huge := `{"class":"Test::NoOp","jid":"huge","args":["` + strings.Repeat("x", 100<<20) + `"]}`
	for i := range 4 { // asleep behind a bell, and awake
		s.Until(20*time.Second, "it sleeps", func() bool {
			return i%2 == 1 || strings.Contains(s.Raw.ClientList(t.Context()).Val(), "cmd=blmove")
		})
		if i%2 == 1 {
			for range 200 {
				s.Push("Test::Sleep", []any{5}, queue.Options{})
			}
		}
		s.Raw.RPush(t.Context(), "queue:default", huge)
		s.Until(30*time.Second, "it is dead", func() bool { return s.Card("dead") == 1 })
		if got := s.Raw.ZRange(t.Context(), "dead", 0, 0).Val()[0]; got != huge {
			t.Error("a payload of 100 MB was not kept as it was")
		}
		s.Raw.Del(t.Context(), "dead")
		s.Settled(20 * time.Second)
	}
	grown := memory(t, w.PID(), "VmHWM") - before
	if cap := float64(queue.DefaultMaxTaken >> 20); grown > 2*cap {
		t.Errorf("it grew by %.0f MiB over a payload of 100 MB, more than twice the cap of %.0f",
			grown, cap)
	}
	if _, err := s.Client.Push(t.Context(), "Test::NoOp",
		[]any{strings.Repeat("x", queue.DefaultMaxPayload)}, queue.Options{}); err == nil {
		t.Error("a push over the limit was taken")
	}
	unknown := unknownClassRuns(t, s)
	row("%d kinds of bytes that are no job: kept byte for byte; 100 MB: dead as it was, RSS + "+
		"%.0f MiB; unknown class: discarded 0 of %d, run when the class appeared", len(noJobs()),
		grown, unknown)
}

// unknownClassRuns lets jobs meet a worker that does not know their class, and then
// one that does.
func unknownClassRuns(t *testing.T, s *harness.Site) int {
	t.Helper()
	const n = 20
	l := newLedger(s)
	s.Start(filepath.Join(harness.Bin, "worker"), "-q", "odd")
	for range n {
		if err := l.push(t.Context(), s.Client, "Test::Ledger", []any{0},
			queue.Options{Queue: "odd"}); err != nil {
			t.Fatal(err)
		}
	}
	s.Until(20*time.Second, "all are to be retried", func() bool { return s.Card("retry") == n })
	s.Worker("-q", "odd")
	s.Until(40*time.Second, "all have run", func() bool {
		return l.ended(t) == n || retryNow(t, s)
	})
	s.Settled(20 * time.Second)
	l.check(t, s)
	return n
}

// retryNow retries what met the worker that does not know the class again.
func retryNow(t *testing.T, s *harness.Site) bool {
	t.Helper()
	set := inspect.New(s.Store).RetrySet()
	if _, err := set.All(t.Context(), set.Retry); err != nil {
		t.Fatal(err)
	}
	return false
}
