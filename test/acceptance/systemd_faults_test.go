package acceptance

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/harness"
)

func (b *booted) comesBack() {
	b.forget()
	for i := range 4 {
		b.Push("Test::Ledger", []any{ledger, fmt.Sprint(i), 3000},
			queue.Options{Queue: "push", JID: fmt.Sprint("killed", i)})
	}
	b.Until(10*time.Second, "all jobs run", func() bool {
		starts, _ := b.ledger()
		return len(starts) == 4
	})
	before := b.Restarts("worker@push")
	b.Signal("worker@push", syscall.SIGKILL)
	b.Until(20*time.Second, "the unit was restarted", func() bool {
		return b.Restarts("worker@push") > before && b.Active("worker@push")
	})
	b.Until(20*time.Second, "all jobs have ended", func() bool {
		_, ends := b.ledger()
		return len(ends) == 4
	})
	b.Settled(10 * time.Second)
	b.Equal("jobs that the crash cost a retry", b.Card("retry")+b.Card("dead"), 0)
	for _, name := range services { // their users may not see each other's processes
		if strings.Contains(b.Journal(name), "lease of this process is lost") {
			b.Errorf("%s was taken for dead while it lived", name)
		}
	}
}

// produce pushes jobs that write to a ledger until stop is called. stop returns the ids of the
// pushes that Redis has confirmed.
func produce(s *harness.Site, ledger string, every time.Duration, milliseconds int) (
	stop func() []string) {
	ctx, cancel := context.WithCancel(context.Background())
	var pushed []string
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for i := 0; ctx.Err() == nil; i++ {
			id := fmt.Sprint(i)
			_, err := s.Client.Push(context.Background(), "Test::Ledger",
				[]any{ledger, id, milliseconds},
				queue.Options{Queue: fourQueues[i%4], JID: "job" + id, Idempotent: true})
			if err == nil {
				pushed = append(pushed, id)
			}
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	})
	return func() []string {
		cancel()
		done.Wait()
		return pushed
	}
}

func (b *booted) rolls() {
	b.forget()
	stop := produce(b.Site, ledger, 4*time.Millisecond, 20)
	const rounds = 8
	for range rounds {
		b.Do("systemctl", "restart", "worker@*")
	}
	b.Do("systemctl", "restart", "worker.target")
	pushed := stop()
	b.Until(30*time.Second, "all are active", b.allActive)
	b.Settled(30 * time.Second)
	starts, ends := b.ledger()
	for _, id := range pushed {
		if starts[id] != 1 || ends[id] != 1 {
			b.Errorf("%s started %d times and ended %d times", id, starts[id], ends[id])
		}
	}
	b.Logf("%d jobs during %d restarts of four services, each once", len(pushed), rounds+1)
}

func (b *booted) endsEater() {
	limit := "MemoryMax=300M\nMemorySwapMax=0"
	if !strings.Contains(b.Do("cat", "/sys/fs/cgroup/cgroup.controllers"), "memory") {
		b.Log("this kernel gives its namespace no memory controller: the limit is LimitDATA, at " +
			"which Go's runtime ends the process")
		limit = "LimitDATA=300M"
	}
	b.Write("/etc/systemd/system/worker@pull.service.d/memory.conf", "[Service]\n"+limit+"\n")
	b.Do("systemctl", "daemon-reload")
	b.Do("systemctl", "restart", "worker@pull")
	pids := map[string]string{}
	for _, name := range services {
		pids[name] = b.Get(name, "MainPID")
	}
	before := b.Restarts("worker@pull")
	b.Push("Test::Eat", nil, queue.Options{Queue: "pull"})
	b.Until(90*time.Second, "the job is dead", func() bool { return b.Card("dead") == 1 })
	e, err := inspect.New(b.Store).DeadSet().Page(b.Context(), 0, 1)
	b.Must(err)
	b.Equal("class", e[0].Job.Class, "Test::Eat")
	b.Equal("error_class", e[0].Job.String("error_class"), "kyu.Poison")
	b.Until(20*time.Second, "the queue is served again",
		func() bool { return b.Active("worker@pull") })
	b.Equal("restarts", b.Restarts("worker@pull")-before, 3)
	for _, name := range services[:3] {
		b.Equal("pid of "+name, b.Get(name, "MainPID"), pids[name])
	}
	b.Push("Test::NoOp", nil, queue.Options{Queue: "pull"})
	b.Settled(10 * time.Second)
}

func (b *booted) watchdogKills() {
	const name = "testworker-failpoints"
	b.Install(harness.Program(name), "/usr/bin/"+name, "755")
	dropIn := "/etc/systemd/system/worker@mailers.service.d/blocks.conf"
	b.Write(dropIn, "[Service]\nExecStart=\n"+
		"ExecStart=/usr/bin/"+name+" --instance %i $WORKER_ARGS\n"+
		"Environment=KYU_FAILPOINTS=before_fetch=block@40\n")
	b.Do("systemctl", "daemon-reload")
	b.Do("systemctl", "restart", "worker@mailers")
	before := b.Restarts("worker@mailers")
	// A handler that hangs is no reason for the watchdog. It leaves one thread for the other jobs:
	// each takes one fetch, and the fortieth fetch blocks.
	b.Push("Test::Hang", nil, queue.Options{Queue: "mailers"})
	_, err := b.Client.PushBulk(b.Context(), "Test::NoOp", make([][]any, 60),
		queue.Options{Queue: "mailers"})
	b.Must(err)
	b.Until(40*time.Second, "the watchdog has killed it", func() bool {
		return strings.Contains(b.Journal("worker@mailers"), "Watchdog timeout")
	})
	b.Until(30*time.Second, "the unit was restarted", func() bool {
		return b.Restarts("worker@mailers") > before && b.Active("worker@mailers")
	})
	b.Do("systemctl", "stop", "worker@mailers") // Test::Hang would take its threads one by one
	b.Do("rm", dropIn)
	b.Do("systemctl", "daemon-reload")
	b.Raw.Del(b.Context(), "queue:mailers")
}

func (b *booted) watchdogWaits() {
	before := map[string]int{}
	for _, name := range services {
		before[name] = b.Restarts(name)
	}
	b.Must(syscall.Kill(b.Server.PID(), syscall.SIGSTOP))
	b.Until(20*time.Second, "the status names Redis",
		func() bool { return strings.Contains(b.Get("worker@push", "StatusText"), "; Redis: ") })
	<-time.After(20 * time.Second) // twice WatchdogSec
	b.Must(syscall.Kill(b.Server.PID(), syscall.SIGCONT))
	for _, name := range []string{"worker@default", "worker@push", "worker@pull"} {
		b.Equal("restarts of "+name, b.Restarts(name), before[name])
		b.Equal(name+" is active", b.Active(name), true)
	}
	b.Push("Test::NoOp", nil, queue.Options{Queue: "push"})
	b.Until(30*time.Second, "the unit takes jobs again",
		func() bool { return b.Len("push") == 0 })
}
