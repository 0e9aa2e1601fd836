package model

// step adds every state that can come after s.
func (x *search) step(s *state) {
	for w := range workers {
		x.faults(s, w)
		if s.proc[w] != up {
			continue
		}
		x.owner(s, w)
		for j := range jobs {
			x.promote(s, w, j)
			x.fetch(s, w, j)
			x.receive(s, w, j)
			x.work(s, w, j)
			x.settle(s, w, j)
			x.audit(s, w, j)
		}
		for v := range workers {
			for i := range int8(identities) {
				x.reclaim(s, v, i)
			}
		}
	}
	for w := range workers {
		for i := range int8(identities) {
			x.ring(s, w, i)
		}
	}
	if s.restarts < x.budget.Restarts { // Redis is killed and comes back with all it had: who waited for a reply waits in vain
		t := *s
		t.restarts++
		t.bell = [workers][identities]int8{}
		t.reply = [workers][jobs]delivery{}
		x.add(t)
	}
}

// faults are crashes and pauses, and what follows from them without anybody's doing.
func (x *search) faults(s *state, w int) {
	if s.proc[w] != down && s.crashes < x.budget.Crashes {
		t := *s
		t.crashes++
		t.proc[w] = down
		t.know[w], t.reply[w], t.popped[w] = [jobs]delivery{}, [jobs]delivery{}, [jobs]int8{}
		for j := range jobs {
			t.job[j].kept = 0
		}
		x.add(t) // its doorbell hangs on in Redis until the server notices
	}
	if s.proc[w] == up && s.pauses < x.budget.Pauses {
		t := *s
		t.pauses++
		t.proc[w] = paused
		x.add(t)
	}
	if s.proc[w] == paused {
		t := *s
		t.proc[w] = up
		x.add(t)
	}
	if i := s.id[w]; s.proc[w] != up && s.lease[w][i] == held { // it has not beaten for the length of a lease
		t := *s
		t.lease[w][i] = ended
		x.add(t)
	}
	if s.proc[w] == down && s.id[w]+1 < identities { // a supervisor starts it again
		t := *s
		t.proc[w] = up
		t.id[w]++
		t.lease[w][t.id[w]] = held
		x.add(t)
	}
	for i := range identities {
		if s.bell[w][i] > 0 { // it times out
			t := *s
			t.bell[w][i] = 0
			x.add(t)
		}
	}
}

// owner beats: it extends its lease, or learns that it is lost and takes a new
// identity.
func (x *search) owner(s *state, w int) {
	i := s.id[w]
	t := *s
	switch {
	case s.lease[w][i] == ended:
		t.lease[w][i] = held
	case s.lease[w][i] >= fenced && i+1 < identities:
		t.id[w]++
		t.lease[w][t.id[w]] = held
	default:
		return
	}
	x.add(t)
}

func (x *search) promote(s *state, w, j int) {
	if s.popped[w][j] > 0 { // the second command of two
		t := *s
		t.popped[w][j] = 0
		t.job[j].queued++
		x.add(t)
	}
	if s.job[j].waiting == 0 {
		return
	}
	t := *s
	t.job[j].waiting--
	if x.PopThenPush {
		t.popped[w][j]++
	} else {
		t.job[j].queued++
	}
	x.add(t)
}

// busy reports whether w has j in its memory already: a worker has one thread a job
// here.
func busy(s *state, w, j int) bool { return s.know[w][j].st != idle || s.reply[w][j].st != idle }

// fetch takes a job in flight under a token that was named before, and hangs
// doorbells.
func (x *search) fetch(s *state, w, j int) {
	i := s.id[w]
	if s.lease[w][i] >= fenced && !x.NoLeaseCheck {
		return
	}
	if k := s.know[w][j]; k.st == halfway && k.id == i && k.token > 0 { // the second command of two
		t := *s
		t.hand[w][i][j] = k.token
		t.know[w][j].st = holds
		x.add(t)
	}
	if s.bell[w][i] == 0 {
		t := *s
		t.bell[w][i] = 1
		x.add(t)
	}
	if s.job[j].queued == 0 || busy(s, w, j) || s.hand[w][i][j] != 0 || s.seq[w][i] >= x.budget.Tokens {
		return
	}
	t := *s
	t.job[j].queued--
	t.seq[w][i]++
	d := delivery{holds, i, t.seq[w][i]}
	if x.PopThenKeep {
		d.st = halfway
	} else {
		t.hand[w][i][j] = d.token
	}
	t.reply[w][j] = d
	x.add(t)
}

// ring is Redis's: a doorbell that hangs takes a job, whether or not who hung it is
// alive.
func (x *search) ring(s *state, w int, i int8) {
	if s.bell[w][i] == 0 {
		return
	}
	for j := range jobs {
		if s.job[j].queued == 0 || s.hand[w][i][j] != 0 {
			continue
		}
		t := *s
		t.bell[w][i] = 0
		t.job[j].queued--
		if !x.NoLanding {
			t.hand[w][i][j] = landed
		}
		if s.proc[w] != down && s.id[w] == i && !busy(s, w, j) {
			t.reply[w][j] = delivery{holds, i, landed}
		}
		x.add(t)
	}
}

