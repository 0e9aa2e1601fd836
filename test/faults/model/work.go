package model

import (
	"slices"

	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/queue"
)

// work adds what the loops of a process may do: trips, settlements, starts of jobs.
func (x *search) work(w *world, i int) {
	p := w.proc[i]
	for c := range x.Capsules {
		e := event{proc: uint8(i), a: uint8(c)}
		l, ci := p.ledger(c)
		if p.next < x.Tokens && p.stop < ended && l.Due(ci, x.Limit) {
			n := &next{world: *w}
			if x.fetches(n, i, c) {
				e.what = begins
				x.add(n, e)
			}
		}
		if l.Sending(ci) == 0 && l.Unsettled(ci) > l.Refused(ci) {
			n := &next{world: *w}
			x.settle(n, i, c)
			e.what = settles
			x.add(n, e)
		}
		if l.Waiting(ci) {
			n := &next{world: *w}
			x.begin(n, i, c)
			e.what = starts
			x.add(n, e)
		}
		if l.Refused(ci) > 0 {
			n := &next{world: *w}
			l, ci := n.p(i).ledger(c)
			l.Retry(ci)
			e.what = retries
			x.add(n, e)
		}
	}
}

// fetches sends a trip, if the ledger wants one.
func (x *search) fetches(n *next, i, c int) bool {
	p := n.p(i)
	l, ci := p.ledger(c)
	if x.TokenAgain {
		p.next = p.lastKnown(len(x.Capsules))
	}
	t, ok := l.Begin(ci, p.held, x.Limit)
	if !ok {
		return false
	}
	f, expect := x.request(t, c)
	m := &command{kind: trip, id: f.ID, ledger: x.ledgerOf(p, c), capsule: c, fetch: f,
		expect: expect}
	p.calls = append(p.calls, call{command: m.seal()})
	return true
}

// request returns the fetch of a trip, and the jobs that its acks mean.
func (x *search) request(t *protocol.Trip, c int) (f Fetch, expect [][]int8) {
	serves := x.Capsules[c].Queues
	f = Fetch{ID: idOf(t.Owner), Queues: serves, Want: t.Want, First: t.First,
		Done: make([][]uint64, len(serves)), Room: 1 << 20, Limit: 1 << 20}
	expect = make([][]int8, len(serves))
	for _, a := range t.Acks {
		at, j := slices.Index(serves, queueOf(a.Queue)), int8(-1)
		if known, ok := jobOf(a.Raw); ok {
			j = known.ID
		}
		f.Done[at], expect[at] = append(f.Done[at], a.Token), append(expect[at], j)
	}
	for _, q := range t.Adopt {
		f.Adopt = append(f.Adopt, slices.Index(serves, q))
	}
	for _, turn := range t.Turns {
		f.Turns = append(f.Turns, queue.Turn{Queue: slices.Index(serves, turn.Queue),
			Most: turn.Most})
	}
	f.Sources = sourcesOf(t, serves)
	return f, expect
}

func (x *search) ledgerOf(p *proc, c int) int {
	if len(p.ledgers) > 1 {
		return c
	}
	return 0
}

// lastKnown returns the highest token that a process knows of.
func (p *proc) lastKnown(capsules int) (last uint64) {
	for _, l := range p.ledgers {
		l.Each(func(e *protocol.Entry) { last = max(last, e.Token) })
		for ci := range capsules / len(p.ledgers) {
			for _, t := range l.Trips(ci) {
				last = max(last, t.First+uint64(t.Want)-1)
			}
		}
		for q := range queues {
			if t := l.Carried(q); t != nil {
				last = max(last, t.First)
			}
		}
	}
	return last
}

// settle sends the next batch of a capsule.
func (x *search) settle(n *next, i, c int) {
	p := n.p(i)
	l, ci := p.ledger(c)
	batch := l.Batch(ci)
	m := &command{kind: settle, id: i*lives + p.life, ledger: x.ledgerOf(p, c), capsule: c}
	for _, s := range batch {
		d := s.Delivery
		y := Settlement{ID: idOf(d.Owner), Queue: queueOf(d.Queue), Token: d.Token,
			Action: s.Action, Effects: changesOf(s.Effects), Expect: -1, Sourced: d.Sourced}
		if s.Action == queue.Requeue && !s.At.IsZero() {
			y.Till = 1
		}
		if x.TokenPerOwner {
			y.ID = m.id
		}
		if j, ok := jobOf(d.Raw); ok {
			y.Expect = j.ID
		}
		y.Payload, _ = jobOf(s.Payload)
		m.batch = append(m.batch, y)
	}
	if len(m.batch) > 0 {
		p.calls = append(p.calls, call{command: m.seal()})
	}
}

