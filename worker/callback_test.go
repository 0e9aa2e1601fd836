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
	"sync/atomic"
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
			err := c.run(t.Context(), "hook", time.Second, func(context.Context) error { panic(boom) })
			var p *PanicError
			if !errors.As(err, &p) || !errors.Is(err, boom) || !bytes.Contains(p.Stack, []byte("callback_test.go")) {
				t.Errorf("%v, %s", err, p.Stack)
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
			c.wait(t.Context())
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
			c.wait(t.Context())
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
		"wait is bounded": func(t *testing.T) {
			c, _ := testCallbacks()
			fn, let := hanging()
			c.run(t.Context(), "hook", time.Second, fn)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			c.wait(ctx)
			if ctx.Err() == nil {
				t.Error("it hangs, and wait did not wait")
			}
			let()
			c.wait(t.Context())
		},
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
	if log.count("a callback does not return") != 2 || log.count("quiet hook") != 2 || log.count("hanging") != 1 {
		t.Error("want two lines, the first with the stack: ", log.b.String())
	}
	let()
	c.wait(t.Context())
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
	c.wait(t.Context())
	if err := c.run(t.Context(), "hook", time.Second, nothing); err != nil {
		t.Error("after they have returned: ", err)
	}
}

// deaf is an observer that can be made to hang or panic.
type deaf struct {
	mu     sync.Mutex
	heard  []string
	on     map[string]func()
	silent bool
}

func (d *deaf) hear(what string) {
	if fn := d.on[what]; fn != nil {
		fn()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.heard = append(d.heard, what)
}

func (d *deaf) all() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.heard, " ")
}

func (d *deaf) Ran(r JobRun) { d.hear("ran:" + r.Class) }
func (d *deaf) Fetched(took time.Duration, jobs int, err error) {
	d.hear(fmt.Sprintf("fetched:%v,%d,%v", took, jobs, err))
}
func (d *deaf) Settled(took time.Duration, jobs int, err error) {
	d.hear(fmt.Sprintf("settled:%v,%d,%v", took, jobs, err))
}
func (d *deaf) Reclaimed(requeued, poisoned int) {
	d.hear(fmt.Sprintf("reclaimed:%d,%d", requeued, poisoned))
}

// running lets c tell until end is called, which waits for its end.
func running(t *testing.T, c *callbacks) (end func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := c.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	return func() { cancel(); <-done }
}

func TestCallbackObserver(t *testing.T) {
	for name, test := range map[string]func(*testing.T){
		"none stays none": func(t *testing.T) {
			if c, _ := testCallbacks(); c.observer(nil) != nil {
				t.Error("not nil")
			}
		},
		"hears all, trips in order and later": func(t *testing.T) {
			c, _ := testCallbacks()
			d := new(deaf)
			o := c.observer(d)
			o.Fetched(time.Second, 3, nil)
			o.Settled(time.Minute, 4, errors.New("gone"))
			o.Reclaimed(5, 6)
			o.Ran(JobRun{Class: "A"})
			if d.all() != "ran:A" {
				t.Error(d.all())
			}
			end := running(t, c)
			synctest.Wait()
			if want := "ran:A fetched:1s,3,<nil> settled:1m0s,4,gone reclaimed:5,6"; d.all() != want {
				t.Errorf("%s, want %s", d.all(), want)
			}
			end()
		},
		"one that panics costs a line a minute":                   testPanickingObserver,
		"one that hangs holds up neither the caller nor the rest": testHangingObserver,
		"what does not fit is dropped and counted": func(t *testing.T) {
			c, log := testCallbacks()
			o := c.observer(new(deaf))
			for range callbackQueue + 3 {
				o.Reclaimed(1, 0)
			}
			<-time.After(time.Minute)
			o.Reclaimed(1, 0)
			if log.count("dropped=1 ") != 1 || log.count("dropped=3 ") != 1 {
				t.Error(log.b.String())
			}
		},
		"what is left at a stop is told": func(t *testing.T) {
			c, _ := testCallbacks()
			var n atomic.Int64
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			for range 700 {
				c.later("hook", func(context.Context) error { n.Add(1); return nil })
			}
			if err := c.Run(ctx); err != nil || n.Load() != 700 {
				t.Error(err, n.Load())
			}
		},
		"a stop waits 5 s for all that hang": func(t *testing.T) {
			c, log := testCallbacks()
			fn, let := hanging()
			end := running(t, c)
			for range 10 {
				c.later("heartbeat hook", fn)
			}
			<-time.After(time.Second)
			began := time.Now()
			end()
			if took := time.Since(began); took > callbackWithin || log.count("dropped=8 ") != 1 {
				t.Error(took, log.b.String())
			}
			let()
			c.wait(t.Context())
		},
	} {
		t.Run(name, func(t *testing.T) { synctest.Test(t, test) })
	}
}

