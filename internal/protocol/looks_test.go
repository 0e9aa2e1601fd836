package protocol

import (
	"slices"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"pgregory.net/rapid"
)

// looksFixture is a capsule with three queues and its Looks over joined shards.
type looksFixture struct {
	*Looks
	sites []Site
	now   time.Time
}

func newLooks(shards int, strict bool) *looksFixture {
	f := &looksFixture{Looks: NewLooks(shards, 3, strict), now: time.Unix(1000, 0)}
	var list []*Process
	last := uint64(0)
	for range shards {
		p := New([]Capsule{{Queues: []int{0, 1, 2}, Seats: 2, Strict: strict}}, 3,
			func(n int) uint64 { last += uint64(n); return last - uint64(n) + 1 })
		p.Renewed(&queue.Owner{Identity: "a"})
		list = append(list, p)
		f.sites = append(f.sites, Site{Process: p, Open: true, Held: true, Limit: 2})
	}
	Join(list)
	return f
}

func (f *looksFixture) step() Step { return f.Step(f.now, 0, f.sites) }

// tell has a look at a shard answer at once.
func (f *looksFixture) tell(shard int, lengths ...int) {
	f.Asked(shard, f.now)
	f.Answered(shard, nil, lengths, f.now, f.now)
}

func (f *looksFixture) wants(t *testing.T, look []int, shard, queues int) {
	t.Helper()
	s := f.step()
	if !slices.Equal(s.Look, look) || s.Shard != shard || s.Queues != queues {
		t.Errorf("%+v, want looks at %v and a trip to %d for %d queues", s, look, shard, queues)
	}
}

