package queue_test

import "strings"

// siftTwin is what the scripts of operations on a queue do, in Go. A job is a letter, and a list is
// a string, the newest job first; workers take the last.
type siftTwin struct {
	queue, sifted, staged, dest string
	claim                       int8 // the operation that goes through the queue + 1, or 0
	ops                         [2]siftRecord
}

// siftRecord is the record of an operation, and its trash.
type siftRecord struct {
	state   string
	token   int8
	over    bool // the time of its ticket
	edge    string
	changed int8
	trash   string
}

// siftWay says what an operation does. The limits of the scripts are small in the search.
type siftWay struct {
	move   bool
	chosen string // jobs that the filter chooses
	few    int
	far    int // jobs among which an edge is looked for
}

// The states of records. The errors of scripts have the same names.
const (
	siftRunning   = "running"
	siftCancelled = "cancelled"
	siftDone      = "done"
	siftFailed    = "failed"
	siftStopped   = "interrupted"
	siftTaken     = "taken"
	siftWaits     = "waits"
)

// cut splits a list behind its first n jobs.
func cut(list string, n int) (first, rest string) {
	n = max(0, min(n, len(list)))
	return list[:n], list[n:]
}

func (w *siftTwin) take(op int, token int8) string {
	r := &w.ops[op]
	before := r.state
	if r.token != token && r.state == siftRunning && !r.over {
		return siftTaken
	}
	if r.state != siftDone {
		r.state, r.token, r.over = siftRunning, token, false
	}
	return before
}

func (w *siftTwin) end(d *siftDesign, op int, token int8, state string) string {
	r := &w.ops[op]
	if r.token != token {
		return siftTaken
	}
	before := r.state
	if r.state == siftRunning {
		r.state = state
	}
	if d.endForgets {
		r.edge = ""
	}
	return before
}

func (w *siftTwin) cancel(op int) {
	if r := &w.ops[op]; r.state == siftRunning || r.state == siftStopped {
		r.state = siftCancelled
	}
}

// guard is parts/operation.lua.
func (w *siftTwin) guard(d *siftDesign, op int, token int8) string {
	r := &w.ops[op]
	switch {
	case r.state != siftRunning && !d.anyState:
		return r.state
	case r.token != token && !d.anyToken:
		return siftTaken
	}
	return ""
}

// enter lets an operation go through the queue.
func (w *siftTwin) enter(d *siftDesign, op int, token int8) string {
	if problem := w.guard(d, op, token); problem != "" {
		return problem
	}
	if w.claim != 0 && w.claim != int8(op)+1 && !d.anyClaim {
		return siftWaits
	}
	w.claim = int8(op) + 1
	w.note(d, op, 0)
	return ""
}

func (w *siftTwin) note(d *siftDesign, op, changed int) {
	w.ops[op].over = false
	if !d.lateCount {
		w.ops[op].changed += int8(changed)
	}
}

// arrivals are how many jobs were pushed since the last page.
func (w *siftTwin) arrivals(edge string, far int) int {
	first, _ := cut(w.queue, far)
	at := strings.Index(first, edge)
	switch {
	case edge != "" && at >= 0:
		return at
	case len(w.queue) <= far:
		return len(w.queue)
	}
	return 0
}

// sift takes a page of the newest jobs off the queue. rest is -1 while there is more to sift.
func (w *siftTwin) sift(d *siftDesign, op int, token int8, way siftWay, page string) (rest int,
	chosen, problem string) {
	if problem = w.guard(d, op, token); problem != "" {
		return 0, "", problem
	}
	r := &w.ops[op]
	edge := r.edge
	if edge == "" {
		edge, _ = cut(page, 1)
	}
	if near, _ := cut(w.queue, way.far); d.goneIsEnd && !strings.Contains(near, edge) {
		return 0, "", ""
	}
	if !d.leaveArrivals {
		first, later := cut(w.queue, w.arrivals(edge, way.far))
		w.queue, w.sifted = later, first+w.sifted
	}
	for i := range page {
		if w.queue == "" || w.queue[0] != page[i] && !d.anyPage {
			break
		}
		mine := page[i : i+1]
		_, w.queue = cut(w.queue, 1)
		switch {
		case !strings.Contains(way.chosen, mine):
			w.sifted += mine
			continue
		case way.move && d.notStaged:
			w.dest = mine + w.dest
		case way.move:
			w.staged += mine
		default:
			r.trash += mine
		}
		chosen += mine
	}
	rest = w.merge(d, op, way)
	w.note(d, op, len(chosen))
	return rest, chosen, ""
}

