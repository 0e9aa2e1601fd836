package model

import (
	"math"
	"slices"
)

// laneCount is the number of lanes. Lane 0, whose name is "", has no limits.
const laneCount = 3

var laneNames = [laneCount]string{"", "x", "y"}

// Place is a place in a lane, which a delivery has.
type Place struct {
	Identity int
	Token    uint64
	Lane     int8
}

// ranks is a sorted set of lanes: each has a score, or is not in the set (NaN).
type ranks [laneCount]float64

var noRanks = ranks{math.NaN(), math.NaN(), math.NaN()}

func (r *ranks) has(lane int8) bool { return !math.IsNaN(r[lane]) }
func (r *ranks) remove(lane int8)   { r[lane] = math.NaN() }

// first returns the lane of the least score, of equal ones the first by its name, or -1.
func (r *ranks) first() int8 {
	found := int8(-1)
	for lane := range int8(laneCount) {
		if r.has(lane) && (found < 0 || r[lane] < r[found]) {
			found = lane
		}
	}
	return found
}

// Lanes is what Redis has of the lanes of one queue. Its lists are never changed: they are
// replaced.
type Lanes struct {
	Queue      int // -1: no queue has a rule
	Max, Total int
	Limit      int // bytes from which on a job is too large to be read; 0: none
	On         bool
	Rev        int // of the rule
	Parked     [laneCount][]Job
	Busy       [laneCount]int
	Places     []Place
	Arrived    []Job // by doorbells, from the queue's list
	Bell       bool  // a sleeping process is to wake
	Running    int
	V          float64 // virtual time

	ready, full, wait, past ranks
}

// lanesOff are the lanes of a Redis without rules.
var lanesOff = Lanes{Queue: -1, ready: noRanks, full: noRanks, wait: noRanks, past: noRanks}

// parked counts the jobs in lanes.
func (l *Lanes) parked() (n int) {
	for _, list := range l.Parked {
		n += len(list)
	}
	return n
}

// arrives reports whether jobs are in no lane yet.
func (t *Twin) arrives() bool { return len(t.lists[t.lanes.Queue])+len(t.lanes.Arrived) > 0 }

// gather puts the jobs that doorbells took back to the queue's list.
func (t *Twin) gather() {
	for _, j := range t.lanes.Arrived {
		t.pushRight(t.lanes.Queue, j)
	}
	t.lanes.Arrived = nil
}

// tag returns the virtual time with which a lane that had no jobs begins.
func (l *Lanes) tag(lane int8) float64 {
	if !l.past.has(lane) {
		return l.V
	}
	return max(l.V, l.past[lane])
}

// enlist makes a lane with jobs ready or full. n of its jobs run.
func (l *Lanes) enlist(lane int8, at float64, n int) {
	if l.Max > 0 && n >= l.Max && lane != 0 {
		l.full[lane] = at
	} else {
		l.ready[lane] = at
	}
}

// release notes that a job of a lane runs no more.
func (t *Twin) release(lane int8) {
	l := &t.lanes
	l.Busy[lane] = max(l.Busy[lane]-1, 0)
	l.Running = max(l.Running-1, 0)
	if l.Max > 0 && l.Busy[lane] >= l.Max || t.NoRelist {
		return
	}
	if l.full.has(lane) {
		l.ready[lane] = l.full[lane]
		l.full.remove(lane)
	}
}

// shut closes a lane until an instant.
func (l *Lanes) shut(lane int8, till float64) {
	for _, set := range []*ranks{&l.ready, &l.full} {
		if set.has(lane) {
			l.past[lane] = set[lane]
			set.remove(lane)
		}
	}
	if !l.wait.has(lane) || l.wait[lane] < till {
		l.wait[lane] = till
	}
}

// open makes the lanes ready whose time has come.
func (l *Lanes) open(time float64) {
	for lane := l.wait.first(); lane >= 0 && l.wait[lane] <= time; lane = l.wait.first() {
		l.wait.remove(lane)
		if len(l.Parked[lane]) > 0 {
			l.enlist(lane, l.tag(lane), l.Busy[lane])
		}
	}
}

// room reports whether the limit of the whole queue lets a job run.
func (l *Lanes) room() bool { return l.Total == 0 || l.Running < l.Total }

// ring tells a sleeping process that a job may run.
func (l *Lanes) ring() {
	l.Bell = l.Bell || l.On && l.room() && l.ready.first() >= 0
}

// parkLeft adds a job at the end of a lane that is taken last, parkRight at the other.
func (l *Lanes) parkLeft(lane int8, j Job) {
	l.Parked[lane] = append([]Job{j}, l.Parked[lane]...)
}

func (l *Lanes) parkRight(lane int8, j Job) { l.Parked[lane] = with(l.Parked[lane], j) }