func TestLooks(t *testing.T) {
	t.Run("asks all shards before a job of a lower queue is taken", func(t *testing.T) {
		f := newLooks(2, true)
		f.wants(t, []int{0, 1}, -1, 0)
		f.tell(0, 0, 1, 0)
		f.wants(t, []int{1}, -1, 0)
		f.tell(1, 0, 0, 1)
		f.wants(t, nil, 0, 2)
		f.now = f.now.Add(2 * f.Tau)
		f.wants(t, []int{0, 1}, -1, 0)
	})
	t.Run("takes a job of the first queue by old figures, and asks meanwhile", func(t *testing.T) {
		f := newLooks(2, true)
		f.tell(0, 1, 0, 0)
		f.tell(1, 0, 0, 0)
		f.now = f.now.Add(2 * refresh)
		f.wants(t, []int{0, 1}, 0, 1)
	})
	t.Run("takes from the shards in turn", func(t *testing.T) {
		f := newLooks(3, true)
		for i := range 3 {
			f.tell(i, 1, 0, 0)
		}
		for i := range 6 {
			f.wants(t, nil, (i+1)%3, 1)
		}
	})
	t.Run("takes any job without order", func(t *testing.T) {
		f := newLooks(2, false)
		f.tell(0, 0, 0, 0)
		f.tell(1, 0, 0, 1)
		f.wants(t, nil, 1, 3)
	})
	t.Run("looks again soon while the shard that holds jobs has no seat", func(t *testing.T) {
		f := newLooks(2, true)
		f.sites[0].Open = false
		f.tell(0, 1, 0, 0)
		f.tell(1, 0, 0, 0)
		if s := f.step(); s.Wait != refresh || s.Shard >= 0 {
			t.Errorf("%+v, want to wait for %v", s, refresh)
		}
	})
	t.Run("rests when all queues are empty", func(t *testing.T) {
		f := newLooks(2, true)
		f.tell(0, 0, 0, 0)
		f.tell(1, 0, 0, 0)
		if s := f.step(); !slices.Equal(s.Rest, []int{0, 1}) {
			t.Errorf("%+v, want rest in both shards", s)
		}
	})
	t.Run("leaves out a shard that sends no reply, until it answers", func(t *testing.T) {
		f := newLooks(2, true)
		f.Asked(1, f.now)
		f.tell(0, 0, 1, 0)
		f.wants(t, nil, -1, 0)
		if wait := f.Late(f.now); wait != Silent {
			t.Errorf("it waits for %v", wait)
		}
		asked := f.now
		f.now = f.now.Add(Silent)
		f.tell(0, 0, 1, 0)
		if s := f.step(); !slices.Equal(s.Left, []int{1}) || s.Shard != 0 {
			t.Errorf("%+v, want shard 1 left out and a trip to shard 0", s)
		}
		f.Answered(1, nil, []int{1, 0, 0}, asked, f.now)
		f.wants(t, nil, 1, 1)
	})
	t.Run("misses a trip that hangs after another reply", func(t *testing.T) {
		f := newLooks(2, true)
		f.Asked(1, f.now)
		f.tell(1, 0, 0, 0)
		f.now = f.now.Add(Silent)
		if s := f.step(); !slices.Equal(s.Left, []int{1}) {
			t.Errorf("%+v, want shard 1 left out", s)
		}
	})
	t.Run("asks a shard that failed again", func(t *testing.T) {
		f := newLooks(2, true)
		f.Asked(1, f.now)
		f.Answered(1, nil, nil, f.now, f.now)
		f.tell(0, 0, 1, 0)
		f.wants(t, []int{1}, 0, 2)
	})
	t.Run("puts a landed job of a lower queue back, and waits for the reply", func(t *testing.T) {
		f := newLooks(2, true)
		f.tell(0, 0, 0, 0)
		f.tell(1, 0, 0, 1)
		f.sites[0].landed[1] = true
		f.wants(t, nil, 0, 0)
		f.sites[0].landed[1] = false // the trip has it
		f.wants(t, []int{0}, -1, 0)
	})
	t.Run("counts a queue as empty only if a trip could take from it", func(t *testing.T) {
		f := newLooks(2, true)
		f.Asked(0, f.now)
		trip := &Trip{Want: 2, Queues: 1, Turns: []Turn{{1, 1}, {0, 1}}} // a floor grants queue 1
		f.Answered(0, trip, []int{1, 1, 1}, f.now, f.now)
		if got := f.shards[0].lengths; !slices.Equal(got, []int{0, 1, 1}) {
			t.Errorf("%v are left", got)
		}
	})
	t.Run("decides within some replies, whatever they take", looksDecide)
}

// looksDecide has looks take different times. Figures that are too old in turns would never let a
// job of a lower queue be taken.
func looksDecide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		shards := rapid.IntRange(2, 4).Draw(t, "shards")
		f := newLooks(shards, true)
		took := make([]time.Duration, shards)
		var due []time.Time
		var slowest time.Duration
		for i := range took {
			took[i] = time.Duration(rapid.IntRange(1, 100).Draw(t, "took")) * 100 * time.Microsecond
			first := time.Duration(rapid.IntRange(0, 100).Draw(t, "first")) * 100 * time.Microsecond
			f.Asked(i, f.now)
			due = append(due, f.now.Add(first))
		}
		asked := slices.Repeat([]time.Time{f.now}, shards)
		for range 4 * shards {
			next := -1
			for i := range due {
				if !due[i].IsZero() && (next < 0 || due[i].Before(due[next])) {
					next = i
				}
			}
			f.now, due[next] = due[next], time.Time{}
			slowest = max(slowest, f.now.Sub(asked[next]))
			f.Answered(next, nil, []int{0, 1, 0}, asked[next], f.now)
			s := f.step()
			if s.Shard >= 0 {
				for i := range f.shards {
					if age := f.now.Sub(f.shards[i].at); age > f.Tau+slowest {
						t.Fatalf("figures are %v old", age)
					}
				}
				return
			}
			for _, i := range s.Look {
				f.Asked(i, f.now)
				asked[i], due[i] = f.now, f.now.Add(took[i])
			}
		}
		t.Fatal("it never decides")
	})
}
