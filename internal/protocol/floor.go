package protocol

import (
	"slices"

	"github.com/kyujobs/kyu/queue"
)

// Floor is what a capsule grants a queue besides its place in the order.
type Floor struct {
	Queue int    // its index among those of the process
	Name  string // of the queue, as deliveries have it
	Share int    // thousandths of the jobs that the capsule takes, while the queue holds jobs
	Max   int    // the most of its jobs that have a thread or wait for one; 0: no bound
}

// Turn takes up to Most jobs from a queue.
type Turn struct{ Queue, Most int }

// lateShare is the share of a queue whose oldest job is late, in thousandths. Package inspect tells
// it to people.
const lateShare = 250

const (
	// window is the number of jobs among which a queue gets its share, one after the other.
	window = 1000
	// widest is the most seats for which the window is kept. With more, the share would have to be
	// raised so far that the other queues get too little; then it holds on average.
	widest = 100
	// most is what all floors of a capsule may earn together, in thousandths of a job, also while
	// several queues are late: the queues before them get the rest.
	most = 900
)

// floor is the state of a Floor. The queue earns credit with each job that the capsule takes, and
// pays 1000 for each of its own.
type floor struct {
	Floor
	rate, lateRate int // of credit for a job
	credit         int // thousandths of a job
	late           bool
}

func newFloors(c Capsule) (list []floor) {
	for _, f := range c.Floors {
		list = append(list, floor{Floor: f, rate: rate(f.Share, c.Seats),
			lateRate: rate(max(f.Share, lateShare), c.Seats)})
	}
	return list
}

// rate returns the credit for a job that gives a queue its share of any 1000 jobs in a row, also of
// those that begin in the middle of a trip: its own jobs are the first of a trip. The window then
// lacks the jobs of one trip, and one job by rounding.
func rate(share, seats int) int {
	if share == 0 {
		return 0
	}
	whole := window - min(seats, widest)
	return min(1000, ((share+1)*window+whole-1)/whole)
}

func (f *floor) earned() int {
	if f.late {
		return f.lateRate
	}
	return f.rate
}

// credits returns what a floor earns with n jobs.
func (c *capsule) credits(f *floor, n int) int {
	sum := 0
	for i := range c.floors {
		sum += c.floors[i].earned()
	}
	return n * f.earned() * most / max(sum, most)
}

// Late sets whether the oldest job of a queue is late.
func (p *Process) Late(q int, late bool) {
	for i := range p.capsules {
		for k := range p.capsules[i].floors {
			if f := &p.capsules[i].floors[k]; f.Queue == q {
				f.late = late
			}
		}
	}
}

// turns returns the order in which a trip takes want jobs, and how many it takes by the share of
// each floor. It returns nil if strict order does the same: then the script for it is used.
func (c *capsule) turns(want int) (list []Turn, granted []int) {
	if len(c.floors) == 0 {
		return nil, nil
	}
	strict, left := true, want
	granted = make([]int, len(c.floors))
	for i := range c.floors {
		f := &c.floors[i]
		f.credit += c.credits(f, want)
		room := c.room(f)
		granted[i] = min(f.credit/1000, left, room)
		f.credit -= 1000 * granted[i]
		if granted[i] == room {
			f.credit = min(f.credit, 999) // a bound is no reason for a burst later
		}
		left -= granted[i]
		if granted[i] > 0 {
			list, strict = append(list, Turn{f.Queue, granted[i]}), false
		}
	}
	for _, q := range c.Queues {
		most := left
		for i := range c.floors {
			if f := &c.floors[i]; f.Queue == q {
				most = min(most, c.room(f)-granted[i])
			}
		}
		strict = strict && most == want
		if most > 0 {
			list = append(list, Turn{q, most})
		}
	}
	if strict {
		return nil, granted
	}
	return list, granted
}

// upTo returns the turns of a trip that takes jobs from the first queues of the capsule, and what
// floors grant others. turns are those of a trip for all queues; nil means strict order.
func (c *capsule) upTo(queues int, turns []Turn, granted []int, want int) (list []Turn) {
	if turns == nil {
		for _, q := range c.Queues[:queues] {
			list = append(list, Turn{q, want})
		}
		return list
	}
	floors := 0
	for _, n := range granted {
		if n > 0 {
			floors++
		}
	}
	list = turns[:floors:floors]
	for _, turn := range turns[floors:] {
		if slices.Contains(c.Queues[:queues], turn.Queue) {
			list = append(list, turn)
		}
	}
	return list
}

// account settles the credits after a trip. A queue that had fewer jobs than its share was empty:
// it begins anew.
func (c *capsule) account(t *Trip, got queue.Fetched) {
	if t.granted == nil {
		return // it took no jobs: it only emptied landing lists
	}
	for i := range c.floors {
		f, own := &c.floors[i], 0
		for _, d := range got.Jobs {
			if d.Queue == f.Name {
				own++
			}
		}
		if own < t.granted[i] && !got.More {
			f.credit = 0
			continue
		}
		f.credit -= c.credits(f, t.Want-len(got.Jobs)) + 1000*(own-t.granted[i])
		f.credit = max(f.credit, 0)
	}
}

// bound returns the floor of a queue with a bound, or nil.
func (c *capsule) bound(q int) *floor {
	for i := range c.floors {
		if f := &c.floors[i]; f.Queue == q && f.Max > 0 {
			return f
		}
	}
	return nil
}

// room returns how many more jobs of a queue the capsule may take. The jobs that trips under way
// may bring count as taken.
func (c *capsule) room(f *floor) int {
	if f.Max == 0 {
		return c.Seats
	}
	n := f.Max - c.count(f)
	for _, t := range c.trips {
		n -= t.mayTake(f.Queue)
	}
	return max(n, 0)
}

// count counts the jobs of a queue that have a thread or wait for one.
func (c *capsule) count(f *floor) (n int) {
	for _, list := range [][]*Entry{c.ready, c.running} {
		for _, e := range list {
			if e.Queue == f.Name {
				n++
			}
		}
	}
	return n
}

// mayTake returns the most jobs that a trip takes from a queue.
func (t *Trip) mayTake(q int) (n int) {
	if t.Turns == nil {
		return t.Want
	}
	for _, turn := range t.Turns {
		if turn.Queue == q {
			n += turn.Most
		}
	}
	return min(n, t.Want)
}

// bounded reports whether a bound keeps the capsule from taking any job of a queue.
func (c *capsule) bounded(q int) bool {
	f := c.bound(q)
	return f != nil && c.room(f) == 0
}

// wakeBounded wakes a capsule that may have left jobs of a queue because of its bound, when one of
// them has ended.
func (c *capsule) wakeBounded(name string) {
	for i := range c.floors {
		if f := &c.floors[i]; f.Name == name && f.Max > 0 && c.count(f) == f.Max-1 {
			c.asleep, c.short = false, false
		}
	}
}

// overBound returns the index in ready of the newest job that is over the bound of its queue, or
// -1: a doorbell can bring one while a trip brings another.
func (c *capsule) overBound() int {
	for i := range c.floors {
		f := &c.floors[i]
		if f.Max == 0 || c.count(f) <= f.Max {
			continue
		}
		for k := len(c.ready) - 1; k >= 0; k-- {
			if c.ready[k].Queue == f.Name {
				return k
			}
		}
	}
	return -1
}
