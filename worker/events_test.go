package worker

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// deaf is an observer that can be made to hang or panic.
type deaf struct {
	mu    sync.Mutex
	heard []string
	on    map[string]func()
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
			const want = "ran:A fetched:1s,3,<nil> settled:1m0s,4,gone reclaimed:5,6"
			if d.all() != want {
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
			synctest.Wait()
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
	synctest.Wait()
	if want := "reclaimed:0,0 reclaimed:2,0 reclaimed:3,0 reclaimed:1,0"; d.all() != want {
		t.Errorf("told %s, want %s: each once", d.all(), want)
	}
	if log.count("a callback does not return") != 1 || log.count(toldReclaimed) == 0 {
		t.Error(log.b.String())
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
