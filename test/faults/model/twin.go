package model

import (
	"slices"

	"github.com/kyujobs/kyu/queue"
)

// Job is the part of a payload that the scripts and the decisions read.
type Job struct {
	ID, Crashes, Fails int8
	Lock               Lock  // what lock it has, and of which digest; they follow from its ID
	Digest             int8  //
	Lane               int8  // it follows from its ID too
	Size               int32 // in bytes; only the limits of bytes use it
}

// Held is a field of an in-flight hash.
type Held struct {
	Token uint64
	Job   Job
}

// Record is what Redis knows of an owner: its lease, and the facts that matter at its end.
type Record struct {
	Lease int64    // 0: not registered; less than 0: fenced
	Left  bool     // it has left by itself
	Alone uint64   // the token of the only delivery that runs; 0: several may run
	Told  uint64   // the number of the last call that set Alone
	Ran   []uint64 // the tokens of suspects that ran beside others
}

// Key names a key that may have a wrong type.
type Key struct {
	Kind kind
	A, B int // the queue, or the identity and the queue
}

type kind int8

// The kinds of keys whose types the scripts check.
const (
	listKey kind = iota
	flightKey
	landingKey
	retryKey
	scheduleKey
	deadKey
	queuesKey
	pausedKey
	heldKey
	holdKey
	lockKey // A is the lock
)

// Twin does with slices what the scripts of queue/lua do with Redis. It never changes a slice: it
// makes a new one. So copies of a Twin can share slices. The first item of a slice is the left end
// of a list. A set has its jobs in the order in which they were added.
type Twin struct {
	queues                      int
	lists                       [][]Job  // by queue
	flight                      [][]Held // by identity and queue, in the order of the tokens
	landing                     [][]Job  // likewise
	owners                      []Record // by identity
	retry, schedule, dead, hold []Job
	names                       []bool // by queue: it is in the set of queues
	paused                      []bool
	locks                       [][]int8 // the jobs that hold a lock, by digest and lock
	lanes                       Lanes
	bad                         map[Key]bool // keys of wrong types

	// See Design.
	WaitersCount, ReleaseAny, ReleaseStale, ClaimUnheld bool
	Effects                                             func(Job, queue.EffectEvent) []Change
	NoRelist, BehindLane, SiftBlind, NoBarrier, NoRing  bool
	KeepPlaces, NoHandOn                                bool
}

// NewTwin makes an empty Redis for so many queues and identities.
func NewTwin(queues, identities int) *Twin {
	return &Twin{queues: queues, lists: make([][]Job, queues), flight: make([][]Held,
		queues*identities),
		landing: make([][]Job, queues*identities), owners: make([]Record, identities),
		names: make([]bool, queues), paused: make([]bool, queues),
		locks: make([][]int8, digests*locksOfDigest), lanes: lanesOff, bad: map[Key]bool{}}
}

// Clone copies t. The copies share the keys of wrong types, because a search has none.
func (t *Twin) Clone() *Twin {
	c := *t
	c.lists, c.flight, c.landing = slices.Clone(t.lists), slices.Clone(t.flight),
		slices.Clone(t.landing)
	c.owners, c.names, c.locks = slices.Clone(t.owners), slices.Clone(t.names),
		slices.Clone(t.locks)
	return &c
}

func (t *Twin) at(id, q int) int { return id*t.queues + q }

// pushRight adds a job at the right end of a queue, so that it is taken next.
func (t *Twin) pushRight(q int, j Job) {
	t.lists[q] = append(slices.Clip(slices.Clone(t.lists[q])), j)
}

func (t *Twin) pushLeft(q int, j Job) { t.lists[q] = append([]Job{j}, t.lists[q]...) }

// popRight takes the next job of a queue, if there is one.
func (t *Twin) popRight(q int) (j Job, ok bool) {
	n := len(t.lists[q]) - 1
	if n < 0 {
		return j, false
	}
	j = t.lists[q][n]
	t.lists[q] = t.lists[q][:n:n]
	return j, true
}

// remove removes a field of an in-flight hash.
func (t *Twin) remove(id, q int, token uint64) (j Job, ok bool) {
	at := t.at(id, q)
	for i, h := range t.flight[at] {
		if h.Token == token {
			rest := append([]Held(nil), t.flight[at][:i]...)
			t.flight[at] = append(rest, t.flight[at][i+1:]...)
			return h.Job, true
		}
	}
	return j, false
}

