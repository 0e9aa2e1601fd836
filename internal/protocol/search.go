package protocol

import (
	"encoding/binary"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// The methods of this file are for test/faults/model, which searches the states of a Process:
// it copies one, compares two, and reads their state.

// Clone copies p. Changes of the copy do not change p. token is the copy's source of tokens.
func (p *Process) Clone(token func(n int) uint64) *Process {
	q, open := *p, *p.gate
	q.token, q.gate, q.peers = token, &open, nil
	q.landed, q.paused = append([]bool(nil), p.landed...), append([]bool(nil), p.paused...)
	q.shunned = append([]bool(nil), p.shunned...)
	q.rung = slices.Clone(p.rung)
	q.sourced, q.unseen = slices.Clone(p.sourced), slices.Clone(p.unseen)
	q.bells = append([]*Trip(nil), p.bells...) // the trip of a doorbell never changes
	q.capsules = append([]capsule(nil), p.capsules...)
	entry := func(e *Entry) *Entry {
		n := *e
		if e == p.gate.inside {
			q.gate.inside = &n
		}
		return &n
	}
	entries := func(list []*Entry) []*Entry {
		if len(list) == 0 {
			return nil
		}
		c := make([]*Entry, len(list))
		for i, e := range list {
			c[i] = entry(e)
		}
		return c
	}
	for i := range q.capsules {
		c := &q.capsules[i]
		c.ready, c.running, c.acks = entries(c.ready), entries(c.running), entries(c.acks)
		c.rest, c.sending, c.refused = entries(c.rest), entries(c.sending), entries(c.refused)
		c.floors = slices.Clone(c.floors)
		trips := c.trips
		c.trips = nil
		for _, t := range trips {
			n := *t
			n.Acks = entries(t.Acks)
			c.trips = append(c.trips, &n)
		}
	}
	return &q
}

// CloneJoined copies Processes that are joined. tokens are the sources of tokens of the copies.
func CloneJoined(list []*Process, tokens func(i int) func(n int) uint64) []*Process {
	copies, open := make([]*Process, len(list)), list[0].gate
	for i, p := range list {
		copies[i] = p.Clone(tokens(i))
	}
	shared := copies[0].gate
	for _, p := range copies {
		if p.gate.inside != open.inside { // the suspect is a delivery of this one
			shared = p.gate
		}
	}
	Join(copies)
	for _, p := range copies {
		p.gate = shared
	}
	return copies
}

// Clone copies l.
func (l *Looks) Clone() *Looks {
	c := *l
	c.shards = slices.Clone(l.shards)
	for i := range c.shards {
		c.shards[i].lengths = slices.Clone(c.shards[i].lengths)
	}
	return &c
}

// AppendKey appends the whole state of l at a time to b. Only the ages of its times matter.
func (l *Looks) AppendKey(b []byte, now time.Time) []byte {
	age := func(t time.Time) int64 { return min(now.Sub(t), time.Second).Microseconds() }
	b = append(b, byte(l.turn))
	for i := range l.shards {
		s := &l.shards[i]
		b = binary.AppendVarint(appendBools(b, s.out, s.at.IsZero()), age(s.at))
		b = binary.AppendVarint(binary.AppendVarint(b, age(s.since)), s.took.Microseconds())
		b = append(b, byte(s.awaited))
		if s.awaited > 0 {
			b = binary.AppendVarint(b, age(s.silent))
		}
		for _, n := range s.lengths {
			b = append(b, byte(n))
		}
	}
	return b
}

// AppendKey appends the whole state of p to b. Two Processes with the same capsules and equal
// keys decide alike after the same events.
func (p *Process) AppendKey(b []byte) []byte {
	b = appendOwner(b, p.Owner)
	b = appendBools(b, p.landed...)
	b = appendBools(b, p.paused...)
	b = appendBools(b, p.shunned...)
	b = appendBools(appendBools(appendBools(b, p.sourced...), p.unseen...), p.rung...)
	b = appendBools(b, p.quiet, p.audit, len(p.peers) > 0)
	for _, t := range p.bells {
		if t == nil {
			b = append(b, '-')
		} else {
			b = append(appendOwner(b, t.Owner), byte(t.Capsule), byte(t.First))
		}
	}
	b = append(b, byte(p.gate.waiting))
	if e := p.gate.inside; e != nil {
		b = append(appendOwner(b, e.Owner), byte(e.Token))
	} else {
		b = append(b, '-')
	}
	for i := range p.capsules {
		b = p.capsules[i].appendKey(b)
	}
	return b
}

func (c *capsule) appendKey(b []byte) []byte {
	b = binary.AppendVarint(b, int64(c.Seats))
	b = binary.AppendVarint(b, int64(c.page.Count))
	b = appendBools(b, c.short, c.asleep, c.full, c.out)
	for i := range c.floors {
		b = binary.AppendVarint(b, int64(c.floors[i].credit))
		b = appendBools(b, c.floors[i].late)
	}
	for _, list := range [][]*Entry{c.ready, c.running, c.acks, c.rest, c.sending, c.refused} {
		b = appendEntries(b, list)
	}
	b = append(b, byte(len(c.trips)))
	for _, t := range c.trips {
		b = append(appendOwner(b, t.Owner), byte(t.Want), byte(t.First), byte(len(t.Adopt)))
		b = append(appendBools(b, t.Partial), byte(t.Queues))
		for _, q := range t.Adopt {
			b = append(b, byte(q))
		}
		for _, turn := range t.Turns {
			b = append(b, byte(turn.Queue), byte(turn.Most))
		}
		for _, n := range t.granted {
			b = append(b, byte(n))
		}
		b = appendEntries(append(b, byte(len(t.Sources))), t.Acks)
	}
	return b
}

func appendEntries(b []byte, list []*Entry) []byte {
	b = append(b, byte(len(list)))
	for _, e := range list {
		b = binary.AppendUvarint(appendOwner(b, e.Owner), e.Token)
		b = append(append(b, e.Raw...), e.Queue...)
		b = append(b, '.', byte(e.State))
		b = appendBools(b, e.doubt, e.Sourced, e.Settlement != nil && !e.Settlement.At.IsZero())
		if s := e.Settlement; s != nil {
			b = append(append(b, s.Action...), s.Payload...)
			for _, x := range s.Effects {
				b = append(append(b, x.Kind...), strings.Join(x.Args, " ")...)
			}
		}
	}
	return b
}

func appendOwner(b []byte, o *queue.Owner) []byte {
	if o == nil {
		return append(b, '-')
	}
	return append(b, o.Identity...)
}

func appendBools(b []byte, list ...bool) []byte {
	n := byte(0)
	for i, v := range list {
		if v {
			n |= 1 << i
		}
	}
	return append(b, n)
}

// Trips lists the trips of a capsule that are under way, in the order in which they began.
func (p *Process) Trips(ci int) []*Trip { return p.capsules[ci].trips }

// Carried returns the trip that the doorbell of a queue carries, or nil.
func (p *Process) Carried(q int) *Trip { return p.bells[q] }

// Sending counts the deliveries of a capsule that are in a settle script now.
func (p *Process) Sending(ci int) int { return len(p.capsules[ci].sending) }

// Taken counts the deliveries of a capsule that do not go back to their queues.
func (p *Process) Taken(ci int) (n int) {
	p.each(func(e *Entry) {
		if e.Capsule == ci && (e.Settlement == nil || e.Settlement.Action != queue.Requeue) {
			n++
		}
	})
	return n
}

// RunningOf counts the running deliveries of a queue in a capsule.
func (p *Process) RunningOf(ci int, name string) (n int) {
	for _, e := range p.capsules[ci].running {
		if e.Queue == name {
			n++
		}
	}
	return n
}

// Inside returns the suspect that runs alone, or nil.
func (p *Process) Inside() *Entry { return p.gate.inside }

// Each calls fn with every delivery of the ledger.
func (p *Process) Each(fn func(e *Entry)) { p.each(fn) }

// MayBring reports whether a trip under way may bring a token.
func (p *Process) MayBring(o *queue.Owner, token uint64) bool { return p.asked(o, token) }

// MayHaveLanded reports whether the landing list of a queue may hold jobs.
func (p *Process) MayHaveLanded(q int) bool { return p.landed[q] }
