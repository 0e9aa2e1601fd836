package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// logText is what was logged.
type logText struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logText) count(part string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.b.String(), part)
}

func testCallbacks() (*callbacks, *logText) {
	l := new(logText)
	return newCallbacks(slog.New(slog.NewTextHandler(l, nil))), l
}

// hanging gives a callback that ignores its context until let is called.
func hanging() (fn func(context.Context) error, let func()) {
	end := make(chan struct{})
	return func(context.Context) error { <-end; return nil }, func() { close(end) }
}

func nothing(context.Context) error { return nil }

func TestCallback(t *testing.T) {
	boom := errors.New("boom")
	fails := func(context.Context) error { return boom }
	for name, test := range map[string]func(*testing.T){
		"gives its error": func(t *testing.T) {
			c, _ := testCallbacks()
			if err := c.run(t.Context(), "hook", time.Second, fails); err != boom {
				t.Error(err)
			}
		},
		"a panic is its error": func(t *testing.T) {
			c, _ := testCallbacks()
			err := c.run(t.Context(), "hook", time.Second,
				func(context.Context) error { panic(boom) })
			var p *PanicError
			if !errors.As(err, &p) || !errors.Is(err, boom) {
				t.Fatal(err)
			}
			if !bytes.Contains(p.Stack, []byte("callback_test.go")) {
				t.Errorf("the stack does not say where: %s", p.Stack)
			}
		},
		"runtime.Goexit does not hang the caller": func(t *testing.T) {
			c, _ := testCallbacks()
			err := c.run(t.Context(), "hook", time.Second, func(context.Context) error {
				runtime.Goexit()
				return nil
			})
			if err == nil || !strings.Contains(err.Error(), "Goexit") {
				t.Error(err)
			}
			synctest.Wait()
		},
		"its context ends at the deadline": func(t *testing.T) {
			c, _ := testCallbacks()
			began := time.Now()
			err := c.run(t.Context(), "hook", time.Second, func(ctx context.Context) error {
				<-ctx.Done()
				return ctx.Err()
			})
			if took := time.Since(began); took != time.Second || err == nil {
				t.Error(took, err)
			}
			synctest.Wait()
		},
		"an ended context does not keep it from being called to its end": func(t *testing.T) {
			c, _ := testCallbacks()
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			ran := false
			err := c.run(ctx, "hook", time.Second, func(ctx context.Context) error {
				<-time.After(time.Millisecond)
				ran = ctx.Err() != nil
				return nil
			})
			if err != nil || !ran {
				t.Error(err, ran)
			}
		},
		"one that hangs is left behind, with its stack": testLeftBehind,
		"no more are called when 64 hang":               testRefused,
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
	}
}

func testLeftBehind(t *testing.T) {
	c, log := testCallbacks()
	fn, let := hanging()
	for range 2 {
		began := time.Now()
		err := c.run(t.Context(), "quiet hook", 3*time.Second, fn)
		if took := time.Since(began); took != 3*time.Second || !errors.Is(err, errOverdue) {
			t.Error(took, err)
		}
	}
	if log.count("a callback does not return") != 2 || log.count("hanging") != 1 {
		t.Error("want two lines, the first with the stack: ", log.b.String())
	}
	let()
	synctest.Wait()
	if log.count("has returned after its time") != 2 || c.overdue != 0 {
		t.Error(c.overdue, log.b.String())
	}
}

func testRefused(t *testing.T) {
	c, log := testCallbacks()
	fn, let := hanging()
	for range maxOverdue {
		c.run(t.Context(), "hook", time.Millisecond, fn)
	}
	for range 3 {
		began := time.Now()
		err := c.run(t.Context(), "hook", time.Second, func(context.Context) error {
			t.Error("called")
			return nil
		})
		if !errors.Is(err, errRefused) || time.Since(began) != 0 {
			t.Error(err)
		}
		c.report("hook", err)
	}
	if log.count("callbacks are not called") != 1 {
		t.Error(log.b.String())
	}
	let()
	synctest.Wait()
	if err := c.run(t.Context(), "hook", time.Second, nothing); err != nil {
		t.Error("after they have returned: ", err)
	}
}

func TestCallbackHandlersOfFailures(t *testing.T) {
	j := parse(t, `{"class":"A","jid":"x","args":[]}`)
	boom := errors.New("boom")
	t.Run("one that panics costs a line, the others are told", func(t *testing.T) {
		c, log := testCallbacks()
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // the stop of a worker
		var told []string
		c.tellError(ctx, []ErrorHandler{
			func(context.Context, error, *queue.Job) { panic("no handler") },
			func(ctx context.Context, err error, j *queue.Job) {
				told = append(told, err.Error(), j.JID, fmt.Sprint(ctx.Err()))
			},
		}, boom, j)
		if strings.Join(told, " ") != "boom x <nil>" || log.count("no handler") != 1 {
			t.Error(told, log.b.String())
		}
	})
	t.Run("a death is told with the fields of the last failure", func(t *testing.T) {
		c, _ := testCallbacks()
		var class string
		c.tellDeath(t.Context(), []DeathHandler{func(_ context.Context, j *queue.Job, _ error) {
			class = j.String("error_class")
		}}, j, `{"class":"A","jid":"x","args":[],"error_class":"E"}`, boom)
		if class != "E" {
			t.Error(class)
		}
	})
	t.Run("one that hangs holds its thread up for 5 s", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c, _ := testCallbacks()
			fn, let := hanging()
			began, told := time.Now(), false
			c.tellDeath(t.Context(), []DeathHandler{
				func(context.Context, *queue.Job, error) { fn(nil) },
				func(context.Context, *queue.Job, error) { told = true },
			}, j, "", boom)
			if took := time.Since(began); took != callbackWithin || told {
				t.Error(took, told)
			}
			let()
			synctest.Wait()
			if !told {
				t.Error("the handler behind it was never told")
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

func TestCallbackDecisionsSurviveAnErrorsOwnMethods(t *testing.T) {
	p := testPolicy()
	j := parse(t, `{"class":"A","jid":"x","args":[],"retry":true,"backtrace":true}`)
	var out decision
	panicked := guardedDecision(func() { out = p.decide(j, "q", worst{}, false, now) })
	if panicked == nil {
		t.Fatal("decide did not panic: the guard is of no use")
	}
	again := guardedDecision(func() { out = p.decide(j, "q", panicked, false, now) })
	if again != nil {
		t.Fatal("the panic itself cannot be decided on: ", again)
	}
	if out.settle.Action != queue.Retry || !strings.Contains(out.settle.Payload, "worker.worst") {
		t.Error(out)
	}
	if p := guardedDecision(func() {}); p != nil {
		t.Error(p)
	}
}