// put adds a field to an in-flight hash, or overwrites it.
func (t *Twin) put(id, q int, h Held) {
	t.remove(id, q, h.Token)
	at := t.at(id, q)
	list := append(append([]Held(nil), t.flight[at]...), h)
	slices.SortFunc(list, func(a, b Held) int { return int(int64(a.Token) - int64(b.Token)) })
	t.flight[at] = list
}

func with(set []Job, j Job) []Job { return append(slices.Clip(slices.Clone(set)), j) }

func without(set []Job, id int8) (rest []Job, found bool) {
	for i, j := range set {
		if j.ID == id {
			return append(append([]Job(nil), set[:i]...), set[i+1:]...), true
		}
	}
	return set, false
}

// Ring is BLMOVE queue landing RIGHT LEFT when there is a job. It does not check the lease.
func (t *Twin) Ring(id, q int) bool {
	j, ok := t.popRight(q)
	if ok {
		at := t.at(id, q)
		t.landing[at] = append([]Job{j}, t.landing[at]...)
	}
	return ok
}

// Answer is answer.lua, the trip that a doorbell carries.
func (t *Twin) Answer(r Fetch) (j Job, ok bool) {
	q := r.Queues[r.Adopt[0]]
	at, landing := t.at(r.ID, q), Key{landingKey, r.ID, q}
	if len(t.landing[at]) != 1 || t.bad[landing] || t.owners[r.ID].Lease <= 0 ||
		t.paused[q] && !t.bad[Key{Kind: pausedKey}] {
		return j, false
	}
	for _, q := range r.Queues {
		if len(t.lists[q]) > 0 || t.bad[Key{Kind: listKey, A: q}] {
			return j, false
		}
	}
	if len(r.Sources) > 0 && (len(t.lanes.Arrived) > 0 || t.lanes.ready.first() >= 0) {
		return j, false
	}
	j = t.landing[at][0]
	if int(j.Size) > r.Limit || t.bad[Key{flightKey, r.ID, q}] {
		return j, false
	}
	t.landing[at] = nil
	t.put(r.ID, q, Held{r.First, j})
	return j, true
}

// Push is push.lua for a queue.
func (t *Twin) Push(q int, jobs ...Job) bool {
	if t.bad[Key{Kind: listKey, A: q}] || t.bad[Key{Kind: queuesKey}] {
		return false
	}
	t.names[q] = t.names[q] || len(jobs) > 0
	for _, j := range jobs {
		t.pushLeft(q, j)
	}
	return true
}

// Register is register.lua with a lease, which ends at score.
func (t *Twin) Register(id int, score int64) { t.owners[id].Lease = score }

// Leave is register.lua without a lease.
func (t *Twin) Leave(id int, now int64) {
	t.owners[id].Left = true
	if t.owners[id].Lease >= 0 {
		t.owners[id].Lease = -now
	}
}

// Beat is beat.lua. It returns false if the lease is lost.
func (t *Twin) Beat(id int, score int64) bool {
	if t.owners[id].Lease <= 0 {
		return false
	}
	t.owners[id].Lease = score
	return true
}

// Alone is alone.lua: it marks a delivery as alone or, with token 0, removes the mark. A call that
// comes after a later one does nothing.
func (t *Twin) Alone(id int, token, number uint64) bool {
	o := &t.owners[id]
	if o.Lease == 0 || number <= o.Told {
		return false
	}
	o.Alone, o.Told = token, number
	return true
}

// Beside is beside.lua: a suspect runs beside others from now on.
func (t *Twin) Beside(id int, token uint64) bool {
	o := &t.owners[id]
	if o.Lease == 0 {
		return false
	}
	if !slices.Contains(o.Ran, token) {
		o.Ran = append(slices.Clip(o.Ran), token)
	}
	return true
}

// Fence is fence.lua: it declares an owner dead if its lease has not changed since it was read.
func (t *Twin) Fence(id int, seen, now int64) bool {
	if t.owners[id].Lease != seen || seen == 0 {
		return false
	}
	if seen > 0 {
		t.owners[id].Lease = -now
	}
	return true
}

// Forget is forget.lua, when the owner has been dead for long enough.
func (t *Twin) Forget(id int) bool {
	if t.owners[id].Lease >= 0 || !t.empty(id) {
		return false
	}
	t.owners[id] = Record{}
	return true
}

// empty reports whether an owner has no keys with jobs.
func (t *Twin) empty(id int) bool {
	for q := range t.queues {
		at := t.at(id, q)
		if len(t.flight[at])+len(t.landing[at]) > 0 || t.bad[Key{flightKey, id, q}] ||
			t.bad[Key{landingKey, id, q}] {
			return false
		}
	}
	return true
}
