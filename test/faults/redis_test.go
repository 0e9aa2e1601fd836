package faults

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
)

var durable = []string{"--appendonly", "yes", "--appendfsync", "everysec",
	"--maxmemory-policy", "noeviction", "--auto-aof-rewrite-percentage", "0"}

// load pushes jobs until stop is called, which waits for the last.
func (l *ledger) load(t *testing.T, s *harness.Site, every time.Duration, ms int) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var producer sync.WaitGroup
	producer.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			<-tick.C
			// With the context of the test: what was begun is finished.
			if err := l.push(t.Context(), s.Client, "Test::Ledger", []any{ms},
				queue.Options{Queue: fourQueues[i%4], Retry: queue.RetryMax(0)}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	return func() { cancel(); producer.Wait() }
}

func TestARedisThatIsKilledLosesNothingAndWorkGoesOnAtOnce(t *testing.T) {
	row := scores(t, 12)
	s := harness.New(t, durable...)
	l := newLedger(s)
	workers := []*harness.Process{s.Worker("-c", "10", "--log-level", "warn"),
		s.Worker("-c", "10", "--log-level", "warn")}
	stop := l.load(t, s, time.Millisecond, 1)
	kills := times(5, 100)
	var took []time.Duration
	for range kills {
		before := l.ended(t)
		s.Until(20*time.Second, "jobs run", func() bool { return l.ended(t) > before+100 })
		s.Server.Kill()
		<-time.After(rand.N(300 * time.Millisecond))
		l.read(t)
		before = l.ended(t)
		s.Server.Restart()
		answers := time.Now()
		s.Until(20*time.Second, "jobs run again", func() bool { return l.ended(t) > before })
		took = append(took, time.Since(answers))
	}
	stop()
	s.Settled(60 * time.Second)
	v := l.check(t, s)
	for _, w := range workers {
		lives(t, w)
	}
	if n := s.Card("retry") + s.Card("dead"); n > 0 {
		t.Errorf("%d jobs failed because Redis did", n)
	}
	worst := percentile(took, 1)
	if worst > 2*time.Second {
		t.Errorf("work went on after %v", worst)
	}
	row("%d kills of Redis: lost 0 of %d, ended twice %d, jobs failed 0; work went on after p50 "+
		"%.2f s, at most %.2f s", kills, v.Acked, v.Duplicates, percentile(took,
		0.5).Seconds(), worst.Seconds())
}

// drain gives how many no-op jobs a second a worker runs.
func drain(t *testing.T, s *harness.Site, n int, full bool) float64 {
	t.Helper()
	args := make([][]any, n)
	for i := range args {
		args[i] = []any{i}
	}
	if _, err := s.Client.PushBulk(t.Context(), "Test::NoOp", args, queue.Options{}); err != nil {
		t.Fatal(err)
	}
	if full {
		s.Raw.ConfigSet(t.Context(), "maxmemory", "1")
		defer s.Raw.ConfigSet(t.Context(), "maxmemory", "0")
		if _, err := s.Client.Push(t.Context(), "Test::NoOp", nil, queue.Options{}); err == nil ||
			!strings.Contains(err.Error(), "OOM") {
			t.Errorf("a push to a full Redis: %v", err)
		}
	}
	w := s.Worker("-c", "15", "-q", "default", "--log-level", "warn")
	defer w.Kill()
	s.Until(60*time.Second, "it has begun", func() bool { return s.Len("default") < int64(n) })
	began, left := time.Now(), s.Len("default")
	s.Until(5*time.Minute, "the queue is drained",
		func() bool { return s.Len("default")+s.InFlight() == 0 })
	return float64(left) / time.Since(began).Seconds()
}

func TestARedisOverItsMaxmemoryIsDrained(t *testing.T) {
	row := scores(t, 16)
	s := harness.New(t, "--maxmemory-policy", "noeviction")
	n := times(5_000, 200_000)
	var normal, full []float64
	for range times(1, 5) {
		normal, full = append(normal, drain(t, s, n, false)), append(full, drain(t, s, n, true))
	}
	slices.Sort(normal)
	slices.Sort(full)
	a, b := normal[len(normal)/2], full[len(full)/2]
	row("%d jobs drained %d times in turn: %.0f jobs/s, %.0f over maxmemory: %.0f %%; pushes "+
		"refused with OOM", n, len(full), a, b, 100*b/a)
}

