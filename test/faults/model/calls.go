package model

import (
	"errors"
	"slices"

	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/queue"
)

var errReply = errors.New("the reply is lost")

// call adds what can become of a command whose reply a process waits for.
func (x *search) call(w *world, i, at int) {
	c := &w.proc[i].calls[at]
	e := event{executes, uint8(i), uint8(at), uint8(c.kind)}
	switch {
	case c.stage == half:
		e.what = completes
		n := &next{world: *w}
		x.complete(n, &n.p(i).calls[at])
		x.add(n, e)
	case c.stage == done:
		e.what = receives
		n := &next{world: *w}
		x.receive(n, i, at)
		x.add(n, e)
	case w.redis.can(c.command):
		n := &next{world: *w}
		x.execute(n, &n.p(i).calls[at])
		x.add(n, e)
	}
	if c.isBell() && c.stage == sent && c.asked {
		e.what = unblocks
		n := &next{world: *w}
		if n.p(i).calls[at].stage = half; c.kind != bell {
			n.p(i).calls[at].stage = done
		}
		x.add(n, e)
	}
	if c.kind == settle && c.stage == sent && w.past.Refused > 0 {
		e.what = refuses
		n := &next{world: *w}
		n.past.Refused--
		n.p(i).calls[at].stage = done
		n.p(i).calls[at].results = slices.Repeat([]queue.Result{queue.Refused}, len(c.batch))
		x.add(n, e)
	}
	n := &next{world: *w}
	budget := &n.past.Lost
	if c.kind == mark || c.kind == unmark || c.kind == beside {
		budget = &n.past.Marks
	}
	if *budget > 0 {
		e.what = loses
		*budget--
		x.lose(n, i, at)
		x.add(n, e)
	}
}

func (p *proc) drop(at int) { p.calls = slices.Delete(p.calls, at, at+1) }

// execute lets Redis carry a command out.
func (x *search) execute(n *next, c *call) {
	c.stage = done
	r := n.r()
	switch c.kind {
	case trip, sweep:
		x.fetch(n, c)
	case answer:
		x.answer(n, c)
	case settle:
		x.carryOut(n, c)
	case audit:
		x.readHeld(r, c)
	case bell:
		c.rang = true
		if x.NoLanding {
			j, _ := r.popRight(c.queue)
			c.kept = []Job{j}
		} else {
			r.Ring(c.id, c.queue)
			c.stage = half // Redis makes the trip that it carries next
		}
	case mark, unmark:
		token := c.token
		if c.kind == unmark {
			token = 0
		}
		if x.LateMarks {
			r.owners[c.id].Told = 0
		}
		if c.runsOn { // the process calls beside before it removes the mark
			r.Beside(c.id, c.token)
		}
		if c.rang = r.Alone(c.id, token, c.number); c.rang && c.kind == mark {
			n.runs(c.id, c.token)
		}
	case beside:
		if c.rang = r.Beside(c.id, c.token); c.rang { // the suspect may run from now on
			n.runs(c.id, c.token)
		}
	case arrive, ready, page, sift:
		r.serveLanes(c)
	case claim:
		list := c.job.startClaims()
		if x.GiveFirst {
			slices.Reverse(list)
		}
		c.rang, c.mine = r.Claim(c.id, c.queue, c.token, list)
		n.past.begun[c.job.ID] = n.past.begun[c.job.ID] || c.rang
	}
}

// readHeld notes what Redis holds of an identity, in the queues that its ledger serves.
func (x *search) readHeld(r *server, c *call) {
	for q := range queues {
		if !x.serves(c.ledger, q) {
			continue
		}
		for _, h := range r.flight[r.at(c.id, q)] {
			c.tokens[q] = append(c.tokens[q], h.Token)
		}
		if len(r.landing[r.at(c.id, q)]) > 0 {
			c.landed = append(c.landed, q)
		}
	}
}

// runs notes that a suspect runs under an identity.
func (n *next) runs(id int, token uint64) {
	for q := range queues {
		for _, h := range n.redis.flight[id*queues+q] {
			if h.Token == token {
				n.past.ran[h.Job.ID] |= 1 << id
			}
		}
	}
}

