package model

import (
	"slices"

	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/queue"
)

// step adds every state that can come after w.
func (x *shardSearch) step(w *shardWorld) {
	x.clockTicks(w)
	x.pushes(w)
	if w.stop < ended {
		x.acts(w)
	}
	for i, s := range w.sites {
		x.redis(w, i)
		for at := range s.calls {
			x.callOf(w, i, at)
		}
		if !s.left {
			x.loops(w, i)
			x.leases(w, i)
		}
	}
	for at := range w.runs {
		x.runOf(w, at)
	}
	x.stops(w)
}

func (x *shardSearch) clockTicks(w *shardWorld) {
	for k, n := range w.budget.Ticks {
		if n > 0 {
			c := x.clone(w)
			c.budget.Ticks[k]--
			c.now += spans[k]
			x.add(c, "time passes:", spans[k])
		}
	}
}

func (x *shardSearch) pushes(w *shardWorld) {
	for j, job := range x.Jobs {
		if w.pushed[j] {
			continue
		}
		c := x.clone(w)
		c.pushed[j] = true
		crashed := int8(0)
		if job.Suspect {
			crashed = 1
		}
		c.sites[job.Shard].Push(job.Queue, Job{ID: int8(j), Crashes: crashed})
		x.add(c, "push job", j, "to shard, queue", job.Shard, job.Queue)
		return // in this order
	}
}

// acts adds one turn of the fetcher's loop.
func (x *shardSearch) acts(w *shardWorld) {
	c := x.clone(w)
	if x.act(c) {
		x.add(c, "the fetcher acts")
	}
}

// act carries out what the Looks decide, and reports whether that was anything.
func (x *shardSearch) act(w *shardWorld) bool {
	step := x.decide(w)
	did := len(step.Left)+len(step.Rest) > 0 || step.Wait > 0
	for _, i := range step.Look {
		if x.NoProbe && w.looks.Out(i) {
			continue
		}
		did = true
		m := &command{kind: look, id: w.sites[i].life}
		x.send(w, i, shardCall{call: call{command: m.seal()}})
	}
	if step.Shard < 0 || x.NoPutBack && step.Queues == 0 {
		return did
	}
	return x.begin(w, step.Shard, step.Queues) || did
}

func (x *shardSearch) decide(w *shardWorld) protocol.Step {
	if w.looks.Tau = tau; x.StaleFigures {
		w.looks.Tau = 1000 * tau
	}
	sites := make([]protocol.Site, shardCount)
	for i, s := range w.sites {
		sites[i] = protocol.Site{Process: s.process, Open: s.next+uint64(x.Limit) <= x.Tokens,
			Held: s.held, Limit: x.Limit}
	}
	step := w.looks.Step(w.clock(), 0, sites)
	if x.KeepSeats {
		for _, s := range w.sites {
			s.process.Out(0, false)
		}
	}
	if x.NoRefresh && step.Shard >= 0 {
		step.Look = nil
	}
	return step
}

// send sends a look or a trip.
func (x *shardSearch) send(w *shardWorld, i int, c shardCall) {
	at := w.clock()
	if x.NeverLate {
		at = at.Add(1000 * protocol.Silent)
	}
	c.sent = w.now
	w.looks.Asked(i, at)
	w.sites[i].calls = append(w.sites[i].calls, c)
}

// begin sends a trip, if the ledger wants one.
func (x *shardSearch) begin(w *shardWorld, i, queues int) bool {
	s := w.sites[i]
	t, ok := s.process.BeginTo(0, s.held, x.Limit, queues)
	if !ok {
		return false
	}
	f, expect := x.request(t)
	m := &command{kind: trip, id: f.ID, fetch: f, expect: expect}
	x.send(w, i, shardCall{call: call{command: m.seal()}})
	if t.Want > 0 {
		x.keepsPromise(w, i, queues, len(t.Adopt) > 0)
	}
	if w.stop > working && t.Want > 0 {
		w.is(unheld, "a trip takes jobs from shard %d after the end of the intake", i)
	}
	return true
}

func (x *shardSearch) request(t *protocol.Trip) (f Fetch, expect [][]int8) {
	f = Fetch{ID: idOf(t.Owner), Queues: []int{0, 1, 2}, Want: t.Want, First: t.First,
		Done: make([][]uint64, shardQueues), Adopt: t.Adopt, Room: 1 << 20, Limit: 1 << 20}
	expect = make([][]int8, shardQueues)
	for _, a := range t.Acks {
		q, id := queueOf(a.Queue), int8(-1)
		if j, ok := jobOf(a.Raw); ok {
			id = j.ID
		}
		f.Done[q], expect[q] = append(f.Done[q], a.Token), append(expect[q], id)
	}
	for _, turn := range t.Turns {
		f.Turns = append(f.Turns, queue.Turn{Queue: turn.Queue, Most: turn.Most})
	}
	return f, expect
}

