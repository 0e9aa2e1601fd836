package protocol

import (
	"fmt"
	"slices"
	"testing"

	"github.com/kyujobs/kyu/queue"
	"pgregory.net/rapid"
)

// floored describes a capsule that serves queue x before y, with a floor for y.
func floored(seats int, f Floor) Capsule {
	f.Queue, f.Name = 1, "y"
	return Capsule{Queues: []int{0, 1}, Seats: seats, Floors: []Floor{f}}
}

// turns lists the turns of the trip that has begun last.
func (f *fixture) turns() string {
	trips := f.Process.Trips(0)
	return fmt.Sprint(trips[len(trips)-1].Turns)
}

func TestFloor(t *testing.T) {
	t.Run("leaves strict order as it is until the queue has earned a job", func(t *testing.T) {
		f := newFixture(t, floored(1, Floor{Share: 300}))
		var taken []string
		for i := 1; i <= 7; i++ {
			f.Begin(0, true, f.limit)
			job := fmt.Sprint("x", i)
			if f.turns() != "[]" {
				job = fmt.Sprint("y", i)
			}
			taken = append(taken, job)
			f.at("back 0 "+job, "stale 0")
			f.at("start 0", job)
			f.at("done "+job, "true")
		}
		if got := fmt.Sprint(taken); got != "[x1 x2 x3 y4 x5 x6 y7]" {
			t.Error(got)
		}
	})
	t.Run("takes a queue's share first, and the rest in order", func(t *testing.T) {
		f := newFixture(t, floored(10, Floor{Share: 200}))
		f.at("begin 0", "want 10 from 1 acks [] adopt []")
		if got := f.turns(); got != "[{1 2} {0 8} {1 8}]" {
			t.Error(got)
		}
	})
	t.Run("gives a quarter to a queue whose oldest job is late", func(t *testing.T) {
		f := newFixture(t, floored(8, Floor{}))
		f.Late(1, true)
		f.at("begin 0", "want 8 from 1 acks [] adopt []")
		if got := f.turns(); got != "[{1 2} {0 6} {1 6}]" {
			t.Error(got)
		}
	})
	t.Run("begins anew after the queue was empty", func(t *testing.T) {
		f := newFixture(t, floored(2, Floor{Share: 500}))
		f.at("begin 0", "want 2 from 1 acks [] adopt []")
		f.at("back 0 x1 x2", "stale 0") // y had a turn, and no job
		f.at("start 0", "x1")
		f.at("done x1", "true")
		f.at("begin 0", "want 1 from 3 acks [x1] adopt []")
		if got := f.turns(); got != "[]" {
			t.Errorf("y has a turn by credit that it earned while it was empty: %s", got)
		}
	})
	t.Run("does not hold against a queue what it took in its place", func(t *testing.T) {
		f := newFixture(t, floored(4, Floor{Share: 500}))
		f.at("begin 0", "want 4 from 1 acks [] adopt []")
		f.at("back 0 y1 y2 y3 y4", "stale 0") // x was empty
		f.at("start 0", "y1")
		f.at("start 0", "y2")
		f.at("done y1", "true")
		f.at("done y2", "true")
		f.at("begin 0", "want 2 from 5 acks [y1 y2] adopt []")
		if got := f.turns(); got != "[{1 1} {0 1} {1 1}]" {
			t.Error(got)
		}
	})
}

func TestFloors(t *testing.T) {
	t.Run("leave the first queue a tenth, also when all others are late", func(t *testing.T) {
		var floors []Floor
		for q := 1; q <= 6; q++ {
			floors = append(floors, Floor{Queue: q, Name: fmt.Sprint(q), Share: 125})
		}
		c := &capsule{Capsule: Capsule{Queues: []int{0, 1, 2, 3, 4, 5, 6}, Seats: 1}}
		c.floors = newFloors(Capsule{Floors: floors, Seats: 1})
		for i := range c.floors {
			c.floors[i].late = true
		}
		taken := make([]int, 7)
		for range window {
			_, granted := c.turns(1)
			q := slices.Index(granted, 1) + 1 // 0 if no floor gets the job
			taken[q]++
		}
		if slices.Min(taken) < window/10-1 || slices.Max(taken[1:]) > 3*window/20+1 {
			t.Errorf("of %d jobs: %v", window, taken)
		}
	})
}

func TestShare(t *testing.T) {
	t.Run("is reached in any 1000 starts while the queue holds jobs", rapid.MakeCheck(holdsShare))
}

