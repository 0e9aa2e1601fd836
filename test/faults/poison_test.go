package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
)

// memoryLimit is small, because a poison job that needs longer than its second alone may kill nine
// processes, and a busy machine takes a second for 200 MiB.
const memoryLimit = 80 << 20

func TestPoisonJob(t *testing.T) {
	t.Run("is dead after three kills by the kernel, and takes no other job along", killByKernel)
}

func killByKernel(t *testing.T) {
	row := scores(t, 9)
	s := harness.New(t)
	l := newLedger(s)
	command := append(cgroup(t, memoryLimit), filepath.Join(harness.Bin, "testworker"),
		"--test-jobs", "--log-format", "plain", "-c", "10", "-q", "default", "-q", "other")
	v := supervise(s, func() *harness.Process { return s.Start(command[0], command[1:]...) })
	n, worst := bySize(2, 20), 0
	for i := range n {
		before := v.deaths
		pushPoison(t, s, l)
		v.untilDead(60*time.Second, i+1)
		worst = max(worst, v.deaths-before)
	}
	if worst > 3 {
		t.Errorf("a poison job killed %d times, want 3 times at most", worst)
	}
	before := v.deaths
	for range n {
		pushPoison(t, s, l)
	}
	v.untilDead(5*time.Minute, 2*n)
	kills := v.deaths - before
	if kills > 3*n {
		t.Errorf("%d poison jobs at once killed %d times, want %d times at most", n, kills, 3*n)
	}
	onlyDead(s, "Test::Eat", 2*n)
	res := l.check(t, s)
	row("%d poison jobs one by one: dead after %d kills at most; %d more at once: %d kills; other "+
		"jobs dead 0 of %d, lost 0", n, worst, n, kills, res.Acked)
}

// pushPoison pushes a job that takes memory until its process is killed, with other jobs before and
// after it.
func pushPoison(t *testing.T, s *harness.Site, l *ledger) {
	t.Helper()
	l.mustPush(t, s, "default", 10, 30)
	s.Push("Test::Eat", nil, queue.Options{Retry: queue.RetryMax(0)})
	l.mustPush(t, s, "default", 10, 30)
	l.mustPush(t, s, "other", 5, 30)
}

// cgroup makes a control group with a limit of memory, and returns the words of a command that
// starts a program in it.
func cgroup(t *testing.T, bytes int) []string {
	t.Helper()
	dir := fmt.Sprintf("/sys/fs/cgroup/memory/kyu-test-%d", os.Getpid())
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Skip("needs a writable cgroup v1 memory controller, so that the kernel kills a process "+
			"for its memory: ", err)
	}
	t.Cleanup(func() {
		for range 100 { // until its last process has ended
			if os.Remove(dir) == nil {
				return
			}
			<-time.After(50 * time.Millisecond)
		}
		t.Error(dir, "cannot be removed")
	})
	for _, file := range []string{"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(strconv.Itoa(bytes)),
			0o644); err != nil {
			t.Log(err) // the second file exists only if the kernel counts swap
		}
	}
	return []string{"sh", "-c", "echo $$ > " + dir + `/cgroup.procs && exec "$@"`, "sh"}
}