func (x *search) serves(ledger, q int) bool {
	return !x.AuditPerLedger || slices.Contains(x.Capsules[ledger].Queues, q)
}

// fetch carries a trip out, without the safeguards that the design lacks.
func (x *search) fetch(n *next, c *call) {
	r := n.redis
	leased := r.owners[c.id].Lease > 0
	for i, tokens := range c.fetch.Done {
		for k, token := range tokens {
			x.removes(n, Settlement{ID: c.id, Queue: c.fetch.Queues[i], Token: token,
				Action: queue.Done, Expect: c.expect[i][k]})
		}
	}
	was := r.owners[c.id]
	defer func() {
		for _, t := range c.fetched.Jobs {
			if !leased {
				n.past.after[t.Job.ID] |= 1 << c.id
			}
		}
	}()
	if x.NoLeaseCheck && !leased {
		r.owners[c.id].Lease = 1
	}
	if x.AdoptUnleased && !leased {
		x.deliverLanded(n, c)
		return
	}
	c.fetched = r.Fetch(c.fetch)
	r.owners[c.id] = was
	x.overtakes(n, c)
	if len(c.fetched.Jobs) > 0 && !leased && !x.NoLeaseCheck {
		n.is(unheld, "a fetch brings jobs to identity %d, which is fenced", c.id)
	}
	if x.PopThenKeep && len(c.fetched.Jobs) > 0 {
		c.stage = half
		for _, t := range c.fetched.Jobs {
			r.remove(c.id, t.Queue, t.Token)
			c.kept = append(c.kept, t.Job)
		}
	}
}

// answer carries out the trip of a bell, without the safeguards that the design lacks.
func (x *search) answer(n *next, c *call) {
	r := n.r()
	was, leased := r.owners[c.id], r.owners[c.id].Lease > 0
	if x.NoLeaseCheck || x.AdoptUnleased {
		r.owners[c.id].Lease = 1
	}
	j, ok := r.Answer(c.fetch)
	r.owners[c.id] = was
	if !ok {
		return
	}
	t := Taken{Held{c.fetch.First, j}, c.queue}
	c.fetched.Jobs = []Taken{t}
	x.overtakes(n, c)
	if !leased {
		n.past.after[j.ID] |= 1 << c.id
	}
	if x.PopThenKeep {
		r.remove(c.id, t.Queue, t.Token)
		c.kept, c.stage = append(c.kept, j), half
	}
}

// deliverLanded moves landed jobs in flight without a lease.
func (x *search) deliverLanded(n *next, c *call) {
	r := n.redis
	c.fetched = r.Fetch(c.fetch) // settles
	token := c.fetch.First
	for _, at := range c.fetch.Adopt {
		q := c.fetch.Queues[at]
		list := r.landing[r.at(c.id, q)]
		for len(list) > 0 && token < c.fetch.First+uint64(c.fetch.Want) {
			h := Held{token, list[len(list)-1]}
			r.put(c.id, q, h)
			c.fetched.Jobs = append(c.fetched.Jobs, Taken{h, q})
			list, token = list[:len(list)-1], token+1
		}
		r.landing[r.at(c.id, q)] = list
	}
	c.fetched.Lost = len(c.fetched.Jobs) == 0
}

// removes judges a removal from an in-flight hash before it is done.
func (x *search) removes(n *next, s Settlement) {
	r := n.redis
	for _, h := range r.flight[r.at(s.ID, s.Queue)] {
		if h.Token != s.Token {
			continue
		}
		if s.Expect >= 0 && s.Expect != h.Job.ID {
			n.is(foreign, "token %d of identity %d is job %d, and its sender meant job %d", s.Token,
				s.ID, h.Job.ID, s.Expect)
		}
		if s.Action == queue.Done {
			if n.past.ended[h.Job.ID] {
				n.is(twice, "job %d is done again", h.Job.ID)
			}
			n.past.ended[h.Job.ID] = true
		}
		return
	}
	if x.NoToken && s.Expect >= 0 {
		x.removeAnywhere(n, s)
	}
}

