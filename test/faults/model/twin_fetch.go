package model

import (
	"math"
	"slices"

	"github.com/kyujobs/kyu/queue"
)

// Fetch is a call of fetch.lua.
type Fetch struct {
	ID          int
	Queues      []int
	Want        int
	First       uint64
	Done        [][]uint64   // tokens, by index in Queues
	Adopt       []int        // indexes in Queues
	Draws       [][]int      // indexes in Queues, for each draw; nil: strict order
	Turns       []queue.Turn // nil: the order of Queues or Draws
	Sources     []int        // indexes in Queues whose jobs are in lanes
	Room, Limit int          // the most bytes of all payloads, and of one
}

// Taken is a job that a fetch has moved in flight.
type Taken struct {
	Held
	Queue int
}

// Fetched is the answer of fetch.lua.
type Fetched struct {
	Acked, Oversized int
	Lost             bool // the lease
	More             bool
	Jobs             []Taken
	Refused          []int // indexes in Queues
	Unseen           []int // likewise: the list holds jobs that are in no lane
	Opens            bool  // a lane is closed, and opens by itself
}

// fetching is one run of fetch.lua.
type fetching struct {
	*Twin
	Fetch
	out   Fetched
	room  int
	taken int // the number of tokens that are used
	empty []bool

	source  int     // the index of the queue with lanes, or -1
	barrier int     // no job is taken from a queue behind this one; -1: none
	began   float64 // virtual time before the call
}

// Fetch is fetch.lua.
func (t *Twin) Fetch(r Fetch) Fetched {
	f := &fetching{Twin: t, Fetch: r, room: r.Room, empty: make([]bool, len(r.Queues)), source: -1,
		barrier: -1}
	f.settle()
	f.beginSource()
	if t.owners[r.ID].Lease <= 0 {
		return Fetched{Acked: f.out.Acked, Lost: true}
	}
	f.adopt()
	if r.Want > 0 {
		f.walk()
		f.endSource()
	}
	return f.out
}

func (f *fetching) settle() {
	for i, tokens := range f.Done {
		q := f.Queues[i]
		for _, token := range tokens {
			if f.bad[Key{flightKey, f.ID, q}] {
				continue
			}
			if _, ok := f.remove(f.ID, q, token); ok {
				f.out.Acked++
			}
		}
	}
}

// adopt puts landed jobs back, the newest first, so that the oldest is taken first.
func (f *fetching) adopt() {
	for _, i := range f.Adopt {
		q := f.Queues[i]
		at := f.at(f.ID, q)
		badLanding := f.bad[Key{landingKey, f.ID, q}]
		if badLanding || len(f.landing[at]) > 0 && f.bad[Key{Kind: listKey, A: q}] {
			f.out.Refused = append(f.out.Refused, i)
			continue
		}
		f.moveLanded(at, q, len(f.landing[at]), !f.bad[Key{Kind: queuesKey}])
	}
}

// moveLanded puts up to n landed jobs back.
func (t *Twin) moveLanded(at, q, n int, name bool) (moved int) {
	moved = min(n, len(t.landing[at]))
	for _, j := range t.landing[at][:moved] {
		t.pushRight(q, j)
		t.names[q] = t.names[q] || name
	}
	t.landing[at] = t.landing[at][moved:]
	return moved
}

func (f *fetching) walk() {
	for _, turn := range f.Turns {
		f.Want -= f.take(turn.Queue, min(turn.Most, f.Want))
	}
	if f.Turns != nil {
		return
	}
	if f.Draws == nil {
		for i := range f.Queues {
			f.Want -= f.take(i, f.Want)
		}
		return
	}
	left := len(f.Queues)
	for _, order := range f.Draws {
		if left <= 0 || f.room < 0 {
			return
		}
		for _, i := range order {
			if f.empty[i] {
				continue
			}
			if f.take(i, 1) == 1 {
				break
			}
			f.empty[i] = true
			left--
		}
	}
}

func (f *fetching) refuse(i int) {
	f.out.Refused = append(f.out.Refused, i)
	f.empty[i] = true
}

// take moves up to n jobs of a queue in flight, in the batches of the script.
func (f *fetching) take(i, n int) (took int) {
	q := f.Queues[i]
	shut := f.paused[q] && !f.bad[Key{Kind: pausedKey}]
	switch {
	case f.barrier >= 0 && i > f.barrier:
		return 0
	case i == f.source && f.lanes.On && !shut:
		return f.takeLanes(i, n)
	case n < 1 || f.room < 0 || f.empty[i] || shut:
		return 0
	}
	before, asked := f.room, min(n, queue.FetchPop)
	for {
		switch {
		case f.bad[Key{Kind: listKey, A: q}]:
			f.refuse(i)
		case len(f.lists[q]) == 0:
			f.empty[i] = true
		default:
			popped := min(asked, len(f.lists[q]))
			jobs := slices.Clone(f.lists[q][len(f.lists[q])-popped:])
			f.lists[q] = slices.Clone(f.lists[q][:len(f.lists[q])-popped])
			slices.Reverse(jobs)
			took += f.keep(i, q, jobs)
			f.empty[i] = f.empty[i] || popped < asked
			each := math.Max(1, float64(before-f.room)/math.Max(float64(took), 1))
			asked = min(n-took, int(math.Max(1, math.Floor(float64(f.room)/each))))
		}
		if f.empty[i] || f.room < 0 || asked <= 0 {
			return took
		}
	}
}

// keep moves popped jobs in flight, except for those that are too large or do not fit.
func (f *fetching) keep(i, q int, jobs []Job) int {
	var fit []Job
jobs:
	for at, j := range jobs {
		size := int(j.Size)
		if size <= f.Limit && (size <= f.room || f.taken+len(fit) == 0) {
			f.room -= size
			fit = append(fit, j)
			continue
		}
		f.out.More = true
		switch {
		case size <= f.Limit:
			f.putBack(q, jobs[at:])
			f.room = -1
			break jobs
		case !f.bad[Key{Kind: deadKey}]:
			f.dead = with(f.dead, j)
			f.out.Oversized++
		default:
			f.pushLeft(q, j)
			f.refuse(i)
		}
	}
	if len(fit) > 0 && f.bad[Key{flightKey, f.ID, q}] {
		f.putBack(q, fit)
		f.refuse(i)
		return 0
	}
	for _, j := range fit {
		h := Held{f.First + uint64(f.taken), j}
		f.put(f.ID, q, h)
		f.out.Jobs = append(f.out.Jobs, Taken{h, q})
		f.taken++
	}
	return len(fit)
}

func (f *fetching) putBack(q int, jobs []Job) {
	for _, j := range slices.Backward(jobs) {
		f.pushRight(q, j)
	}
}
