package model

import "slices"

// Job is a job's payload, as far as the scripts and the decisions read it.
type Job struct {
	ID, Crashes, Fails int8
	Size               int32 // in bytes; only bounds of bytes look at it
}

// Held is a field of an in-flight hash.
type Held struct {
	Token uint64
	Job   Job
}

// Record is what Redis knows of an owner: its place in the register of leases, and what
// its record says of its end.
type Record struct {
	Lease int64    // 0: it is not registered; less: it is fenced
	Left  bool     // in good order
	Alone uint64   // token of the only delivery that runs; 0: several may
	Told  uint64   // number of the last call that said so, or the opposite
	Ran   []uint64 // tokens of suspects that ran beside others
}

// Key names a key that may hold a wrong type.
type Key struct {
	Kind kind
	A, B int // the queue, or the identity and the queue
}

type kind int8

// The kinds of keys whose types the scripts must not trust.
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
)

// Twin does to slices what the scripts of queue/lua do to Redis. It never changes a slice,
// but makes another, so that copies of a Twin share what is the same in both. The left end
// of a list is first. Sets of jobs are in the order in which their members came.
type Twin struct {
	queues                      int
	lists                       [][]Job  // by queue
	flight                      [][]Held // by identity and queue, in the order of the tokens
	landing                     [][]Job  // likewise
	owners                      []Record // by identity
	retry, schedule, dead, hold []Job
	names                       []bool // by queue: it is in the set of queues
	paused                      []bool
	bad                         map[Key]bool // keys of wrong types; what they held is out of sight

	WaitersCount bool // a design: a crash counts for suspects that had not started
}

// NewTwin is an empty Redis for so many queues and identities.
func NewTwin(queues, identities int) *Twin {
	return &Twin{queues: queues, lists: make([][]Job, queues), flight: make([][]Held,
		queues*identities),
		landing: make([][]Job, queues*identities), owners: make([]Record, identities),
		names: make([]bool, queues), paused: make([]bool, queues), bad: map[Key]bool{}}
}

// Clone copies t, but for the keys of wrong types, which no search has.
func (t *Twin) Clone() *Twin {
	c := *t
	c.lists, c.flight, c.landing = slices.Clone(t.lists), slices.Clone(t.flight),
		slices.Clone(t.landing)
	c.owners, c.names = slices.Clone(t.owners), slices.Clone(t.names)
	return &c
}

func (t *Twin) at(id, q int) int { return id*t.queues + q }

// pushRight puts a job to the end of a list that is taken next.
func (t *Twin) pushRight(q int, j Job) {
	t.lists[q] = append(slices.Clip(slices.Clone(t.lists[q])), j)
}

func (t *Twin) pushLeft(q int, j Job) { t.lists[q] = append([]Job{j}, t.lists[q]...) }

// popRight takes the job that is next, if there is one.
func (t *Twin) popRight(q int) (j Job, ok bool) {
	n := len(t.lists[q]) - 1
	if n < 0 {
		return j, false
	}
	j = t.lists[q][n]
	t.lists[q] = t.lists[q][:n:n]
	return j, true
}

// remove takes a field out of an in-flight hash.
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

// Ring is BLMOVE queue landing RIGHT LEFT, when there is a job. No lease is asked for.
func (t *Twin) Ring(id, q int) bool {
	j, ok := t.popRight(q)
	if ok {
		at := t.at(id, q)
		t.landing[at] = append([]Job{j}, t.landing[at]...)
	}
	return ok
}

// Answer is answer.lua: what a doorbell carries.
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

// Alone is alone.lua: it marks a delivery that runs alone, or, with token 0, ends that. A call
// that comes after a later one does nothing.
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

// Fence is fence.lua: only if the lease is as it was seen.
func (t *Twin) Fence(id int, seen, now int64) bool {
	if t.owners[id].Lease != seen || seen == 0 {
		return false
	}
	if seen > 0 {
		t.owners[id].Lease = -now
	}
	return true
}

// Forget is forget.lua, after the time that it waits.
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