func testPanickingObserver(t *testing.T) {
	c, log := testCallbacks()
	d := &deaf{on: map[string]func(){
		"ran:A": func() { panic("no ran") }, "reclaimed:1,0": func() { panic("no reclaim") },
		"reclaimed:2,0": runtime.Goexit,
	}}
	o := c.observer(d)
	end := running(t, c)
	for range 3 {
		o.Ran(JobRun{Class: "A"})
		o.Reclaimed(1, 0)
		o.Reclaimed(2, 0)
		o.Reclaimed(3, 0)
	}
	synctest.Wait()
	<-time.After(time.Second)
	end()
	if d.all() != "reclaimed:3,0 reclaimed:3,0 reclaimed:3,0" {
		t.Error("those behind it were not told: ", d.all())
	}
	if log.count("no ran") != 1 || log.count("no reclaim") != 1 {
		t.Error(log.b.String())
	}
}

func testHangingObserver(t *testing.T) {
	c, log := testCallbacks()
	release := make(chan struct{})
	d := &deaf{on: map[string]func(){"reclaimed:1,0": func() { <-release }}}
	o := c.observer(d)
	end := running(t, c)
	began := time.Now()
	for i := range 4 {
		o.Reclaimed(i, 0)
	}
	if time.Since(began) != 0 {
		t.Error("the caller waited")
	}
	<-time.After(callbackWithin + time.Second)
	if want := "reclaimed:0,0 reclaimed:2,0 reclaimed:3,0"; d.all() != want {
		t.Errorf("told %s, want %s", d.all(), want)
	}
	close(release)
	end()
	c.wait(t.Context())
	if want := "reclaimed:0,0 reclaimed:2,0 reclaimed:3,0 reclaimed:1,0"; d.all() != want {
		t.Errorf("told %s, want %s: each once", d.all(), want)
	}
	if log.count("a callback does not return") != 1 || log.count(toldReclaimed) == 0 {
		t.Error(log.b.String())
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
			c.wait(t.Context())
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
	p, j := testPolicy(), parse(t, `{"class":"A","jid":"x","args":[],"retry":true,"backtrace":true}`)
	var out outcome
	panicked := guardedDecision(func() { out = p.decide(j, "q", worst{}, false, now) })
	if panicked == nil {
		t.Fatal("decide did not panic: the guard is of no use")
	}
	if again := guardedDecision(func() { out = p.decide(j, "q", panicked, false, now) }); again != nil {
		t.Fatal("the panic itself cannot be decided on: ", again)
	}
	if out.action != queue.Retry || !strings.Contains(out.payload, "worker.worst") {
		t.Error(out)
	}
	if p := guardedDecision(func() {}); p != nil {
		t.Error(p)
	}
}

type counter struct {
	deaf
	n int
}

//go:noinline
func (c *counter) Ran(r JobRun) { c.n += len(r.Class) }

func BenchmarkCallbackObserver(b *testing.B) {
	c, _ := testCallbacks()
	run := JobRun{Queue: "q", Class: "A", Outcome: OutcomeDone}
	for name, o := range map[string]Observer{
		"ran/bare": &counter{}, "ran/guarded": c.observer(&counter{}),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				o.Ran(run)
			}
		})
	}
	b.Run("fetched", func(b *testing.B) {
		o := c.observer(&counter{})
		b.ReportAllocs()
		for b.Loop() {
			o.Fetched(1, 1, nil)
			<-c.queue
		}
	})
	b.Run("run", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			c.run(b.Context(), "hook", time.Minute, nothing)
		}
	})
}