// merge makes the sifted jobs and those that are few the queue.
func (w *siftTwin) merge(d *siftDesign, op int, way siftWay) int {
	r, left := &w.ops[op], len(w.queue)
	few := way.few
	if d.noFew {
		few = 0
	}
	if r.edge = w.queue[:min(1, left)]; left > few {
		return -1
	}
	w.queue, w.sifted = w.sifted+w.queue, ""
	if d.mergeLater {
		w.queue, w.sifted = "", w.queue
	}
	if d.claimEnds {
		w.claim = 0
	}
	return left
}

// tail changes a page of jobs, the oldest last, among the oldest of the queue.
func (w *siftTwin) tail(d *siftDesign, op int, token int8, way siftWay, page string) (chosen,
	problem string) {
	if problem = w.guard(d, op, token); problem != "" {
		return "", problem
	}
	list := w.queue
	near := 3 * way.few
	if d.nearTail {
		near = 2 * way.few
	}
	last := max(0, len(list)-near)
	behind := -1
	if page != "" {
		behind = strings.LastIndex(list[last:], page[:1])
	}
	kept, jobs := list, ""
	if behind >= 0 {
		kept, jobs = cut(list, last+behind)
	}
	for i := range jobs { // the newest of both are side by side
		mine := jobs[i : i+1]
		is := i < len(page) && strings.Contains(way.chosen, page[i:i+1])
		if is && (page[i:i+1] == mine || d.anyByte) {
			chosen += mine
		} else {
			kept += mine
		}
	}
	w.queue = kept
	switch {
	case way.move:
		w.dest = chosen + w.dest
	case d.trashTurned:
		w.ops[op].trash += turned(chosen)
	default:
		w.ops[op].trash += chosen
	}
	w.note(d, op, len(chosen))
	return chosen, ""
}

// shift moves a page of the oldest jobs, the oldest last, to the other queue.
func (w *siftTwin) shift(d *siftDesign, op int, token int8, page string) (moved, problem string) {
	if problem = w.guard(d, op, token); problem != "" {
		return "", problem
	}
	for i := len(page) - 1; i >= 0; i-- {
		if mine := page[i : i+1]; strings.HasSuffix(w.queue, mine) || d.anyPage && w.queue != "" {
			oldest := w.queue[len(w.queue)-1:]
			w.queue = strings.TrimSuffix(w.queue, oldest)
			w.dest, moved = oldest+w.dest, oldest+moved
		}
	}
	w.note(d, op, len(moved))
	return moved, ""
}

// unsift puts up to most jobs back that an operation holds. A token of 0 is none.
func (w *siftTwin) unsift(d *siftDesign, op int, token int8, most, far int) (left int,
	problem string) {
	if w.claim != int8(op)+1 {
		return 0, ""
	}
	r := &w.ops[op]
	byTime := token == 0 && (r.over || d.anyTime)
	if r.token != token && !byTime && !d.anyUnsift {
		return 0, siftTaken
	}
	if r.token != token && r.state == siftRunning && !d.goesOn {
		r.state = siftStopped
	}
	left = most
	if w.sifted != "" {
		w.unsiftFirst(d, r, far)
		if w.queue == "" || d.renames {
			w.queue, w.sifted = w.sifted, ""
		} else {
			for ; left > 0 && w.sifted != ""; left-- {
				last := len(w.sifted) - 1
				w.queue, w.sifted = w.sifted[last:]+w.queue, w.sifted[:last]
			}
			if !d.edgeStays {
				r.edge = w.queue[:1]
			}
		}
	}
	for ; left > 0 && w.sifted == "" && w.staged != ""; left-- {
		last := len(w.staged) - 1
		w.dest, w.staged = w.staged[last:]+w.dest, w.staged[:last]
	}
	rest := len(w.sifted) + len(w.staged)
	if rest == 0 {
		w.claim = 0
		if !d.edgeKept {
			r.edge = ""
		}
	}
	return rest, ""
}

// unsiftFirst puts the jobs that were pushed meanwhile before the sifted ones.
func (w *siftTwin) unsiftFirst(d *siftDesign, r *siftRecord, far int) {
	if !d.leaveBehind {
		first, later := cut(w.queue, w.arrivals(r.edge, far))
		w.queue, w.sifted = later, first+w.sifted
	}
}

// restore puts the jobs of the trash back, before the others.
func (w *siftTwin) restore(op int) (jobs string) {
	jobs = w.ops[op].trash
	w.queue, w.ops[op].trash = w.queue+jobs, ""
	return jobs
}

// turned is a list from its end on.
func turned(list string) string {
	bytes := []byte(list)
	for i := range len(bytes) / 2 {
		k := len(bytes) - 1 - i
		bytes[i], bytes[k] = bytes[k], bytes[i]
	}
	return string(bytes)
}
