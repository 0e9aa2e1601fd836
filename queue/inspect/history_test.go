package inspect_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

func TestQueueHistory(t *testing.T) {
	f := newFixture(t)
	t.Run("derives what came from the lengths and from what left", f.derivesArrivals)
	t.Run("leaves out the points of an earlier lap", f.leavesOutLaps)
	t.Run("goes on at the beginning of the ring", f.goesRound)
	t.Run("a point after slots without a worker has all that came meanwhile", f.skipsSlots)
	t.Run("chooses the ring by the time", f.choosesRing)
	t.Run("is empty for a key of a wrong type and without a key", f.noHistory)
}

// mark writes a point of a queue into a ring, ago slots before the present one.
func (f *fixture) mark(q string, ring redisdb.Ring, ago int64, numbers ...uint32) {
	f.Helper()
	slot := f.slot(ring) - ago
	b := binary.BigEndian.AppendUint32(nil, uint32(slot))
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint32(b, n)
	}
	key := f.store.Keys().QueueHistory(q, ring)
	at := slot % int64(ring.Slots) * redisdb.PointBytes
	if err := f.raw.SetRange(f.Context(), key, at, string(b)).Err(); err != nil {
		f.Fatal(err)
	}
}

// slot is the number of the present slot of a ring.
func (f *fixture) slot(ring redisdb.Ring) int64 {
	f.Helper()
	now, err := f.raw.Time(f.Context()).Result()
	if err != nil {
		f.Fatal(err)
	}
	return now.Unix() / int64(ring.Step.Seconds())
}

// hours is a ring whose slots do not end while a test runs, but once an hour.
var hours = redisdb.QueueRings[2]

const longAgo = 300 * 24 * time.Hour

// history is what a queue's history says, without times.
func (f *fixture) history(q string, d time.Duration) (text string) {
	f.Helper()
	points, _, err := f.in.QueueHistory(f.Context(), q, d)
	if err != nil {
		f.Fatal(err)
	}
	for _, p := range points {
		text += fmt.Sprintf("[%d %.1fs +%d -%d]", p.Size, p.Age, p.In, p.Out)
	}
	return text
}

func (f *fixture) derivesArrivals(t *testing.T) {
	f = f.sub(t)
	back := uint32(1<<32 - 2)              // left: -2
	f.mark("in", hours, 9, 10, 5, 3, 3)    // the first: nothing is known before it
	f.mark("in", hours, 8, 8, 12, 7, 7)    // 5 came
	f.mark("in", hours, 7, 4, 0, 0, 4)     // none came, 4 are in flight
	f.mark("in", hours, 6, 4, 0, 4, 0)     // those 4 are settled
	f.mark("in", hours, 5, 6, 0, 0, back)  // 2 came back from their worker
	f.mark("in", hours, 4, 0, 0, 1, 1)     // a person deleted 5
	f.mark("in", hours, 3, 100, 0, 20, 20) // 120 came
	same(t, "history", f.history("in", longAgo), "[10 0.5s +0 -3][8 1.2s +5 -7][4 0.0s +0 -0]"+
		"[4 0.0s +0 -4][6 0.0s +0 -0][0 0.0s +0 -1][100 0.0s +120 -20]")
}

func (f *fixture) leavesOutLaps(t *testing.T) {
	f = f.sub(t)
	lap := int64(hours.Slots)
	f.mark("lap", hours, lap+2, 1, 0, 0, 0)
	f.mark("lap", hours, lap+1, 2, 0, 0, 0)
	f.mark("lap", hours, 1, 3, 0, 0, 0) // in the place of the second
	same(t, "history", f.history("lap", inspect.MaxHistory), "[3 0.0s +0 -0]")
}

func (f *fixture) goesRound(t *testing.T) {
	f = f.sub(t)
	ring := redisdb.QueueRings[0]
	for ago := int64(ring.Slots) - 10; ago >= 0; ago-- {
		f.mark("round", ring, ago, 1, 0, 1, 1)
	}
	points, step, err := f.in.QueueHistory(t.Context(), "round", ring.Span())
	if err != nil || step != ring.Step || len(points) < ring.Slots-11 {
		t.Fatalf("%d points of %v, %v", len(points), step, err)
	}
	for i, p := range points[1:] {
		if d := p.At.Sub(points[i].At); d != step {
			t.Fatalf("point %d is %v after the one before", i+1, d)
		}
	}
}

func (f *fixture) skipsSlots(t *testing.T) {
	f = f.sub(t)
	f.mark("gap", hours, 9, 1, 0, 0, 0)
	f.mark("gap", hours, 5, 1000, 0, 1, 1)
	same(t, "history", f.history("gap", longAgo), "[1 0.0s +0 -0][1000 0.0s +1000 -1]")
}