// removeAnywhere settles a job by its id, whichever process holds it.
func (x *search) removeAnywhere(n *next, s Settlement) {
	for at, hash := range n.redis.flight {
		for _, h := range hash {
			if h.Job.ID == s.Expect {
				n.redis.remove(at/queues, at%queues, h.Token)
				n.is(foreign, "job %d was settled, and identity %d holds it", h.Job.ID,
					at/queues)
			}
		}
	}
}

// carryOut carries a settle out.
func (x *search) carryOut(n *next, c *call) {
	r := n.r()
	for _, s := range c.batch {
		x.removes(n, s)
		if x.ReleaseInTwo && len(s.Effects) > 0 {
			c.stage, c.given, s.Effects = half, append(c.given, s.Effects...), nil
		}
		if x.RetryInTwo && s.Action == queue.Retry {
			c.stage = half
			if _, ok := r.remove(s.ID, s.Queue, s.Token); ok {
				c.kept = append(c.kept, s.Payload)
			}
			c.results = append(c.results, queue.Settled)
			continue
		}
		c.results = append(c.results, r.Settle([]Settlement{s})...)
	}
}

// complete carries out the second of two commands.
func (x *search) complete(n *next, c *call) {
	r := n.r()
	if c.kind == bell && len(c.fetched.Jobs) == 0 {
		c.stage = done
		x.answer(n, c)
		return
	}
	if c.kind == trip || c.kind == bell {
		for _, t := range c.fetched.Jobs {
			r.put(c.id, t.Queue, t.Held)
		}
	} else {
		r.retry = append(append([]Job(nil), r.retry...), c.kept...)
		r.affect(c.given)
	}
	c.kept, c.given, c.stage = nil, nil, done
}

// receive hands a reply to its process.
func (x *search) receive(n *next, i, at int) {
	p := n.p(i)
	c := p.calls[at]
	p.drop(at)
	l := p.ledgers[c.ledger]
	switch c.kind {
	case trip:
		x.arrive(p, &c, nil)
	case settle:
		_, ci := p.ledger(c.capsule)
		l.Confirmed(ci, c.results)
	case audit:
		var held []*queue.Delivery
		for q, list := range c.tokens {
			for _, token := range list {
				held = append(held, &queue.Delivery{Queue: queueNames[q], Owner: owners[c.id],
					Token: token, Sourced: x.Lanes})
			}
		}
		p.found += l.Audited(owners[c.id], held,
			func(name string) int { return l.Serving(queueOf(name)) }, c.landed)
	case bell:
		for _, j := range c.kept { // of a BRPOP
			n.r().pushRight(c.queue, j)
		}
		r := protocol.Rung{Landed: c.rang}
		for _, d := range x.bring(&c).Jobs {
			r.Job = &d
		}
		l.Down(l.Carried(c.queue), r)
	case arrive, ready:
		x.rangLane(p, &c, protocol.Rung{Landed: c.rang})
	case page, sift:
		x.sifted(p, &c)
	case sweep:
		p.stop = swept
	case mark, unmark, beside:
		x.told(n, i, &c, c.rang || c.kind == unmark)
	case claim:
		x.claimed(n, i, &c, true)
	}
}

// lose loses the reply to a command, and its process gives the command up.
func (x *search) lose(n *next, i, at int) {
	p := n.p(i)
	c := p.calls[at]
	p.drop(at)
	x.giveUp(n, &c)
	switch l := p.ledgers[c.ledger]; c.kind {
	case trip:
		x.arrive(p, &c, errReply)
	case settle:
		_, ci := p.ledger(c.capsule)
		l.Failed(ci, false)
	case bell:
		l.Down(l.Carried(c.queue), protocol.Rung{Lost: true})
	case arrive, ready:
		x.rangLane(p, &c, protocol.Rung{Lost: true})
	case sweep:
		p.stop = swept
	case mark, unmark, beside:
		x.told(n, i, &c, false)
	case claim:
		x.claimed(n, i, &c, false)
	}
}