// loops adds what the other loops of a shard do: starts, results, doorbells, audits.
func (x *shardSearch) loops(w *shardWorld, i int) {
	s := w.sites[i]
	p := s.process
	if p.Waiting(0) && len(w.runs) < x.Seats {
		c := x.clone(w)
		x.start(c, i)
		x.add(c, "a job starts: shard", i)
	}
	if p.Sending(0) == 0 && p.Unsettled(0) > p.Refused(0) {
		c := x.clone(w)
		x.settles(c, i)
		x.add(c, "results are sent: shard", i)
	}
	c := x.clone(w)
	if x.bells(c, i) {
		x.add(c, "doorbells are turned: shard", i)
	}
	if !x.NoAudit && !s.awaits(audit) && (p.Audit() || s.unknown()) {
		c := x.clone(w)
		c.sites[i].process.AuditBegins()
		m := &command{kind: audit, id: s.life}
		c.sites[i].calls = append(c.sites[i].calls, shardCall{call: call{command: m.seal()}})
		x.add(c, "an audit is sent: shard", i)
	}
}

func (s *site) awaits(kind sort) bool {
	return slices.ContainsFunc(s.calls, func(c shardCall) bool { return c.kind == kind })
}

// unknown reports whether an audit would find something.
func (s *site) unknown() bool {
	known := map[uint64]bool{}
	s.process.Each(func(e *protocol.Entry) {
		known[e.Token] = known[e.Token] || idOf(e.Owner) == s.life
	})
	for q := range shardQueues {
		for _, h := range s.flight[s.at(s.life, q)] {
			if !known[h.Token] && !s.process.MayBring(owners[s.life], h.Token) {
				return true
			}
		}
		if len(s.landing[s.at(s.life, q)]) > 0 && !s.process.MayHaveLanded(q) &&
			s.process.Carried(q) == nil && !s.adopts(q) {
			return true
		}
	}
	return false
}

// adopts reports whether a trip under way may empty the landing list of a queue.
func (s *site) adopts(q int) bool {
	return slices.ContainsFunc(s.calls, func(c shardCall) bool {
		return c.kind == trip && slices.Contains(c.fetch.Adopt, q)
	})
}

func (x *shardSearch) start(w *shardWorld, i int) {
	s := w.sites[i]
	for k, other := range w.sites {
		if other.process.Inside() != nil {
			w.is(blamed, "a job of shard %d starts, and a suspect of shard %d is alone", i, k)
		}
	}
	e := s.process.Start(0, s.held)
	if e == nil {
		return
	}
	j, _ := jobOf(e.Raw)
	r := shardRun{run: run{id: idOf(e.Owner), token: e.Token, job: j}, site: i}
	has := slices.ContainsFunc(s.flight[s.at(r.id, queueOf(e.Queue))], func(h Held) bool {
		return h.Token == e.Token && h.Job.ID == j.ID
	})
	if !has || s.owners[r.id].Lease <= 0 {
		w.is(unheld, "job %d starts, and is not held in shard %d", j.ID, i)
	}
	if j.Crashes > 0 {
		r.phase = waits
		s.process.Wait()
	}
	w.runs = append(w.runs, r)
}

// settles sends the next batch of a shard.
func (x *shardSearch) settles(w *shardWorld, i int) {
	s := w.sites[i]
	m := &command{kind: settle, id: s.life}
	for _, b := range s.process.Batch(0) {
		d := b.Delivery
		y := Settlement{ID: idOf(d.Owner), Queue: queueOf(d.Queue), Token: d.Token,
			Action: b.Action, Expect: -1}
		if j, ok := jobOf(d.Raw); ok {
			y.Expect = j.ID
		}
		m.batch = append(m.batch, y)
	}
	if len(m.batch) > 0 {
		s.calls = append(s.calls, shardCall{call: call{command: m.seal()}})
	}
}

// bells hangs the doorbells of a shard and takes them down, and reports whether there were any.
func (x *shardSearch) bells(w *shardWorld, i int) (any bool) {
	s := w.sites[i]
	hang, unhang := s.process.Bells(s.held)
	for _, t := range hang {
		f, _ := x.request(t)
		m := &command{kind: bell, id: f.ID, queue: t.Adopt[0], fetch: f}
		s.calls = append(s.calls, shardCall{call: call{command: m.seal()},
			lands: t.Landing && !x.BellDelivers})
	}
	for at := range s.calls {
		c := &s.calls[at]
		if c.kind == bell && c.stage == sent && !c.asked && slices.Contains(unhang, c.queue) {
			c.asked, any = true, true
		}
	}
	return any || len(hang) > 0
}

