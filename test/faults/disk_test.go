package faults

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/harness"
)

func TestRedisDisk(t *testing.T) {
	t.Parallel()
	t.Run("full loses no job, and work goes on within 5 s of room", fillDisk)
}

func fillDisk(t *testing.T) {
	t.Parallel()
	row := scores(t, 17)
	disk := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs",
		disk).CombinedOutput(); err != nil {
		t.Skipf("needs the right to mount a small file system: %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", disk).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	})
	s := harness.New(t, append([]string{"--dir", disk}, durable...)...)
	l := newLedger(s)
	w := s.Worker("-c", "10", "--log-level", "warn")
	stop := l.pushSteadily(t, s, 5*time.Millisecond, 2)
	rounds := bySize(1, 20)
	var took []time.Duration
	for range rounds {
		before := l.ended(t)
		s.Until(20*time.Second, "jobs run", func() bool { return l.ended(t) > before+50 })
		writeUntilFull(t, filepath.Join(disk, "full"))
		s.Until(20*time.Second, "Redis refuses", func() bool {
			err := s.Raw.Set(context.Background(), "probe", strings.Repeat("x", 1000), 0).Err()
			return err != nil && strings.Contains(err.Error(), "MISCONF")
		})
		<-time.After(2 * time.Second) // the outage
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
	stillRuns(t, w)
	if n := s.Card("retry") + s.Card("dead"); n > 0 {
		t.Errorf("%d jobs failed, because Redis refused writes", n)
	}
	worst := percentile(took, 1)
	if worst > 5*time.Second {
		t.Errorf("work went on %v after there was room, want 5 s at most", worst)
	}
	row("%d times full: lost 0 of %d, ended twice %d, restarts 0; work went on %.1f s after "+
		"there was room at most", rounds, v.Acked, v.Duplicates, worst.Seconds())
}

// writeUntilFull writes a file until there is no room.
func writeUntilFull(t *testing.T, path string) {
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
