package model

import "math/rand/v2"

// frontier has the states of a search whose next states are not added yet. It gives half of them in
// the order in which they were found, so a search misses no short sequence of events. It gives the
// other half on random walks, for long sequences.
type frontier struct {
	todo   []uint32
	at     int // the index of the oldest in todo
	walk   int // the steps that are left of a walk
	fresh  int // the index in todo of the first that the last state led to
	random *rand.Rand
}

func newFrontier() frontier { return frontier{random: rand.New(rand.NewPCG(1, 2))} }

// pick removes a state from todo: the oldest or, on a walk, one that the last state led to.
func (x *frontier) pick() (n uint32) {
	last := len(x.todo) - 1
	switch {
	case x.walk == 0 && x.random.IntN(walkEvery) > 0:
		n = x.todo[x.at]
		x.at++
		return n
	case x.walk == 0: // a walk begins at a random state
		x.walk = 1 + x.random.IntN(walkFor)
		x.swap(x.at+x.random.IntN(len(x.todo)-x.at), last)
	case x.fresh < len(x.todo):
		x.walk--
		x.swap(x.fresh+x.random.IntN(len(x.todo)-x.fresh), last)
	default: // it ends where nothing new follows
		x.walk = 0
		return x.pick()
	}
	n = x.todo[last]
	x.todo = x.todo[:last]
	return n
}

func (x *frontier) swap(a, b int) { x.todo[a], x.todo[b] = x.todo[b], x.todo[a] }

// About one state in walkEvery begins a walk of up to walkFor steps: about half of all
// states are reached by walks.
const walkEvery, walkFor = 40, 80

// shrink frees the front of todo, whose states are done.
func (x *frontier) shrink() {
	if x.at > len(x.todo)/2 {
		x.todo = append([]uint32(nil), x.todo[x.at:]...)
		x.fresh, x.at = max(0, x.fresh-x.at), 0
	}
}