// vacate removes the place of a delivery. It returns -1 if it has none.
func (l *Lanes) vacate(id int, token uint64) (lane int8) {
	at := slices.IndexFunc(l.Places, func(p Place) bool {
		return p.Identity == id && p.Token == token
	})
	if at < 0 {
		return -1
	}
	lane = l.Places[at].Lane
	l.Places = slices.Delete(slices.Clone(l.Places), at, at+1)
	return lane
}

// leaveLane is the effect of lanes for a delivery of a queue that a script has removed. back says
// that its job is at the taking end of the queue; till is the instant until which its lane is
// closed, or 0.
func (t *Twin) leaveLane(id, q int, token uint64, back bool, till float64) {
	l := &t.lanes
	if q != l.Queue {
		return
	}
	lane := l.vacate(id, token)
	if lane < 0 {
		return
	}
	parked := false
	if back && l.On {
		var j Job
		if j, parked = t.popRight(q); parked && t.BehindLane {
			l.parkLeft(lane, j)
		} else if parked {
			l.parkRight(lane, j)
		}
	}
	t.release(lane)
	switch {
	case till > 0:
		l.shut(lane, till)
	case parked && !l.wait.has(lane) && !l.ready.has(lane):
		l.enlist(lane, l.tag(lane), l.Busy[lane])
	}
	if !t.NoRing {
		l.ring()
	}
}

// Page is lanes/lua/page.lua, without the lease, which only saves work: it returns the jobs of the
// list, the one to be taken first at first.
func (t *Twin) Page() []Job {
	list := slices.Clone(t.lists[t.lanes.Queue])
	list = append(list, t.lanes.Arrived...) // in the order in which sift.lua puts them back
	slices.Reverse(list)
	for i := range list {
		if l := t.lanes.Limit; l > 0 && int(list[i].Size) > l {
			list[i].Lane = 0 // nobody reads it
		}
	}
	return list
}

// Sift is sift.lua: it moves the jobs that a process has read to their lanes. It returns -1 if the
// rule is another one now.
func (t *Twin) Sift(rev int, jobs []Job) (moved int) {
	l := &t.lanes
	if !l.On || rev != l.Rev {
		return -1
	}
	t.gather()
	var were [laneCount]int
	for lane := range were {
		were[lane] = len(l.Parked[lane])
	}
	for _, want := range jobs {
		j, ok := t.popRight(l.Queue)
		if !ok {
			break
		}
		if j.ID != want.ID && !t.SiftBlind {
			t.pushRight(l.Queue, j)
			break
		}
		l.parkLeft(want.Lane, want)
		moved++
	}
	for lane := range int8(laneCount) {
		if were[lane] == 0 && len(l.Parked[lane]) > 0 && !l.wait.has(lane) {
			l.enlist(lane, l.tag(lane), l.Busy[lane])
		}
	}
	l.ring()
	return moved
}

// DrainLanes is drain.lua. It returns -1 if lanes are on.
func (t *Twin) DrainLanes(most int) (moved int) {
	l := &t.lanes
	if l.On {
		return -1
	}
	t.gather()
	for _, set := range []*ranks{&l.full, &l.ready, &l.wait} {
		for lane := set.first(); lane >= 0 && moved < most; lane = set.first() {
			for ; moved < most && len(l.Parked[lane]) > 0; moved++ {
				t.pushRight(l.Queue, l.Parked[lane][0])
				l.Parked[lane] = l.Parked[lane][1:]
			}
			if len(l.Parked[lane]) > 0 {
				break
			}
			set.remove(lane)
		}
	}
	t.names[l.Queue] = t.names[l.Queue] || moved > 0
	if l.full.first() < 0 && l.ready.first() < 0 && l.wait.first() < 0 {
		l.past, l.Bell = noRanks, false
	}
	return moved
}

// CloseLane is close.lua: it closes a lane until an instant or, if that is 0, opens it.
func (t *Twin) CloseLane(lane int8, till float64) {
	l := &t.lanes
	if till > 0 {
		l.shut(lane, till)
		return
	}
	if l.wait.has(lane) {
		l.wait[lane] = 0
	}
	l.open(0)
	l.ring()
}

// SetLanes is set.lua and relist.lua: it gives the queue a rule with the same key.
func (t *Twin) SetLanes(most, total int) {
	l := &t.lanes
	l.On, l.Max, l.Total = true, most, total
	l.Rev++
	for lane := range int8(laneCount) {
		if l.full.has(lane) && (most == 0 || l.Busy[lane] < most) {
			l.ready[lane] = l.full[lane]
			l.full.remove(lane)
		}
	}
	l.ring()
}

// RingArrival is the BLMOVE of a doorbell of a queue with lanes, when there is a job.
func (t *Twin) RingArrival() bool {
	j, ok := t.popRight(t.lanes.Queue)
	if ok {
		t.lanes.Arrived = append([]Job{j}, t.lanes.Arrived...)
	}
	return ok
}

// RingReady is the BLPOP of the other doorbell.
func (t *Twin) RingReady() bool {
	rang := t.lanes.Bell
	t.lanes.Bell = false
	return rang
}
