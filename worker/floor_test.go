package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestFloors(t *testing.T) {
	capsule := func(list ...QueueWeight) *Capsule {
		return &Capsule{Name: "default", Concurrency: 5, Queues: list}
	}
	t.Run("are refused with all their problems", func(t *testing.T) {
		for want, c := range map[string]*Capsule{
			"queue pull: floor 150%: want 0.1% to 75%": capsule(QueueWeight{Name: "pull",
				Floor: Floor{Share: 1.5}}),
			"queue pull: floor 0.01%": capsule(QueueWeight{Name: "pull",
				Floor: Floor{Share: 0.0001}}),
			"queue pull: max 6: want 1 to 5, the threads of the capsule": capsule(
				QueueWeight{Name: "pull", Floor: Floor{Max: 6}}),
			"late 10ms: want 1s or more": capsule(QueueWeight{Name: "pull",
				Floor: Floor{Late: 10 * time.Millisecond}}),
			"a floor wants strict order: leave out the weights": capsule(QueueWeight{Name: "x",
				Weight: 2}, QueueWeight{Name: "pull", Floor: Floor{Max: 1}}),
			"a floor of a queue that is named twice": capsule(QueueWeight{Name: "pull"},
				QueueWeight{Name: "pull", Floor: Floor{Max: 1}}),
			"the floors add up to 120%: want at most 75%": capsule(QueueWeight{Name: "x",
				Floor: Floor{Share: 0.6}}, QueueWeight{Name: "y", Floor: Floor{Share: 0.6}}),
		} {
			if err := c.validate(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %q", err, want)
			}
		}
	})
	t.Run("are in the process's record", func(t *testing.T) {
		c := capsule(QueueWeight{Name: "default"}, QueueWeight{Name: "pull",
			Floor: Floor{Share: 0.05, Max: 3, Late: time.Minute}})
		if err := c.validate(); err != nil {
			t.Fatal(err)
		}
		floors := c.record().Floors
		f := floors["pull"]
		if len(floors) != 1 || f.Share != 0.05 || f.Max != 3 || f.Late != 60 {
			t.Errorf("%+v", floors)
		}
	})
}

func TestFloorRuns(t *testing.T) {
	t.Parallel()
	t.Run("a queue gets its share while the queues before it are full", sharesStarts)
	t.Run("a queue takes no more threads than its bound, and all its jobs run", boundsThreads)
	t.Run("a late queue gets a quarter", lateStarts)
}

// floored serves a before b, which has a floor.
func (b *bench) floored(threads int, f Floor) {
	b.config.Capsules = []Capsule{{Concurrency: threads, Queues: []QueueWeight{{Name: "a"},
		{Name: "b", Floor: f}}}}
	b.config.NoJobLog = true
}

// startsOf runs all jobs of a and b, and returns how many of the first n starts are of b.
func (b *bench) startsOf(n int) (of int) {
	var starts list
	b.handle("A", starts.adds("a"))
	b.handle("B", starts.adds("b"))
	b.start()
	b.until("all jobs have run", func() bool { return b.empty() })
	for _, q := range starts.get()[:n] {
		if q == "b" {
			of++
		}
	}
	return of
}

func sharesStarts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.floored(5, Floor{Share: 0.1})
	b.fill("a", "A", 2000, 0)
	b.fill("b", "B", 500, 0)
	if n := b.startsOf(1000); n < 100 || n > 130 {
		t.Errorf("%d of 1000 starts, want 10 %% and a little more", n)
	}
}

func lateStarts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.floored(1, Floor{Late: time.Second})
	b.config.NoHistory = true // it reads the oldest jobs too
	gate := b.gate()
	b.handle("Wait", gate.hook)
	b.fill("a", "Wait", 1, 0)
	b.fill("a", "A", 400, 0)
	raw := strings.Replace(payload("b", "B", 0, 0), "{", fmt.Sprintf(`{"enqueued_at":%d,`,
		time.Now().Add(-time.Minute).Unix()), 1)
	b.raw.LPush(t.Context(), "queue:b", raw)
	var starts list
	b.handle("A", starts.adds("a"))
	b.handle("B", starts.adds("b"))
	b.start()
	b.until("the age was told", func() bool { return b.calls("lindex") >= 2 })
	gate.open()
	b.until("all jobs have run", func() bool { return b.empty() })
	if i := slices.Index(starts.get(), "b"); i < 0 || i > 5 {
		t.Errorf("the late job starts as number %d", i)
	}
}

// gauge counts threads that are in a handler.
type gauge struct {
	mu             sync.Mutex
	now, most, ran int // guarded by mu
}

func (g *gauge) run(context.Context) error {
	g.mu.Lock()
	g.now++
	g.most = max(g.most, g.now)
	g.mu.Unlock()
	<-time.After(2 * time.Millisecond) // the work
	g.mu.Lock()
	g.now, g.ran = g.now-1, g.ran+1
	g.mu.Unlock()
	return nil
}

func boundsThreads(t *testing.T) {
	t.Parallel()
	b, bounded, free := newBench(t), &gauge{}, &gauge{}
	b.floored(8, Floor{Max: 2})
	b.handle("A", free.run)
	b.handle("B", bounded.run)
	b.fill("b", "B", 100, 0)
	b.start()
	b.fill("a", "A", 100, 0)
	b.until("all jobs have run", func() bool { return b.empty() })
	if bounded.most != 2 || bounded.ran != 100 || free.ran != 100 {
		t.Errorf("%d threads at a time, want 2; %d and %d jobs ran", bounded.most, bounded.ran,
			free.ran)
	}
}