func (f *fixture) choosesRing(t *testing.T) {
	for i, d := range []time.Duration{6 * time.Hour, 7 * 24 * time.Hour, 400 * 24 * time.Hour} {
		_, step, err := f.in.QueueHistory(t.Context(), "none", d)
		if err != nil || step != redisdb.QueueRings[i].Step {
			t.Errorf("%v: slots of %v, %v", d, step, err)
		}
	}
	for _, d := range []time.Duration{0, -1, 401 * 24 * time.Hour} {
		if _, _, err := f.in.QueueHistory(t.Context(), "none", d); err == nil {
			t.Errorf("%v is accepted", d)
		}
	}
}

func (f *fixture) noHistory(t *testing.T) {
	f = f.sub(t)
	f.raw.LPush(t.Context(), f.store.Keys().QueueHistory("odd", hours), "a job")
	same(t, "history of a list", f.history("odd", longAgo), "")
	same(t, "history of no key", f.history("never", longAgo), "")
}

func TestRates(t *testing.T) {
	f := newFixture(t)
	ring := redisdb.QueueRings[0]
	f.raw.LPush(t.Context(), f.store.Keys().QueueHistory("odd", ring), "a job")
	f.awaitSlot(ring)
	for ago := int64(7); ago >= 0; ago-- { // 20 left and 10 came in each slot
		f.mark("busy", ring, ago, uint32(1000+10*ago), 0, 20, 20)
	}
	f.mark("new", ring, 2, 0, 0, 0, 0)
	f.mark("new", ring, 1, 50, 0, 0, 0)
	f.mark("once", ring, 1, 0, 0, 5, 5)
	f.mark("ended", ring, 7, 0, 0, 5, 5)
	f.mark("ended", ring, 6, 0, 0, 5, 5)
	rates, err := f.in.Rates(t.Context(), []string{"busy", "new", "once", "ended", "odd", "none"})
	want := map[string]inspect.Rate{"busy": {In: 1, Out: 2}, "new": {In: 5}}
	t.Run("are those of the last minute, or of what there is of it", func(t *testing.T) {
		if err != nil || !reflect.DeepEqual(rates, want) {
			t.Errorf("%v, %v; want %v", rates, err, want)
		}
	})
	t.Run("are none for no queues", func(t *testing.T) {
		if rates, err := f.in.Rates(t.Context(), nil); err != nil || len(rates) != 0 {
			t.Errorf("%v, %v", rates, err)
		}
	})
}

// awaitSlot returns when the present slot has a while to go, so that a test ends in it.
func (f *fixture) awaitSlot(ring redisdb.Ring) {
	f.Helper()
	testwait.Until(f, 10*time.Second, "the slot has just begun", func() bool {
		now, err := f.raw.Time(f.Context()).Result()
		if err != nil {
			f.Fatal(err)
		}
		return now.Sub(now.Truncate(ring.Step)) < ring.Step-2*time.Second
	})
}

func TestQueuesWithHistory(t *testing.T) {
	f := newFixture(t)
	f.push("with", 1)
	f.push("without", 1)
	f.mark("with", hours, 0, 0, 0, 0, 0)
	names, err := f.in.QueuesWithHistory(t.Context())
	if err != nil || !reflect.DeepEqual(names, []string{"with"}) {
		t.Errorf("%v, %v", names, err)
	}
}

// The writer and the reader agree on the form of a point.
func TestHistoryOfFlushes(t *testing.T) {
	f := newFixture(t)
	f.push("a", 3)
	flush := func(number uint64, out, left int64) {
		f.Helper()
		_, broken, ok, err := f.owner.FlushHistory(context.Background(),
			queue.Flush{Field: "a", Number: number}, []queue.Flow{{Queue: "a", Out: out,
				Left: left}})
		if err != nil || !ok || len(broken) > 0 {
			t.Fatal(broken, ok, err)
		}
	}
	flush(1, 4, 70000)
	flush(2, 300, -1)
	points, _, err := f.in.QueueHistory(t.Context(), "a", longAgo)
	if err != nil || len(points) == 0 {
		t.Fatal(points, err)
	}
	out := int64(0)
	for _, p := range points {
		out += p.Out
	}
	same(t, "out", out, 304)
	same(t, "size", points[len(points)-1].Size, 3)
}

func FuzzQueueHistory(f *testing.F) {
	f.Add("of another program", int64(1), int64(2))
	f.Add(string(make([]byte, 45)), int64(0), int64(0))
	f.Fuzz(func(t *testing.T, text string, first, last int64) {
		slots := inspect.DecodeSlots(text, first, last)
		if len(slots) > len(text)/redisdb.PointBytes {
			t.Errorf("%d points in %d bytes", len(slots), len(text))
		}
		for _, slot := range slots {
			if slot < first || slot > last {
				t.Errorf("slot %d is not from %d to %d", slot, first, last)
			}
		}
	})
}