// receive reads a reply, or loses it.
func (x *search) receive(s *state, w, j int) {
	if s.reply[w][j].st == idle {
		return
	}
	t := *s
	t.know[w][j], t.reply[w][j] = s.reply[w][j], delivery{}
	x.add(t)
	if s.lost < x.budget.Lost {
		t := *s
		t.lost++
		t.reply[w][j] = delivery{}
		x.add(t)
	}
}

func (x *search) work(s *state, w, j int) {
	if s.know[w][j].st != holds {
		return
	}
	if s.job[j].runs < x.budget.Runs {
		t := *s
		t.job[j].runs++
		t.know[w][j].st = ranWell
		x.add(t)
	}
	if s.job[j].fails < x.budget.Fails {
		t := *s
		t.job[j].fails++
		t.know[w][j].st = failed
		x.add(t)
	}
	if t := *s; x.take(&t, w, j) { // it stops: back to the head of the queue
		t.job[j].queued++
		t.know[w][j] = delivery{}
		x.add(t)
	}
}

// take removes the job that w knows of from the hands that it believes it in, if it
// is there, and reports whether it was. Without tokens it is removed wherever it is.
func (x *search) take(t *state, w, j int) bool {
	k := t.know[w][j]
	if x.NoLanding && k.token == landed {
		return true // it is nowhere
	}
	if t.hand[w][k.id][j] == k.token {
		t.hand[w][k.id][j] = 0
		return true
	}
	if !x.NoToken {
		return false
	}
	for v := range workers {
		for i := range identities {
			if t.hand[v][i][j] != 0 {
				t.hand[v][i][j] = 0
				x.Foreign++
				return true
			}
		}
	}
	return false
}

// settle takes a job that has run out of flight and puts it where it belongs, in one
// step; the removal decides. Its reply may be lost: then it is settled again.
func (x *search) settle(s *state, w, j int) {
	k := s.know[w][j]
	switch k.st {
	case ranWell:
		t := *s
		if x.take(&t, w, j) {
			t.job[j].done++
		}
		x.confirm(s, t, w, j)
	case failed:
		t := *s
		mine := x.take(&t, w, j)
		switch {
		case !mine:
		case x.RetryInTwo:
			t.know[w][j].st = halfway
			t.know[w][j].token = 0
			x.add(t)
			return
		case t.job[j].fails >= x.budget.Fails:
			t.job[j].dead++
		default:
			t.job[j].waiting++
		}
		x.confirm(s, t, w, j)
	case halfway:
		if k.token == 0 {
			t := *s
			t.job[j].waiting++
			t.know[w][j] = delivery{}
			x.add(t)
		}
	}
}

// confirm is the reply of a settle, or its loss.
func (x *search) confirm(s *state, t state, w, j int) {
	if s.lost < x.budget.Lost {
		u := t
		u.lost++
		x.add(u) // it still believes that it must settle
	}
	t.know[w][j] = delivery{}
	x.add(t)
}

// audit puts back what Redis holds for w and w does not know of. It goes only while
// no reply is awaited and no doorbell hangs.
func (x *search) audit(s *state, w, j int) {
	i := s.id[w]
	if x.NoAudit || s.hand[w][i][j] == 0 || s.bell[w][i] > 0 || s.reply[w][0].st != idle || s.reply[w][1].st != idle {
		return
	}
	if k := s.know[w][j]; k.st != idle && k.id == i && k.token == s.hand[w][i][j] {
		return
	}
	t := *s
	t.hand[w][i][j] = 0
	t.job[j].queued++
	x.add(t)
}

// reclaim fences an identity whose lease has ended, takes its jobs, and forgets it
// when it holds nothing and none of its commands can still be under way.
func (x *search) reclaim(s *state, v int, i int8) {
	if x.NoReclaim {
		return
	}
	switch s.lease[v][i] {
	case ended:
		t := *s
		t.lease[v][i] = fenced
		x.add(t)
	case held:
		if s.id[v] > i || (s.proc[v] == down && s.id[v] == i) { // its process is gone, which its own host can see
			t := *s
			t.lease[v][i] = fenced
			x.add(t)
		}
	case fenced:
		empty := true
		for j := range jobs {
			h := s.hand[v][i][j]
			if h == 0 || (h == landed && x.NoLandingRec) {
				continue
			}
			empty = false
			t := *s
			t.hand[v][i][j] = 0
			t.job[j].queued++
			x.add(t)
		}
		late := s.bell[v][i] > 0 // a doorbell of its may still bring it a job
		if empty && (x.BuryAtOnce || !late) {
			t := *s
			t.lease[v][i] = buried
			x.add(t)
		}
	}
}
