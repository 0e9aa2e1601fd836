package worker

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

func TestRunner(t *testing.T) {
	t.Parallel()
	t.Run("calls the hooks in their order", hooksInOrder)
	t.Run("does not start if a startup hook fails", failingStartup)
	t.Run("runs once: a second Run is an error and takes no job", secondRun)
	t.Run("goes on after an outage of Redis, and logs two lines", afterOutage)
}

func hooksInOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var order list
	two := func(name string) []func(context.Context) error {
		return []func(context.Context) error{order.adds(name + "1"), order.adds(name + "2")}
	}
	b.config.Hooks = Hooks{Startup: two("startup"), Heartbeat: two("beat"),
		Quiet: two("quiet"), Shutdown: two("shutdown")}
	p := b.start()
	b.until("the first beat has come", func() bool { return order.len() == 4 })
	p.stop()
	const want = "startup1 startup2 beat1 beat2 quiet2 quiet1 shutdown2 shutdown1"
	if got := order.String(); got != want {
		t.Errorf("called %s, want %s", got, want)
	}
}

func failingStartup(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.Hooks.Startup = []func(context.Context) error{
		func(context.Context) error { return errors.New("no key") }}
	b.push("Job", nil, queue.Options{})
	err := b.make(b.store).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "no key") {
		t.Errorf("Run: %v, want the hook's error", err)
	}
	if n := b.waiting("a"); n != 1 {
		t.Errorf("%d jobs wait, want 1: it took a job", n)
	}
}

func secondRun(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.handle("Job", func(context.Context) error { return nil })
	p := b.start()
	p.stop()
	b.push("Job", nil, queue.Options{})
	if err := p.runOnce(); !errors.Is(err, ErrRanBefore) {
		t.Errorf("the second Run: %v, want ErrRanBefore", err)
	}
	if n := b.waiting("a"); n != 1 {
		t.Errorf("%d jobs wait, want 1: the second Run took a job", n)
	}
}

func afterOutage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var runs list
	b.handle("Job", runs.adds("ran"))
	b.start()
	b.push("Job", nil, queue.Options{})
	b.until("the first job has run", func() bool { return runs.len() == 1 })
	b.server.Kill()
	b.until("the outage is logged", func() bool { return b.says("does not serve us") })
	b.server.Restart()
	b.until("its end is logged", func() bool { return b.says("serves us again") })
	b.until("a job is pushed", func() bool {
		_, err := b.client.Push(t.Context(), "Job", nil, queue.Options{Queue: "a"})
		return err == nil
	})
	b.until("it has run", func() bool { return runs.len() >= 2 })
	// A beat that was on its way when the outage ended may begin another one.
	if n := strings.Count(b.log.String(), "does not serve us"); n > 2 {
		t.Errorf("the outage was logged %d times", n)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	t.Run("is ready when the process has beaten and fetched, and names the identity",
		func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			p := b.make(b.store)
			if s := p.Status(); s.Ready || s.Identity != "" || s.Threads != 5 {
				t.Errorf("before Run: %+v", s)
			}
			p.launch()
			b.until("it is ready", func() bool { return p.Status().Ready })
			s := p.Status()
			if !b.leased(s.Identity) {
				t.Errorf("no lease of the identity %q", s.Identity)
			}
			b.until("each loop has turned within the last 10 s", func() bool {
				return time.Since(p.Turned()) < 10*time.Second
			})
		})
}