// leases adds what can become of the lease in a shard.
func (x *shardSearch) leases(w *shardWorld, i int) {
	s := w.sites[i]
	gone := s.owners[s.life].Lease <= 0
	change := func(event string, fn func(c *shardWorld, s *site)) {
		c := x.clone(w)
		fn(c, c.sites[i])
		x.add(c, event, i)
	}
	if s.held && w.budget.Lapses > 0 {
		change("the lease lapses: shard", func(c *shardWorld, s *site) {
			c.budget.Lapses--
			s.held = false
		})
	}
	switch {
	case s.silent:
	case !s.held && !gone:
		change("the lease is extended: shard", func(_ *shardWorld, s *site) { s.held = true })
		change("another process fences: shard", func(_ *shardWorld, s *site) {
			s.Fence(s.life, s.owners[s.life].Lease, 1)
		})
	case gone && s.life+1 < shardLives && w.stop < ended:
		change("a new identity: shard", func(_ *shardWorld, s *site) {
			s.life++
			s.Register(s.life, 1)
			s.held = true
			s.process.Renewed(owners[s.life])
		})
	}
	told := func() []bool { return append([]bool(nil), s.Twin.paused...) }
	if !s.silent {
		c := x.clone(w)
		if c.sites[i].process.Paused(told()) {
			x.add(c, "a beat tells of paused queues: shard", i)
		}
	}
}

// redis adds what happens in a shard without the process.
func (x *shardSearch) redis(w *shardWorld, i int) {
	s := w.sites[i]
	change := func(event string, fn func(c *shardWorld, s *site)) {
		c := x.clone(w)
		fn(c, c.sites[i])
		x.add(c, event, i)
	}
	if s.silent {
		change("replies come again: shard", func(_ *shardWorld, s *site) { s.silent = false })
		return
	}
	if w.budget.Silent > 0 {
		change("no reply comes: shard", func(c *shardWorld, s *site) {
			c.budget.Silent--
			s.silent = true
		})
	}
	if w.budget.Pauses > 0 {
		change("the first queue is paused or goes on: shard", func(c *shardWorld, s *site) {
			c.budget.Pauses--
			s.Twin.paused[0] = !s.Twin.paused[0]
		})
	}
	for at, m := range s.late {
		change("a late command comes: shard", func(c *shardWorld, s *site) {
			s.late = slices.Delete(slices.Clone(s.late), at, at+1)
			x.execute(c, i, &shardCall{call: call{command: m}})
		})
	}
	for id := range shardLives {
		for q := range shardQueues {
			at := s.at(id, q)
			if s.owners[id].Lease < 0 && len(s.flight[at])+len(s.landing[at]) > 0 {
				change("an identity is reclaimed: shard", func(_ *shardWorld, s *site) {
					s.Reclaim(id, q, 0, 10)
				})
			}
		}
	}
}

// stops adds the steps of a stop.
func (x *shardSearch) stops(w *shardWorld) {
	c := x.clone(w)
	switch {
	case w.stop == working && w.budget.Stops > 0:
		c.budget.Stops--
		c.stop = quiet
		for i, s := range c.sites {
			if i == 0 || !x.QuietOne {
				s.process.Quiet()
			}
		}
		x.add(c, "quiet")
		return
	case w.stop == quiet:
		c.stop = ended
		x.add(c, "the intake ends")
		return
	case w.stop != ended:
		return
	}
	for i, s := range w.sites {
		c := x.clone(w)
		n := c.sites[i]
		switch {
		case s.left || s.silent:
		case !s.swept && !s.awaits(bell):
			all := []int{0, 1, 2}
			n.Fetch(Fetch{ID: s.life, Queues: all, Adopt: all})
			n.swept = true
			x.add(c, "landed jobs go back: shard", i)
		case s.swept && w.runsOf(i) == 0 && (x.LeaveEarly || s.process.Settled()):
			for q := range shardQueues {
				held := len(s.flight[s.at(s.life, q)]) > 0 && s.owners[s.life].Lease > 0
				if held && !s.unknown() {
					c.is(left, "the process leaves shard %d, which still holds its jobs", i)
				}
			}
			n.Leave(s.life, 1)
			n.left = true
			x.add(c, "leaves: shard", i)
		}
	}
}

func (w *shardWorld) runsOf(i int) (n int) {
	for _, r := range w.runs {
		if r.site == i {
			n++
		}
	}
	return n
}