func TestAFullDiskLosesNothingAndWorkGoesOnWhenThereIsRoom(t *testing.T) {
	row := scores(t, 17)
	disk := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs",
		disk).CombinedOutput(); err != nil {
		t.Skipf("needs to mount a small file system: %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", disk).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	})
	s := harness.New(t, append([]string{"--dir", disk}, durable...)...)
	l := newLedger(s)
	w := s.Worker("-c", "10", "--log-level", "warn")
	stop := l.load(t, s, 5*time.Millisecond, 2)
	rounds := times(1, 20)
	var took []time.Duration
	for range rounds {
		before := l.ended(t)
		s.Until(20*time.Second, "jobs run", func() bool { return l.ended(t) > before+50 })
		fill(t, filepath.Join(disk, "full"))
		s.Until(20*time.Second, "Redis refuses", func() bool {
			err := s.Raw.Set(context.Background(), "probe", strings.Repeat("x", 1000), 0).Err()
			return err != nil && strings.Contains(err.Error(), "MISCONF")
		})
		<-time.After(2 * time.Second)
		before = l.ended(t)
		if err := os.Remove(filepath.Join(disk, "full")); err != nil {
			t.Fatal(err)
		}
		room := time.Now()
		s.Until(20*time.Second, "jobs run again", func() bool { return l.ended(t) > before+10 })
		took = append(took, time.Since(room))
	}
	stop()
	s.Settled(30 * time.Second)
	v := l.check(t, s)
	lives(t, w)
	if n := s.Card("retry") + s.Card("dead"); n > 0 {
		t.Errorf("%d jobs failed because Redis did", n)
	}
	worst := percentile(took, 1)
	if worst > 5*time.Second {
		t.Errorf("work went on %v after there was room", worst)
	}
	row("%d times full: lost 0 of %d, ended twice %d, restarts 0; work went on %.1f s after "+
		"there was room at most", rounds, v.Acked, v.Duplicates, worst.Seconds())
}

// fill writes until there is no room.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{1 << 20, 4096} {
		for block := make([]byte, size); ; {
			if _, err := f.Write(block); err != nil {
				break
			}
		}
	}
}

// faked makes servers that are started from now on believe that the time is another,
// by what the returned function was told. Go's programs do not hear it.
func faked(t *testing.T) (set func(time.Duration)) {
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
	t.Setenv("LD_PRELOAD", library)
	t.Setenv("CLOCK_OFFSET", path)
	return set
}

func TestAClockThatIsSetReclaimsNobodyAndStallsNothing(t *testing.T) {
	row := scores(t, 20)
	set := faked(t)
	s := harness.New(t)
	os.Unsetenv("LD_PRELOAD")
	l := newLedger(s)
	var living []*harness.Process
	for range 3 {
		living = append(living,
			serves(s, s.Worker("-c", "5", "-C", polls(s, 0.5), "--log-level", "info")))
	}
	<-time.After(lease + time.Second) // all may judge the others
	stop := l.load(t, s, 5*time.Millisecond, 1)
	const day = 24 * time.Hour
	offsets := []time.Duration{day, 0, -day, -time.Hour, time.Hour, -time.Hour}
	steps := times(3, 20)
	var late []time.Duration
	for i := range steps {
		offset := offsets[i%len(offsets)]
		set(offset)
		if off := time.Until(s.Raw.Time(t.Context()).Val()); (off - offset).Abs() > time.Minute {
			t.Fatalf("the server's clock is off by %v, want %v", off, offset)
		}
		due := time.Now().Add(time.Second)
		id := fmt.Sprint("due", i)
		if err := l.push(t.Context(), s.Client, "Test::Ledger", []any{0},
			queue.Options{JID: id, At: due}); err != nil {
			t.Fatal(err)
		}
		s.Until(20*time.Second, "what is due runs",
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
		t.Errorf("what was due ran %v late", worst)
	}
	row("Redis's clock set %d times by a day, an hour, forward and back: living workers "+
		"reclaimed 0, lost 0 of %d, ended twice %d; due jobs late by %.1f s at most, with a look "+
		"every 0.5 s", steps, v.Acked, v.Duplicates, percentile(late, 1).Seconds())
	if *size != "smoke" { // package worker holds it with a shorter lease
		afterAStepBack(t, s, l, set, row)
	}
}

// afterAStepBack kills a worker whose lease ends in an hour by the clock that was set
// back.
func afterAStepBack(t *testing.T, s *harness.Site, l *ledger, set func(time.Duration),
	row func(string, ...any)) {
	t.Helper()
	if err := exec.Command("unshare", "--pid", "--fork", "true").Run(); err != nil {
		t.Log("without unshare --pid nobody dies unseen: ", err)
		return
	}
	victim := serves(s, s.Start("unshare", "--pid", "--fork", "--kill-child", "--mount-proc",
		harness.Bin+"/testworker", "--test-jobs", "--log-format", "plain", "-c", "1",
		"-q", "hidden"))
	l.must(t, s, "hidden", 1, 2_000)
	s.Until(10*time.Second, "it runs", func() bool { return s.InFlight() == 1 })
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