// holdsShare lets a capsule run while x and y hold jobs, or x does not, and counts the starts of y.
func holdsShare(t *rapid.T) {
	seats := rapid.IntRange(1, 100).Draw(t, "seats")
	share := rapid.IntRange(1, 750).Draw(t, "share")
	last := uint64(0)
	p := New([]Capsule{{Queues: []int{0, 1}, Seats: seats, Trips: rapid.IntRange(1, 2).Draw(t,
		"trips"), Floors: []Floor{{Queue: 1, Name: "y", Share: share}}}}, 2,
		func(n int) uint64 { last += uint64(n); return last - uint64(n) + 1 })
	p.Renewed(&queue.Owner{Identity: "a"})
	var starts []bool // of y
	for len(starts) < 5*window {
		for {
			if _, ok := p.Begin(0, true, queue.MaxFetch); !ok {
				break
			}
		}
		if trips := p.Trips(0); len(trips) > 0 {
			first := trips[0]
			x := rapid.SampledFrom([]int{0, 1, 1000, 1000, 1000}).Draw(t, "jobs of x")
			p.Returned(first, queue.Fetched{Jobs: carryOut(first, x), Acked: len(first.Acks)}, nil)
		}
		for e := p.Start(0, true); e != nil; e = p.Start(0, true) {
			starts = append(starts, e.Queue == "y")
		}
		running := p.Running()
		for range rapid.IntRange(1, len(running)).Draw(t, "ends") {
			p.Finish(running[0], nil)
			running = running[1:]
		}
	}
	count, want := 0, share*window/1000
	for i, y := range starts {
		if y {
			count++
		}
		if i >= window && starts[i-window] {
			count--
		}
		if i >= window-1 && count < want {
			t.Fatalf("%d seats, share %d: %d of the %d starts up to %d", seats, share, count,
				window, i)
		}
	}
}

// carryOut returns the jobs that a trip takes while x holds n jobs, and y as many as are wanted.
func carryOut(t *Trip, n int) (jobs []queue.Delivery) {
	turns := t.Turns
	if turns == nil {
		turns = []Turn{{0, t.Want}, {1, t.Want}}
	}
	for _, turn := range turns {
		most := min(turn.Most, t.Want-len(jobs))
		if turn.Queue == 0 {
			most = min(most, n)
			n -= most
		}
		for range most {
			jobs = append(jobs, queue.Delivery{Queue: []string{"x", "y"}[turn.Queue],
				Owner: t.Owner, Token: t.First + uint64(len(jobs))})
		}
	}
	return jobs
}

func TestBound(t *testing.T) {
	t.Run("keeps a queue from further threads, also of trips under way", func(t *testing.T) {
		f := newFixture(t, floored(40, Floor{Max: 3}))
		f.Process.capsules[0].Trips = 2
		f.limit = 20
		f.at("begin 0", "want 20 from 1 acks [] adopt []")
		if got := f.turns(); got != "[{0 20} {1 3}]" {
			t.Error(got)
		}
		f.at("begin 0", "want 20 from 21 acks [] adopt []")
		if got := f.turns(); got != "[{0 20}]" {
			t.Error(got)
		}
	})
	t.Run("ends when a job of the queue ends: the capsule looks at once", func(t *testing.T) {
		f := newFixture(t, floored(4, Floor{Max: 1}))
		f.at("begin 0", "want 4 from 1 acks [] adopt []")
		f.at("back 0 y1", "stale 0")
		f.at("start 0", "y1")
		f.at("begin 0", "-")
		f.at("bells", "hang [0] unhang []") // none for y, from which it takes no job now
		f.at("done y1", "true")
		f.at("begin 0", "want 4 from 6 acks [y1] adopt []")
		if got := f.turns(); got != "[{0 4} {1 1}]" {
			t.Error(got)
		}
	})
	t.Run("sends a job back that a doorbell brings besides", func(t *testing.T) {
		f := newFixture(t, floored(4, Floor{Max: 1}))
		f.at("begin 0", "want 4 from 1 acks [] adopt []")
		f.at("back 0", "stale 0")
		f.at("bells", "hang [0 1] unhang []")
		f.at("down 0 rang x5", "wake -1")
		f.Wake(0)
		f.at("begin 0", "want 3 from 7 acks [] adopt []")
		f.at("back 0 y7", "stale 0")
		f.at("down 1 rang y6", "wake -1")
		f.at("settle 0", "requeue 6")
	})
	t.Run("takes the doorbell of the queue down", func(t *testing.T) {
		f := newFixture(t, floored(4, Floor{Max: 1}))
		f.at("begin 0", "want 4 from 1 acks [] adopt []")
		f.at("back 0", "stale 0")
		f.at("bells", "hang [0 1] unhang []")
		f.Wake(0)
		f.at("begin 0", "want 4 from 7 acks [] adopt []")
		f.at("back 0 y7", "stale 0")
		f.at("bells", "hang [] unhang [1]")
	})
	t.Run("is a promise of a copy too", func(t *testing.T) {
		f := newFixture(t, floored(4, Floor{Share: 300, Max: 1}))
		before := f.AppendKey(nil)
		c := f.Clone(func(int) uint64 { return 1 })
		c.Begin(0, true, 4)
		c.Late(1, true)
		if !slices.Equal(before, f.AppendKey(nil)) || slices.Equal(before, c.AppendKey(nil)) {
			t.Error("a change of the copy changes the process, or is not in its key")
		}
	})
}
