package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

// testCallbacks returns callbacks and their log.
func testCallbacks() (*callbacks, *testwait.Log) {
	log := new(testwait.Log)
	return newCallbacks(slog.New(slog.NewTextHandler(log, nil))), log
}

// lines counts the lines of a log that contain a text.
func lines(log *testwait.Log, text string) (n int) {
	for line := range strings.Lines(log.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

// hanging returns a callback that ignores its context until end is called.
func hanging() (fn func(context.Context) error, end func()) {
	c := make(chan struct{})
	return func(context.Context) error { <-c; return nil }, func() { close(c) }
}

func nothing(context.Context) error { return nil }

func TestCallback(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(*testing.T){
		"returns its error":                        callbackError,
		"a panic is its error, with the stack":     callbackPanic,
		"runtime.Goexit does not hang the caller":  callbackGoexit,
		"its context ends at the deadline":         callbackDeadline,
		"runs to its end though its context ended": callbackAfterStop,
		"that hangs is left alone, with a line":    callbackHangs,
		"is not called when 64 others hang":        callbacksRefused,
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
	}
}

var errBoom = errors.New("boom")

func callbackError(t *testing.T) {
	c, _ := testCallbacks()
	err := c.run(t.Context(), "hook", time.Second, func(context.Context) error { return errBoom })
	if err != errBoom {
		t.Error(err)
	}
}

func callbackPanic(t *testing.T) {
	c, _ := testCallbacks()
	err := c.run(t.Context(), "hook", time.Second, func(context.Context) error { panic(errBoom) })
	var p *PanicError
	if !errors.As(err, &p) || !errors.Is(err, errBoom) {
		t.Fatal(err)
	}
	if !bytes.Contains(p.Stack, []byte("callbacks_test.go")) {
		t.Errorf("the stack does not name this file: %s", p.Stack)
	}
}

func callbackGoexit(t *testing.T) {
	c, _ := testCallbacks()
	err := c.run(t.Context(), "hook", time.Second, func(context.Context) error {
		runtime.Goexit()
		return nil
	})
	if err == nil || !strings.Contains(err.Error(), "Goexit") {
		t.Error(err)
	}
	synctest.Wait()
}

func callbackDeadline(t *testing.T) {
	c, _ := testCallbacks()
	began := time.Now()
	err := c.run(t.Context(), "hook", time.Second, func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	})
	if took := time.Since(began); took != time.Second || err == nil {
		t.Errorf("after %v: %v, want an error after 1s", took, err)
	}
	synctest.Wait()
}

func callbackAfterStop(t *testing.T) {
	c, _ := testCallbacks()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ended := false
	err := c.run(ctx, "hook", time.Second, func(ctx context.Context) error {
		<-time.After(time.Millisecond)
		ended = ctx.Err() != nil
		return nil
	})
	if err != nil || !ended {
		t.Errorf("%v, and the end of its context was seen: %v", err, ended)
	}
}

func callbackHangs(t *testing.T) {
	c, log := testCallbacks()
	fn, end := hanging()
	for range 2 {
		began := time.Now()
		err := c.run(t.Context(), "quiet hook", 3*time.Second, fn)
		if took := time.Since(began); took != 3*time.Second || !errors.Is(err, errOverdue) {
			t.Errorf("after %v: %v, want errOverdue after 3s", took, err)
		}
	}
	if n := lines(log, "a callback does not return"); n != 2 {
		t.Errorf("%d lines, want 2: %s", n, log)
	}
	if n := lines(log, "hanging"); n != 1 {
		t.Errorf("%d lines have the stack, want the first: %s", n, log)
	}
	end()
	synctest.Wait()
	if n := lines(log, "has returned after its time"); n != 2 || c.overdue != 0 {
		t.Errorf("%d lines that it has returned, %d overdue, want 2 and 0: %s", n, c.overdue, log)
	}
}

func callbacksRefused(t *testing.T) {
	c, log := testCallbacks()
	fn, end := hanging()
	for range maxOverdue {
		c.run(t.Context(), "hook", time.Millisecond, fn)
	}
	for range 3 {
		began := time.Now()
		err := c.run(t.Context(), "hook", time.Second, func(context.Context) error {
			t.Error("it was called")
			return nil
		})
		if !errors.Is(err, errRefused) || time.Since(began) != 0 {
			t.Errorf("after %v: %v, want errRefused at once", time.Since(began), err)
		}
		c.report("hook", err)
	}
	if n := lines(log, "callbacks are not called"); n != 1 {
		t.Errorf("%d lines, want 1: %s", n, log)
	}
	end()
	synctest.Wait()
	if err := c.run(t.Context(), "hook", time.Second, nothing); err != nil {
		t.Error("after they have returned:", err)
	}
}

func TestFailureHandlers(t *testing.T) {
	t.Parallel()
	j := parse(t, `{"class":"A","jid":"x","args":[]}`)
	t.Run("one that panics is logged, and the others are called", func(t *testing.T) {
		c, log := testCallbacks()
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // the stop of a worker
		var told []string
		c.tellError(ctx, []ErrorHandler{
			func(context.Context, error, *queue.Job) { panic("no handler") },
			func(ctx context.Context, err error, j *queue.Job) {
				told = append(told, err.Error(), j.JID, fmt.Sprint(ctx.Err()))
			},
		}, errBoom, j)
		if got := strings.Join(told, " "); got != "boom x <nil>" {
			t.Errorf("called with %s", got)
		}
		if n := lines(log, "no handler"); n != 1 {
			t.Errorf("%d lines, want 1: %s", n, log)
		}
	})
	t.Run("a death handler gets the fields of the last failure", func(t *testing.T) {
		c, _ := testCallbacks()
		var class string
		c.tellDeath(t.Context(), []DeathHandler{func(_ context.Context, j *queue.Job, _ error) {
			class = j.String("error_class")
		}}, j, `{"class":"A","jid":"x","args":[],"error_class":"E"}`, errBoom)
		if class != "E" {
			t.Errorf("error_class is %q, want E", class)
		}
	})
	t.Run("one that hangs delays its thread by 5 s", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, _ := testCallbacks()
			fn, end := hanging()
			began, told := time.Now(), false
			c.tellDeath(t.Context(), []DeathHandler{
				func(context.Context, *queue.Job, error) { fn(nil) },
				func(context.Context, *queue.Job, error) { told = true },
			}, j, "", errBoom)
			if took := time.Since(began); took != callbackWithin || told {
				t.Errorf("after %v the handler behind it was called: %v", took, told)
			}
			end()
			synctest.Wait()
			if !told {
				t.Error("the handler behind it was never called")
			}
		})
	})
}

