package faults

import (
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
)

// clockSite starts a Redis whose clock set moves by d. It must be called before t.Parallel, because
// it changes the environment of the whole process while the server starts.
func clockSite(t *testing.T) (s *harness.Site, set func(d time.Duration)) {
	t.Helper()
	dir := t.TempDir()
	path, library := filepath.Join(dir, "offset"), filepath.Join(dir, "clock.so")
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-O1", "-o", library,
		"testdata/clock.c").CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v %s", err, out)
	}
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	set = func(d time.Duration) {
		if _, err := file.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(d/time.Second)),
			0); err != nil {
			t.Fatal(err)
		}
	}
	set(0)
	os.Setenv("LD_PRELOAD", library)
	os.Setenv("CLOCK_OFFSET", path)
	defer os.Unsetenv("LD_PRELOAD")
	defer os.Unsetenv("CLOCK_OFFSET")
	return harness.New(t), set
}

func TestRedisClock(t *testing.T) {
	s, set := clockSite(t)
	t.Parallel()
	t.Run("set to another time reclaims no living worker and delays no job",
		func(t *testing.T) { moveClock(t, s.With(t), set) })
}

func moveClock(t *testing.T, s *harness.Site, set func(time.Duration)) {
	row := scores(t, 20)
	l := newLedger(s)
	var living []*harness.Process
	for range 3 {
		living = append(living,
			untilServing(s, s.Worker("-c", "5", "-C", pollConfig(s, 0.5), "--log-level", "info")))
	}
	// A worker declares another dead only after Redis has answered for the length of a lease.
	<-time.After(lease + time.Second)
	stop := l.pushSteadily(t, s, 5*time.Millisecond, 1)
	const day = 24 * time.Hour
	offsets := []time.Duration{day, 0, -day, -time.Hour, time.Hour, -time.Hour}
	steps := bySize(3, 20)
	var late []time.Duration
	for i := range steps {
		offset := offsets[i%len(offsets)]
		set(offset)
		if off := time.Until(s.Raw.Time(t.Context()).Val()); (off - offset).Abs() > time.Minute {
			t.Fatalf("Redis's clock differs by %v, want %v", off, offset)
		}
		due := time.Now().Add(time.Second)
		id := fmt.Sprint("due", i)
		if err := l.push(t.Context(), s.Client, "Test::Ledger", []any{0},
			queue.Options{JID: id, At: due}); err != nil {
			t.Fatal(err)
		}
		s.Until(20*time.Second, "the due job runs",
			func() bool { l.read(t); return l.ends[id] > 0 })
		late = append(late, time.Since(due))
		<-time.After(2 * time.Second)
	}
	stop()
	s.Settled(20 * time.Second)
	v := l.check(t, s)
	for _, w := range living {
		if w.Says("a worker is dead") || w.Says("lease of this process is lost") {
			t.Errorf("a living worker was taken for dead:\n%s", w.Log())
		}
	}
	if worst := percentile(late, 1); worst > 2*time.Second {
		t.Errorf("a due job ran %v late, want 2 s at most", worst)
	}
	row("Redis's clock set %d times by a day, an hour, forward and back: living workers "+
		"reclaimed 0, lost 0 of %d, ended twice %d; due jobs late by %.1f s at most, with a look "+
		"every 0.5 s", steps, v.Acked, v.Duplicates, percentile(late, 1).Seconds())
	if *size != "smoke" { // package worker tests the same with a shorter lease
		afterAStepBack(t, s, l, set, row)
	}
}

// afterAStepBack kills a worker, and sets the clock back: by that clock its lease ends hours later.
func afterAStepBack(t *testing.T, s *harness.Site, l *ledger, set func(time.Duration),
	row func(string, ...any)) {
	t.Helper()
	if err := exec.Command("unshare", "--pid", "--fork", "true").Run(); err != nil {
		t.Log("needs unshare --pid, so that no worker sees that another has died: ", err)
		return
	}
	victim := untilServing(s, s.Start("unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
		harness.Bin+"/testworker", "--test-jobs", "--log-format", "plain", "-c", "1",
		"-q", "hidden"))
	l.mustPush(t, s, "hidden", 1, 2_000)
	s.Until(10*time.Second, "its job runs", func() bool { return s.InFlight() == 1 })
	victim.Kill()
	set(-2 * time.Hour)
	killed := time.Now()
	s.Worker("-c", "1", "-q", "hidden")
	s.Until(30*time.Second, "its job has run again",
		func() bool { l.read(t); return s.Waiting()+s.InFlight() == 0 })
	row("a worker that died before the clock was set back: its job ended again after %.0f s",
		time.Since(killed).Seconds())
	l.check(t, s)
}
