package model

import "slices"

// beginSource is what a fetch with a source does before it looks at the lease: jobs that doorbells
// took go back, lanes open whose time has come, and finished jobs free their places.
func (f *fetching) beginSource() {
	at := slices.IndexFunc(f.Sources, func(i int) bool { return f.Queues[i] == f.lanes.Queue })
	if at < 0 {
		return
	}
	f.source, f.began = f.Sources[at], f.lanes.V
	if f.lanes.On {
		f.lanes.open(0)
	}
	for _, token := range f.Done[f.source] {
		if lane := f.lanes.vacate(f.ID, token); lane >= 0 {
			f.release(lane)
		}
	}
	if f.Want > 0 && f.lanes.On && f.owners[f.ID].Lease > 0 {
		return
	}
	f.gather() // it takes no jobs of lanes: other processes do, or those without lanes
	if !f.NoHandOn {
		f.rest()
	}
}

// takeLanes moves up to n jobs of the queue with lanes in flight.
func (f *fetching) takeLanes(i, n int) (took int) {
	l, q := &f.lanes, f.Queues[i]
	if f.empty[i] {
		return 0
	}
	for took < n && f.room >= 0 {
		lane := f.nextLane()
		if lane < 0 {
			f.empty[i] = true
			break
		}
		jobs, at := l.Parked[lane], l.ready[lane]
		j := jobs[len(jobs)-1]
		if size := int(j.Size); size <= f.Limit && size > f.room && f.taken > 0 {
			f.out.More, f.room = true, -1
			break
		}
		l.ready.remove(lane)
		l.Parked[lane] = jobs[: len(jobs)-1 : len(jobs)-1]
		if int(j.Size) > f.Limit {
			f.dead = with(f.dead, j)
			f.out.Oversized++
			l.onward(lane, at, l.Busy[lane])
			continue
		}
		h := Held{f.First + uint64(f.taken), j}
		f.put(f.ID, q, h)
		l.Places = append(slices.Clip(slices.Clone(l.Places)), Place{f.ID, h.Token, lane})
		f.out.Jobs = append(f.out.Jobs, Taken{h, q})
		f.room -= int(j.Size)
		f.taken++
		took++
		l.Running++
		l.Busy[lane]++
		l.V = max(l.V, at)
		l.onward(lane, at+1, l.Busy[lane])
	}
	if f.Draws == nil && took < n && f.arrives() && !f.NoBarrier {
		f.barrier = i
	}
	return took
}

// nextLane returns the lane whose job is next, or -1.
func (f *fetching) nextLane() int8 {
	l := &f.lanes
	for l.room() {
		lane := l.ready.first()
		switch {
		case lane < 0:
			return -1
		case lane != 0 && l.Max > 0 && l.Busy[lane] >= l.Max: // the limit was lowered
			l.full[lane] = l.ready[lane]
			l.ready.remove(lane)
		case len(l.Parked[lane]) == 0: // a job by hand was deleted
			l.ready.remove(lane)
		default:
			return lane
		}
	}
	return -1
}

// onward lets a lane go on behind the job that was taken out of it.
func (l *Lanes) onward(lane int8, after float64, n int) {
	if len(l.Parked[lane]) > 0 {
		l.enlist(lane, after, n)
	} else {
		l.past[lane] = after
	}
}

// endSource is what a fetch with a source does last.
func (f *fetching) endSource() {
	l := &f.lanes
	if f.source < 0 || !l.On {
		return
	}
	if f.arrives() {
		f.out.Unseen = []int{f.source}
	}
	f.rest()
	f.out.Opens = l.wait.first() >= 0
}

// rest ends a call.
func (f *fetching) rest() {
	l := &f.lanes
	if l.ready.first() < 0 && l.full.first() < 0 {
		l.past = noRanks
	} else if l.V > f.began {
		for lane := range int8(laneCount) {
			if l.past.has(lane) && l.past[lane] <= l.V {
				l.past.remove(lane)
			}
		}
	}
	l.ring()
}
