package queue_test

import "strings"

// siftOperator is a process that carries an operation out, as package inspect does. Between two of
// its steps anything may happen, and it may be the last.
type siftOperator struct {
	at       string // its next step; "" when it is over
	op       int8
	token    int8
	page     string // what it has read, the newest job first
	problem  string
	uncounts int8 // with a design that counts late: chosen, and not noted
}

// The steps.
const (
	siftTake      = "take"
	siftFirst     = "put back what an earlier caller has left"
	siftEnter     = "enter"
	siftReadShift = "read the oldest"
	siftShift     = "shift"
	siftShort     = "measure"
	siftReadNew   = "read the newest"
	siftNewest    = "sift"
	siftReadOld   = "read the last"
	siftOldest    = "tail"
	siftLast      = "put back"
	siftEnd       = "end"
	siftCount     = "count"
)

// step carries out the next step of an operator. It returns the jobs that the step chose.
func (w *siftWorld) step(d *siftDesign, i int) (chosen string) {
	p := &w.operators[i]
	op, way := int(p.op), w.ways[p.op]
	switch p.at {
	case siftTake:
		if before := w.take(op, p.token); before == siftTaken || before == siftDone {
			p.at = ""
			return ""
		}
		if p.at = siftFirst; d.shiftFirst && way.all {
			p.at = siftReadShift
		}
	case siftFirst:
		w.putBackOwn(d, p, siftEnter)
	case siftEnter:
		w.goIn(d, p)
	case siftReadShift:
		w.readShift(p)
	case siftShift:
		chosen, p.problem = w.shift(d, op, p.token, p.page)
		p.at = siftReadShift
	case siftShort:
		if p.at = siftReadNew; len(w.queue) <= way.few {
			p.at = siftReadOld
		}
	case siftReadNew:
		p.page, p.at = w.newest(op), siftNewest
	case siftNewest:
		chosen = w.sieve(d, p)
	case siftReadOld:
		p.page, p.at = w.oldest(d, op), siftOldest
	case siftOldest:
		chosen = w.changeOldest(d, p)
	case siftLast:
		w.putBackOwn(d, p, siftEnd)
	case siftCount:
		w.ops[op].changed += p.uncounts
		p.uncounts, p.at = 0, siftReadNew
	case siftEnd:
		w.endOf(d, p)
		return ""
	}
	if p.problem != "" && p.at != siftEnd {
		p.at, p.page = siftLast, ""
	}
	return chosen
}

// putBackOwn is a step of putBack of package inspect.
func (w *siftWorld) putBackOwn(d *siftDesign, p *siftOperator, next string) {
	left, problem := w.putBack(d, int(p.op), p.token)
	if p.problem == "" {
		p.problem = problem
	}
	if left == 0 {
		p.at, p.page = next, ""
	}
}

// goIn lets an operation go through the queue, if need be after one whose caller is dead.
func (w *siftWorld) goIn(d *siftDesign, p *siftOperator) {
	op := int(p.op)
	if p.at = siftShort; w.ways[op].all && !d.shiftFirst {
		p.at = siftReadShift
	}
	if d.noEnter {
		w.claim = int8(op) + 1
		return
	}
	if p.problem = w.enter(d, op, p.token); p.problem == siftWaits {
		for left := 1; left > 0; {
			left, _ = w.putBack(d, int(w.claim)-1, 0)
		}
		p.problem = w.enter(d, op, p.token)
	}
}

// later reports whether a job came later than the operations began.
func (w *siftWorld) later(job byte) bool { return job > w.moment }

// readShift reads the oldest jobs, up to one that came later.
func (w *siftWorld) readShift(p *siftOperator) {
	_, p.page = cut(w.queue, len(w.queue)-w.pages)
	for i := len(p.page) - 1; i >= 0; i-- {
		if w.later(p.page[i]) {
			p.page = p.page[i+1:]
			break
		}
	}
	switch {
	case w.queue == "":
		p.at = siftLast
	case p.page == "":
		p.at = siftShort
	default:
		p.at = siftShift
	}
}

// newest is NewestJobs.
func (w *siftWorld) newest(op int) string {
	page, _ := cut(w.queue, w.pages)
	edge := w.ops[op].edge
	if at := strings.Index(page, edge); at >= 0 {
		return page[at:]
	}
	return ""
}

// oldest is OldestJobs.
func (w *siftWorld) oldest(d *siftDesign, op int) string {
	_, list := cut(w.queue, len(w.queue)-2*w.ways[op].few)
	if d.readsFew {
		_, list = cut(w.queue, len(w.queue)-w.ways[op].few)
		return list
	}
	if at := strings.Index(list, w.ops[op].edge); at >= 0 {
		return list[at:]
	}
	return list
}

// wants is a way in which jobs that came later are not chosen.
func (w *siftWorld) wants(d *siftDesign, op int) siftWay {
	way := w.ways[op].siftWay
	if !d.anyTimeOfJobs {
		way.chosen = strings.Map(func(job rune) rune {
			if w.later(byte(job)) {
				return -1
			}
			return job
		}, way.chosen)
	}
	return way
}

// sieve is a step of SiftNewest.
func (w *siftWorld) sieve(d *siftDesign, p *siftOperator) string {
	rest, chosen, problem := w.sift(d, int(p.op), p.token, w.wants(d, int(p.op)), p.page)
	if p.problem, p.page = problem, ""; problem == "" {
		w.since = 0
	}
	switch {
	case rest < 0:
		p.at = siftReadNew
	case rest == 0:
		p.at = siftLast
	default:
		p.at = siftReadOld
	}
	if d.lateCount && problem == "" && rest < 0 {
		p.uncounts, p.at = int8(len(chosen)), siftCount
	}
	return chosen
}

// changeOldest is a step of SiftOldest: for a move the oldest page first, else the newest.
func (w *siftWorld) changeOldest(d *siftDesign, p *siftOperator) (chosen string) {
	way, page := w.wants(d, int(p.op)), ""
	for page == "" && p.page != "" {
		if way.move != d.pagesTurned {
			p.page, page = cut(p.page, (len(p.page)-1)/w.pages*w.pages)
		} else {
			page, p.page = cut(p.page, w.pages)
		}
		if !strings.ContainsAny(page, way.chosen) || way.chosen == "" {
			page = ""
		}
	}
	if page != "" {
		chosen, p.problem = w.tail(d, int(p.op), p.token, way, page)
	}
	if p.page == "" {
		p.at = siftLast
	}
	return chosen
}

// endOf is the end of Run.
func (w *siftWorld) endOf(d *siftDesign, p *siftOperator) {
	switch p.problem {
	case "":
		w.end(d, int(p.op), p.token, siftDone)
	case siftWaits, siftFailed:
		w.end(d, int(p.op), p.token, siftStopped)
	}
	*p = siftOperator{}
}
