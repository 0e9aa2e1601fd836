package worker

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

func TestRun(t *testing.T) {
	t.Parallel()
	t.Run("a panic is a failure with its stack", panicFails)
	t.Run("runtime.Goexit is a failure, and the thread runs further jobs", goexitFails)
	t.Run("bytes that are not a job go to the dead set unchanged", bytesDie)
	t.Run("a job of an unknown class is retried with an error that names the known classes",
		unknownClassFails)
	t.Run("an error of a handler can discard, kill or put off its job", steersJobs)
	t.Run("a run ends at its timeout, and a job at its deadline", timesOut)
	t.Run("an error whose own methods panic is a failure", func(t *testing.T) {
		t.Parallel()
		b := newBench(t)
		b.handleNumber("Fails", func(context.Context, int) error { return unreadable{} })
		b.fill("b", "Fails", 1, 0)
		b.runsAllJobs()
		if n := b.size("retry") + b.waiting("b"); n != 1 {
			t.Errorf("%d jobs are retried, want 1", n)
		}
	})
}

// unreadable is an error that can neither be read nor compared.
type unreadable struct{}

func (unreadable) Error() string { panic("of an error") }
func (unreadable) Is(error) bool { panic("of an error") }

func panicFails(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var failures list
	b.config.ErrorHandlers = []ErrorHandler{
		func(_ context.Context, err error, j *queue.Job) {
			failures.add(j.Class + ": " + err.Error())
		},
		func(context.Context, error, *queue.Job) { panic("of an error handler") },
	}
	b.handle("Panic", func(context.Context) error { panic("oh no") })
	b.start()
	b.push("Panic", nil, queue.Options{Backtrace: -1})
	b.until("it has failed", func() bool { return b.size("retry") == 1 })
	j := b.only(inspect.New(b.store).RetrySet())
	if class := j.String("error_class"); class != "panic" {
		t.Errorf("error_class %q, want panic", class)
	}
	if text := j.String("error_message"); text != "panic: oh no" {
		t.Errorf("error_message %q", text)
	}
	if j.String("error_backtrace") == "" {
		t.Error("no error_backtrace")
	}
	if got := failures.get(); !slices.Equal(got, []string{"Panic: panic: oh no"}) {
		t.Errorf("the error handler was called with %q", got)
	}
}

func goexitFails(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.config.Capsules[0].Concurrency = 1
	var runs list
	b.handle("Exit", func(context.Context) error { runtime.Goexit(); return nil })
	b.handle("Job", runs.adds("ran"))
	p := b.start()
	for i := range 3 {
		b.push("Exit", nil, queue.Options{})
		b.push("Job", nil, queue.Options{})
		b.until("the job behind it has run", func() bool { return runs.len() == i+1 })
	}
	b.until("all have failed", func() bool {
		return b.size("retry") == 3 && b.empty() && p.Status().Busy == 0
	})
	page, _ := inspect.New(b.store).RetrySet().Page(t.Context(), 0, 1)
	if text := page[0].Job.String("error_message"); !strings.Contains(text, "runtime.Goexit") {
		t.Errorf("error_message %q does not name runtime.Goexit", text)
	}
}

func bytesDie(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.start()
	b.raw.LPush(t.Context(), "queue:a", "{bad json \xff")
	b.until("they are in the dead set", func() bool { return b.size("dead") == 1 })
	got := b.raw.ZRange(t.Context(), "dead", 0, -1).Val()[0]
	if got != "{bad json \xff" {
		t.Errorf("in the dead set: %q", got)
	}
	b.until("they are settled", b.empty)
}

func unknownClassFails(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.handle("Known::One", func(context.Context) error { return nil })
	b.start()
	b.push("Missing::Klass", nil, queue.Options{})
	b.until("it has failed", func() bool { return b.size("retry") == 1 })
	j := b.only(inspect.New(b.store).RetrySet())
	if class := j.String("error_class"); class != "NameError" {
		t.Errorf("error_class %q, want NameError", class)
	}
	for _, name := range []string{"Missing::Klass", "Known::One"} {
		if text := j.String("error_message"); !strings.Contains(text, name) {
			t.Errorf("error_message %q does not name %s", text, name)
		}
	}
}

func steersJobs(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var deaths list
	b.config.DeathHandlers = []DeathHandler{func(_ context.Context, j *queue.Job, _ error) {
		deaths.add(j.Class)
	}}
	b.handle("Discard", func(context.Context) error { return queue.Discard(errors.New("x")) })
	b.handle("Kill", func(context.Context) error { return queue.Kill(errors.New("x")) })
	b.handle("Snooze", func(context.Context) error { return queue.Snooze(time.Hour) })
	b.handle("Never", func(context.Context) error { return errors.New("x") })
	p := b.start()
	b.push("Discard", nil, queue.Options{})
	b.push("Kill", nil, queue.Options{})
	b.push("Snooze", nil, queue.Options{})
	b.push("Never", nil, queue.Options{Retry: queue.NeverRetry})
	b.until("all are settled", func() bool {
		return b.empty() && b.size("dead") == 1 && b.size("schedule") == 1
	})
	b.until("the deaths are told", func() bool { return deaths.len() == 3 })
	got := deaths.get()
	slices.Sort(got)
	if !slices.Equal(got, []string{"Discard", "Kill", "Never"}) {
		t.Errorf("deaths of %q", got)
	}
	if n := b.size("retry"); n != 0 {
		t.Errorf("%d jobs are retried", n)
	}
	if _, counted := b.only(inspect.New(b.store).ScheduleSet()).RetryCount(); counted {
		t.Error("a snooze counted as an attempt")
	}
	p.stop()
	if st, _ := inspect.New(b.store).Stats(t.Context()); st.Processed != 3 || st.Failed != 3 {
		t.Errorf("counted %d processed and %d failed jobs, want 3 and 3", st.Processed, st.Failed)
	}
}

func timesOut(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.handle("Slow", func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
		Options{Timeout: 30 * time.Millisecond})
	b.handle("Late", func(ctx context.Context) error { return nil },
		Options{Deadline: time.Nanosecond})
	b.start()
	b.push("Slow", nil, queue.Options{})
	b.push("Late", nil, queue.Options{})
	b.until("one is retried and one dead", func() bool {
		return b.size("retry") == 1 && b.size("dead") == 1
	})
	j := b.only(inspect.New(b.store).RetrySet())
	if text := j.String("error_message"); !strings.Contains(text, "timeout") {
		t.Errorf("error_message %q does not name the timeout", text)
	}
}
