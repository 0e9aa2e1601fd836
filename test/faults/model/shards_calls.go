package model

import (
	"slices"

	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/queue"
)

// callOf adds what can become of a command whose reply the process awaits.
func (x *shardSearch) callOf(w *shardWorld, i, at int) {
	s := w.sites[i]
	k := &s.calls[at]
	event := func(name string, fn func(c *shardWorld, k *shardCall)) {
		c := x.clone(w)
		fn(c, &c.sites[i].calls[at])
		x.add(c, name, i, string(rune(k.kind)))
	}
	switch {
	case k.stage == done:
		event("a reply comes: shard", func(c *shardWorld, _ *shardCall) {
			x.receive(c, i, at, false)
		})
	case s.silent:
	case k.stage == half || s.can(k.command):
		event("Redis executes: shard", func(c *shardWorld, k *shardCall) { x.execute(c, i, k) })
	}
	if k.kind == bell && k.stage == sent && k.asked && !s.silent {
		event("a doorbell comes down: shard", func(_ *shardWorld, k *shardCall) { k.stage = done })
	}
	if w.budget.Lost > 0 {
		event("a reply is lost: shard", func(c *shardWorld, k *shardCall) {
			c.budget.Lost--
			if n := c.sites[i]; k.stage == sent && (k.kind == trip || k.kind == settle) {
				n.late = append(slices.Clone(n.late), k.command)
			}
			x.receive(c, i, at, true)
		})
	}
}

// execute lets a shard carry a command out.
func (x *shardSearch) execute(w *shardWorld, i int, k *shardCall) {
	s := w.sites[i]
	switch {
	case k.kind == look:
		x.measure(s, k)
	case k.kind == trip:
		for q, tokens := range k.fetch.Done {
			for n, token := range tokens {
				x.ends(w, i, Settlement{ID: k.id, Queue: q, Token: token, Action: queue.Done,
					Expect: k.expect[q][n]})
			}
		}
		k.fetched = s.Fetch(k.fetch)
		x.measure(s, k)
	case k.kind == settle:
		to := i
		if x.WrongShard {
			to = 1 - i
		}
		for _, b := range k.batch {
			x.ends(w, to, b)
		}
		k.results = w.sites[to].Settle(k.batch)
	case k.kind == audit:
		for q := range shardQueues {
			for _, h := range s.flight[s.at(k.id, q)] {
				k.held = append(k.held, Taken{h, q})
			}
			if len(s.landing[s.at(k.id, q)]) > 0 {
				k.landed = append(k.landed, q)
			}
		}
	case k.kind == bell && k.stage == sent:
		s.Ring(k.id, k.queue)
		if k.rang = true; !k.lands {
			k.stage = half // Redis makes the trip that it carries next
			return
		}
	case k.kind == bell:
		if j, ok := s.Answer(k.fetch); ok {
			k.fetched.Jobs = []Taken{{Held{k.fetch.First, j}, k.queue}}
			x.overtaken(w, i, k.queue)
		}
	}
	k.stage = done
}

// measure reads how long the queues are.
func (x *shardSearch) measure(s *site, k *shardCall) {
	k.lengths = make([]int, shardQueues)
	for q, list := range s.lists {
		k.lengths[q], k.holds[q] = len(list), len(list) > 0 && !s.Twin.paused[q]
	}
}

// ends judges a removal before it is done.
func (x *shardSearch) ends(w *shardWorld, i int, b Settlement) {
	s := w.sites[i]
	for _, h := range s.flight[s.at(b.ID, b.Queue)] {
		if h.Token != b.Token {
			continue
		}
		if b.Expect >= 0 && b.Expect != h.Job.ID {
			w.is(foreign, "token %d of shard %d is job %d, and its sender meant job %d", b.Token, i,
				h.Job.ID, b.Expect)
		}
		if b.Action == queue.Done {
			if w.done[h.Job.ID] {
				w.is(twice, "job %d is done again", h.Job.ID)
			}
			w.done[h.Job.ID] = true
		}
	}
}

// overtaken judges a job that a doorbell delivers.
func (x *shardSearch) overtaken(w *shardWorld, i, q int) {
	for k, s := range w.sites {
		for higher := range q {
			if k != i && !x.Random && len(s.lists[higher]) > 0 && !s.Twin.paused[higher] {
				w.is(overtaken, "a doorbell delivers a job of queue %d of shard %d, and shard %d "+
					"has one of queue %d", q, i, k, higher)
			}
		}
	}
}

// receive hands a reply, or the loss of it, to the process.
func (x *shardSearch) receive(w *shardWorld, i, at int, lost bool) {
	s := w.sites[i]
	k := s.calls[at]
	s.calls = slices.Delete(s.calls, at, at+1)
	p := s.process
	switch k.kind {
	case look:
		x.learn(w, i, &k, nil, lost)
	case trip:
		x.returned(w, i, &k, lost)
	case settle:
		if lost {
			p.Failed(0, false)
		} else {
			p.Confirmed(0, k.results)
		}
	case audit:
		if lost {
			p.AuditFailed()
			break
		}
		var held []*queue.Delivery
		for _, t := range k.held {
			held = append(held, &queue.Delivery{Queue: queueName(t.Queue), Owner: owners[k.id],
				Token: t.Token})
		}
		p.Audited(owners[k.id], held, func(string) int { return 0 }, k.landed)
	case bell:
		r := protocol.Rung{Landed: k.rang, Lost: lost}
		for _, t := range k.fetched.Jobs {
			if d := x.delivery(s, k.id, t); !lost {
				r.Job = &d
			}
		}
		p.Down(p.Carried(k.queue), r)
	}
}

// learn tells the Looks what a reply says.
func (x *shardSearch) learn(w *shardWorld, i int, k *shardCall, t *protocol.Trip, lost bool) {
	s := w.sites[i]
	lengths, asked := k.lengths, epoch.Add(k.sent)
	if lost {
		lengths = nil
	}
	w.looks.Answered(i, t, lengths, asked, w.clock())
	if lost {
		return
	}
	if !s.seen.known || k.sent >= s.seen.asked {
		s.seen = figures{true, k.sent, w.now - k.sent, k.holds}
	}
}

// returned hands the reply of a trip to the process.
func (x *shardSearch) returned(w *shardWorld, i int, k *shardCall, lost bool) {
	p := w.sites[i].process
	at := slices.IndexFunc(p.Trips(0), func(t *protocol.Trip) bool {
		return t.First == k.fetch.First && t.Want == k.fetch.Want && idOf(t.Owner) == k.id
	})
	t := p.Trips(0)[at]
	var err error
	switch {
	case lost:
		err = errReply
	case k.fetched.Lost:
		err = queue.ErrLeaseLost
		w.sites[i].held = w.sites[i].held && k.id != w.sites[i].life
	}
	t.Got = queue.Fetched{Acked: k.fetched.Acked, More: k.fetched.More}
	for _, y := range k.fetched.Jobs {
		t.Got.Jobs = append(t.Got.Jobs, x.delivery(w.sites[i], k.id, y))
	}
	if lost {
		t.Got = queue.Fetched{}
	}
	t.Err = err
	was := t.Queues
	if x.BeyondPartial {
		t.Queues = shardQueues
	}
	x.learn(w, i, k, t, lost)
	t.Queues = was
	p.Returned(t, t.Got, err)
}