// worst is an error whose methods all panic, with itself.
type worst struct{}

func (w worst) Error() string          { panic(w) }
func (w worst) Is(error) bool          { panic(w) }
func (w worst) As(any) bool            { panic(w) }
func (w worst) Unwrap() error          { panic(w) }
func (w worst) ErrorClass() string     { panic(w) }
func (w worst) Format(fmt.State, rune) { panic(w) }

func TestGuardedDecision(t *testing.T) {
	t.Parallel()
	t.Run("survives an error whose methods all panic", func(t *testing.T) {
		p := testPolicy()
		j := parse(t, `{"class":"A","jid":"x","args":[],"retry":true,"backtrace":true}`)
		var d decision
		panicked := guardedDecision(func() { d = p.decide(j, "q", worst{}, false, now) })
		if panicked == nil {
			t.Fatal("decide did not panic: there is nothing to guard against")
		}
		again := guardedDecision(func() { d = p.decide(j, "q", panicked, false, now) })
		if again != nil {
			t.Fatal("the panic itself cannot be decided on:", again)
		}
		if d.settle.Action != queue.Retry || !strings.Contains(d.settle.Payload, "worker.worst") {
			t.Errorf("%s with %s, want a retry that names the error", d.settle.Action,
				d.settle.Payload)
		}
	})
	t.Run("returns nil without a panic", func(t *testing.T) {
		if p := guardedDecision(func() {}); p != nil {
			t.Error(p)
		}
	})
}
