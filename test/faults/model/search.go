package model

import (
	"fmt"
	"strings"
)

// search visits the states of an arrangement. It stores equal parts of states once, under a number.
// So a state is four numbers, and two different states are never taken for the same.
type search struct {
	*Design
	*Arrangement
	Result
	frontier
	limit  int
	seen   map[[procs + 2]uint32]struct{}
	nodes  []node
	redis  map[string]*server
	procs  map[string]*proc
	pasts  map[past]uint32
	byPast []past
	byR    []*server
	byP    []*proc
	buf    []byte
	from   uint32 // the state whose next states are added now
}

// node is a state, and the event that led to it.
type node struct {
	key   [procs + 2]uint32
	from  uint32
	event event
	depth uint16
}

// event is what happens between two states.
type event struct {
	what       step
	proc, a, b uint8
}

// Search searches the states of a design in an arrangement. It stops after limit states and, if
// first is set, at the first violation. It takes half of the states in the order in which they were
// found, so it misses no short sequence of events. It takes the other half on random walks, for
// long sequences.
func Search(d Design, a Arrangement, limit int, first bool) Result {
	x := &search{Design: &d, Arrangement: &a, limit: limit, seen: map[[procs + 2]uint32]struct{}{},
		redis: map[string]*server{}, procs: map[string]*proc{}, pasts: map[past]uint32{},
		frontier: newFrontier()}
	x.start()
	for x.at < len(x.todo) && x.States < limit && !(first && x.Violations() > 0) {
		x.from = x.pick()
		x.fresh = len(x.todo)
		w := x.world(x.from)
		x.step(&w)
		if x.States%4096 == 0 {
			x.shrink()
		}
	}
	x.Complete = x.at == len(x.todo)
	return x.Result
}

func (x *search) start() {
	w := world{past: past{Budget: x.Budget}}
	w.redis = &server{Twin: *NewTwin(queues, identities)}
	w.redis.WaitersCount, w.redis.ReleaseAny = x.WaitersCount, x.ReleaseAny
	w.redis.ReleaseStale, w.redis.ClaimUnheld = x.ReleaseStale, x.ClaimUnheld
	w.redis.Effects = x.Effects
	w.redis.NoRelist, w.redis.BehindLane, w.redis.SiftBlind = x.NoRelist, x.BehindLane, x.SiftBlind
	w.redis.NoBarrier, w.redis.NoRing, w.redis.KeepPlaces = x.NoBarrier, x.NoRing, x.KeepPlaces
	w.redis.NoHandOn = x.NoHandOn
	if x.Lanes {
		w.redis.lanes.Queue = laneQueue
		w.redis.SetLanes(1, 0)
	}
	for i := range procs {
		w.proc[i] = x.newProc(x.Arrangement, w.redis, 0)
		w.redis.Register(i*lives, 1)
		for _, l := range w.proc[i].ledgers {
			l.Renewed(owners[i*lives])
		}
	}
	n := &next{world: w, newR: true, newP: [procs]bool{true, true}}
	x.settleIn(n)
	x.add(n, event{})
}

func (x *search) world(n uint32) (w world) {
	k := x.nodes[n].key
	w.redis, w.past = x.byR[k[0]], x.byPast[k[1]]
	for i := range w.proc {
		w.proc[i] = x.byP[k[2+i]]
	}
	return w
}

// next is a state that an event leads to. A part is copied before it is changed for the first time.
type next struct {
	world
	newR  bool
	newP  [procs]bool
	wrong violation
	why   string
}

func (n *next) r() *server {
	if !n.newR {
		n.redis, n.newR = n.redis.clone(), true
	}
	return n.redis
}

func (n *next) p(i int) *proc {
	if !n.newP[i] {
		n.proc[i], n.newP[i] = n.proc[i].clone(), true
	}
	return n.proc[i]
}

// is notes a violation by the event.
func (n *next) is(v violation, why string, args ...any) {
	if n.wrong == fine {
		n.wrong, n.why = v, fmt.Sprintf(why, args...)
	}
}

// add adds a state that an event leads to. A new one is judged.
func (x *search) add(n *next, e event) {
	var k [procs + 2]uint32
	k[0] = x.internR(n)
	for i := range procs {
		k[2+i] = x.internP(n, i)
	}
	num, known := x.pasts[n.past]
	if !known {
		num = uint32(len(x.byPast))
		x.pasts[n.past], x.byPast = num, append(x.byPast, n.past)
	}
	k[1] = num
	if _, again := x.seen[k]; again {
		return
	}
	x.seen[k] = struct{}{}
	depth := uint16(0)
	if len(x.nodes) > 0 {
		depth = x.nodes[x.from].depth + 1
	}
	x.nodes = append(x.nodes, node{k, x.from, e, depth})
	x.States++
	x.Depth = max(x.Depth, int(depth))
	v, why := n.wrong, n.why
	if v == fine {
		v, why = x.judge(&n.world)
	}
	if v == fine {
		x.todo = append(x.todo, uint32(len(x.nodes)-1))
		return
	}
	x.Found[v]++ // no event follows a violation
	if x.First == "" {
		x.First = x.story(uint32(len(x.nodes)-1), fmt.Sprintf("%s: %s", kindNames[v], why))
	}
}

func (x *search) internR(n *next) uint32 {
	if !n.newR {
		return n.redis.num
	}
	x.buf = n.redis.appendKey(x.buf[:0])
	if r := x.redis[string(x.buf)]; r != nil {
		n.redis, n.newR = r, false
		return r.num
	}
	n.redis.num = uint32(len(x.byR))
	x.byR, x.redis[string(x.buf)], n.newR = append(x.byR, n.redis), n.redis, false
	return n.redis.num
}

func (x *search) internP(n *next, i int) uint32 {
	if !n.newP[i] {
		return n.proc[i].num
	}
	p := n.proc[i]
	if !p.up { // its memory is gone
		*p = proc{life: p.life, stop: p.stop}
	}
	x.buf = p.appendKey(x.buf[:0])
	if q := x.procs[string(x.buf)]; q != nil {
		n.proc[i], n.newP[i] = q, false
		return q.num
	}
	p.num = uint32(len(x.byP))
	p.wrong = x.memory(p)
	x.byP, x.procs[string(x.buf)], n.newP[i] = append(x.byP, p), p, false
	return p.num
}

// story lists the events that led to a state.
func (x *search) story(n uint32, end string) string {
	var lines []string
	for ; n > 0; n = x.nodes[n].from {
		e := x.nodes[n].event
		lines = append(lines, fmt.Sprintf("%s p%d %d %d", stepNames[e.what], e.proc, e.a, e.b))
	}
	var b strings.Builder
	for i := len(lines) - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "%s\n", lines[i])
	}
	return b.String() + end
}