// begin starts a job in a thread.
func (x *search) begin(n *next, i, c int) {
	p := n.p(i)
	l, ci := p.ledger(c)
	e := l.Start(ci, p.held)
	if e == nil {
		return
	}
	j, _ := jobOf(e.Raw)
	r := run{id: idOf(e.Owner), ledger: x.ledgerOf(p, c), token: e.Token, job: j}
	at := n.redis.at(r.id, queueOf(e.Queue))
	has := slices.ContainsFunc(n.redis.flight[at], func(h Held) bool {
		return h.Token == e.Token &&
			h.Job.ID == j.ID
	})
	switch lease := n.redis.owners[r.id].Lease; {
	case !p.held:
		n.is(unheld, "job %d starts without a lease", j.ID)
	case lease <= 0:
		n.is(unheld, "job %d starts under identity %d, which is fenced", j.ID, r.id)
	case !has:
		n.is(unheld, "job %d starts, and is not in flight under token %d", j.ID, e.Token)
	case l.Inside() != nil:
		n.is(blamed, "job %d starts beside a suspect", j.ID)
	}
	switch {
	case x.Times > 1 && int(j.Crashes) >= x.Times-1:
		r.phase = waits
		l.Wait()
	case len(j.startClaims()) > 0:
		r.phase = asks
	}
	n.starts(j)
	p.runs = append(p.runs, r)
}

// listen adds what a process may do about doorbells and audits.
func (x *search) listen(w *world, i int) {
	p := w.proc[i]
	for k := range p.ledgers {
		e := event{proc: uint8(i), a: uint8(k)}
		x.sift(w, i, k)
		if !x.NoBells || p.stop >= ended {
			n := &next{world: *w}
			if x.turnBells(n, i, k) {
				e.what = turnsBells
				x.add(n, e)
			}
		} else if n := (&next{world: *w}); x.poll(n, i, k) {
			e.what = turnsBells
			x.add(n, e)
		}
		if x.NoAudit || p.stop >= ended || p.has(audit, k) || !x.doubts(w, i, k) {
			continue
		}
		n := &next{world: *w}
		n.p(i).ledgers[k].AuditBegins()
		m := &command{kind: audit, id: i*lives + p.life, ledger: k}
		n.p(i).calls = append(n.p(i).calls, call{command: m.seal()})
		e.what = audits
		x.add(n, e)
	}
}

func (p *proc) has(kind sort, ledger int) bool {
	return slices.ContainsFunc(p.calls, func(c call) bool {
		return c.kind == kind && c.ledger == ledger
	})
}

// doubts reports whether an audit may find something. Real processes also make audits at intervals,
// so the search tries one whenever it would find something.
func (x *search) doubts(w *world, i, k int) bool {
	p := w.proc[i]
	if p.ledgers[k].Audit() {
		return true
	}
	id := i*lives + p.life
	for q := range queues {
		at := id*queues + q
		if len(w.redis.landing[at]) > 0 && !p.ledgers[k].MayHaveLanded(q) {
			return true
		}
		for _, h := range w.redis.flight[at] {
			if !p.knows(id, h.Token) || x.AuditPerLedger {
				return true
			}
		}
	}
	return false
}

// turnBells hangs bells, and asks Redis to end the wait of others.
func (x *search) turnBells(n *next, i, k int) (any bool) {
	p := n.p(i)
	l := p.ledgers[k]
	last := p.next
	hang, unhang := l.Bells(p.held)
	if len(hang) > 0 && last >= x.Tokens {
		return false
	}
	for _, t := range hang {
		c := t.Capsule
		if x.AuditPerLedger {
			c = k
		}
		m := &command{kind: x.kindOf(p, t), id: idOf(t.Owner), ledger: k, capsule: c,
			queue: t.Adopt[0]}
		m.fetch, m.expect = x.request(t, c)
		for _, q := range l.SourcesOf(t.Capsule) {
			m.fetch.Sources = []int{slices.Index(x.Capsules[c].Queues, q)}
		}
		p.calls = append(p.calls, call{command: m.seal()})
	}
	for c := range p.calls {
		b := &p.calls[c]
		if b.isBell() && b.ledger == k && b.stage == sent && !b.asked && slices.Contains(unhang,
			b.bellIndex()) {
			b.asked, any = true, true
		}
	}
	return any || len(hang) > 0
}

// poll wakes sleeping capsules. Processes poll when doorbells cannot be hung.
func (x *search) poll(n *next, i, k int) (any bool) {
	for c := range x.Capsules {
		l, ci := n.p(i).ledger(c)
		if x.ledgerOf(n.proc[i], c) == k && l.Asleep(ci) {
			l.Wake(ci)
			any = true
		}
	}
	return any
}

// entry returns the ledger of a run, and its delivery there.
func (p *proc) entry(r *run) (l *protocol.Process, found *protocol.Entry) {
	l = p.ledgers[r.ledger]
	for _, e := range l.Running() {
		if e.Token == r.token && idOf(e.Owner) == r.id {
			found = e
		}
	}
	return l, found
}

// events are the events of the actions with which a run ends.
var events = map[queue.Action]queue.EffectEvent{queue.Done: queue.EventDone,
	queue.Retry: queue.EventRetry, queue.Dead: queue.EventDead, queue.Requeue: queue.EventRequeue,
	queue.Schedule: queue.EventSnooze, queue.Forward: queue.EventForward,
	queue.Hold: queue.EventHold}

// settlementOf returns the settlement of a job after a run. It is nil if a fetch may carry it.
func (x *search) settlementOf(n *next, e *protocol.Entry, a queue.Action,
	j Job) *queue.Settlement {
	s := &queue.Settlement{Delivery: &e.Delivery, Action: a,
		Effects: effectsOf(n.redis.effectsOf(j, events[a]))}
	if a == queue.Done && (len(s.Effects) == 0 || x.AckEffects) {
		return nil
	}
	if a != queue.Done && a != queue.Requeue {
		s.Payload = raw(j)
	}
	return s
}
