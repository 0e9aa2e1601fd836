package interop

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
)

func testE03RedisAway(k *kase) {
	k = k.own()
	w := k.worker("-c", "5")
	k.registered()
	before := cpu(k, w.PID())
	k.Server.Kill()
	k.Until(10*time.Second, "the worker notices",
		func() bool { return w.Says("does not serve us") })
	<-time.After(5 * time.Second) // the outage that the case is about
	used := cpu(k, w.PID()) - before
	k.Server.Restart()
	k.Until(15*time.Second, "the process is registered again", func() bool {
		return k.Raw.SCard(k.Context(), "processes").Val() == 1
	})
	k.Push("Test::Record", nil, queue.Options{})
	k.ran("run", 1)
	k.Until(10*time.Second, "the log says that Redis is back",
		func() bool { return w.Says("serves us again") })
	k.Equal("lines down", strings.Count(w.Log(), "does not serve us"), 1)
	k.Equal("lines up", strings.Count(w.Log(), "serves us again"), 1)
	k.Equal("registrations", k.Raw.SCard(k.Context(), "processes").Val(), 1)
	if used > time.Second/2 {
		k.Errorf("the worker used %v of CPU time during the outage", used)
	}
}

// cpu is the CPU time that a process has used.
func cpu(k *kase, pid int) time.Duration {
	k.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	k.Must(err)
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	user, err := strconv.Atoi(fields[11])
	k.Must(err)
	system, err := strconv.Atoi(fields[12])
	k.Must(err)
	return time.Duration(user+system) * 10 * time.Millisecond
}

func testE08FailsWhileAway(k *kase) {
	k = k.own("--appendonly", "yes", "--appendfsync", "always")
	k.Push("Test::FailAfter", []any{1000, "boom"}, queue.Options{})
	w := k.worker("-c", "1")
	k.Until(10*time.Second, "the job runs", func() bool { return w.Says("start") })
	k.Server.Kill()
	k.Until(10*time.Second, "the job has failed", func() bool { return w.Says("fail") })
	k.Server.Restart()
	j, _ := k.one("retry")
	k.Equal("retry_count", j.Field("retry_count"), 0)
	k.Settled(10 * time.Second)
}
