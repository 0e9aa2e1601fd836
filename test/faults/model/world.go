package model

import (
	"encoding/binary"
	"slices"

	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/queue"
)

// world is a state: Redis and the commands on the way to it, the processes, and the events so far.
// Worlds share their parts, so a part is never changed: it is replaced.
type world struct {
	redis *server
	proc  [procs]*proc
	past  past
}

// server is the twin, and the commands whose senders have given them up or died. Redis may still
// carry them out.
type server struct {
	Twin
	late []*command
	num  uint32
}

// command is what a process sends to Redis. It is never changed.
type command struct {
	kind            sort
	id              int // whose identity it names
	ledger, capsule int
	queue           int    // of a bell; the trip that it carries is in fetch
	token, number   uint64 // of a mark
	runsOn          bool   // of an unmark: the suspect goes on beside others
	fetch           Fetch
	job             Job      // of a claim
	expect          [][]int8 // the jobs that the sender acknowledges by the tokens of a fetch
	batch           []Settlement
	read            []Job // of a sift
	rev             int   // of the rule, of a sift
	key             string
}

type sort byte

// The kinds of commands.
const (
	trip   sort = 't'
	settle sort = 's'
	audit  sort = 'a'
	bell   sort = 'b'
	answer sort = 'e' // the trip of a bell, after its sender has given the bell up
	mark   sort = 'm' // a suspect is alone
	unmark sort = 'u'
	beside sort = 'n' // a suspect starts beside others
	claim  sort = 'c' // the claims of the start of a job
	arrive sort = 'A' // the doorbell of a queue with lanes, for jobs that arrive
	ready  sort = 'R' // its other doorbell, for jobs that may run
	page   sort = 'p' // a sift reads the list of the queue with lanes
	sift   sort = 'i' // and moves the jobs to their lanes
	sweep  sort = 'l' // at the end of a stop: put all landed jobs back
)

// stage is the progress of a command.
type stage byte

const (
	sent stage = iota
	half       // the first of two commands is carried out; a bell has two, and some designs
	done       // the reply is on its way
)

// call is a command whose reply a process waits for.
type call struct {
	*command
	stage   stage
	fetched Fetched
	results []queue.Result
	tokens  [queues][]uint64
	landed  []int
	kept    []Job // in no key, between two commands
	rang    bool
	asked   bool     // the process has told Redis to end the wait of the bell
	mine    bool     // the delivery of a claim was in flight
	given   []Change // effects that a second command carries out, in some designs
	list    []Job    // the answer of a page
	moved   int      // the answer of a sift
}

// proc is a process.
type proc struct {
	up, held bool // held: its lease surely holds, by its own clock
	life     int
	next     uint64 // the last token
	marks    uint64 // calls that mark a suspect
	ledgers  []*protocol.Process
	calls    []call
	runs     []run
	stop     byte
	found    int  // deliveries that audits found
	rev      int  // of the rule of lanes that it knows; -1: lanes are off
	opens    bool // its last fetch said when a lane opens
	kept     []Job
	num      uint32
	wrong    violation // in its memory
}

// The steps of a stop.
const (
	working byte = iota
	quiet        // it takes no more jobs
	ended        // it makes no more trips; bells come down
	swept        // landed jobs are back in their queues
)

// run is a job in a thread.
type run struct {
	id, ledger int
	token      uint64
	job        Job
	phase      phase
	running    bool // the handler of a suspect was called
	over       bool // it has returned
}

type phase byte

const (
	runs          phase = iota // it is no suspect, or runs beside others
	waits                      // a suspect waits for its turn
	entered                    // it has closed the gate, and others still run
	marking                    // Redis is told that it is alone
	tellingBeside              // Redis is told that it runs beside others
	alone
	opening // Redis is told that this ends
	asks    // it has not started, and must make its claims
	asking  // Redis is asked for them
)

// past holds the events so far that decide which events may follow and what is a violation.
type past struct {
	Budget        // the rest of it
	pushed, ended [jobs]bool
	taken         [jobs]bool  // a push of some designs has taken the lock
	begun         [jobs]bool  // its claims at a start were granted
	abandoned     [jobs]bool  // a handler ignored the end of its context
	well, excused [jobs]bool  // its handler ended well; it may end again, because of a crash
	counts        [jobs]uint8 // identities whose end was counted for the job, one bit each
	after         [jobs]uint8 // identities that got the job after their end
	ran           [jobs]uint8 // identities under which the job ran while it was a suspect
	order, first  [jobs]uint8 // of a job with a lane: when it was pushed; 1 if it has started
	otherEnded    bool        // a process ended or was silent that did not run the poison job
}

func (d *Design) newProc(a *Arrangement, r *server, life int) *proc {
	p := &proc{up: true, held: true, life: life, rev: -1}
	if d.NoBounds {
		a = a.unbound()
	}
	if d.AuditPerLedger {
		for i := range a.Capsules {
			p.ledgers = append(p.ledgers, protocol.New(a.Capsules[i:i+1], queues, p.tokens))
		}
	} else {
		p.ledgers = []*protocol.Process{protocol.New(a.Capsules, queues, p.tokens)}
	}
	if r.lanes.Queue >= 0 {
		p.readRule(&r.lanes)
	}
	return p
}

// unbound returns the arrangement without the bounds of queues.
func (a *Arrangement) unbound() *Arrangement {
	b := *a
	b.Capsules = slices.Clone(a.Capsules)
	for i := range b.Capsules {
		b.Capsules[i].Floors = nil
	}
	return &b
}

func (p *proc) tokens(n int) uint64 {
	p.next += uint64(n)
	return p.next - uint64(n) + 1
}

func (p *proc) clone() *proc {
	c := *p
	c.ledgers = make([]*protocol.Process, len(p.ledgers))
	for i, l := range p.ledgers {
		c.ledgers[i] = l.Clone(c.tokens)
	}
	c.calls, c.runs = append([]call(nil), p.calls...), append([]run(nil), p.runs...)
	return &c
}

func (r *server) clone() *server {
	c := &server{Twin: *r.Twin.Clone()}
	c.late = append(c.late, r.late...)
	return c
}

// appendKey appends a key that two processes share only if they are equal.
func (p *proc) appendKey(b []byte) []byte {
	b = append(b, bits(p.up, p.held, p.opens), byte(p.life), byte(p.next), byte(p.marks), p.stop,
		byte(p.found), byte(p.rev))
	if !p.up {
		return b
	}
	for _, l := range p.ledgers {
		b = l.AppendKey(b)
	}
	b = appendJobs(b, p.kept)
	for i := range p.calls {
		b = p.calls[i].appendKey(b)
	}
	b = append(b, '/')
	for _, r := range p.runs {
		b = append(b, byte(r.id), byte(r.ledger), byte(r.token), byte(r.job.ID), byte(r.phase),
			bits(r.over, r.running))
	}
	return b
}

func (c *call) appendKey(b []byte) []byte {
	b = append(append(b, c.key...), byte(c.stage), bits(c.rang, c.asked, c.fetched.Lost,
		c.fetched.More, c.mine, len(c.fetched.Unseen) > 0, c.fetched.Opens), byte(c.fetched.Acked))
	for _, t := range c.fetched.Jobs {
		b = append(b, byte(t.Token), byte(t.Job.ID), byte(t.Job.Crashes), byte(t.Job.Fails),
			byte(t.Queue))
	}
	b = append(b, '|')
	for _, r := range c.results {
		b = append(b, byte(r+1))
	}
	b = append(b, '|')
	for q, list := range c.tokens {
		for _, t := range list {
			b = append(b, byte(q), byte(t))
		}
	}
	b = append(b, '|')
	for _, q := range c.landed {
		b = append(b, byte(q))
	}
	b = appendJobs(append(b, byte(c.moved)), c.list)
	return appendJobs(b, c.kept)
}

// appendKey appends a key that two servers share only if they are equal.
func (r *server) appendKey(b []byte) []byte {
	for _, l := range r.lists {
		b = appendJobs(b, l)
	}
	for _, l := range r.landing {
		b = appendJobs(b, l)
	}
	for _, hash := range r.flight {
		b = append(b, byte(len(hash)))
		for _, h := range hash {
			b = appendJob(append(b, byte(h.Token)), h.Job)
		}
	}
	b = appendJobs(appendJobs(appendJobs(b, r.retry), r.dead), r.schedule)
	for _, holders := range r.locks {
		b = append(b, byte(len(holders)))
		for _, id := range holders {
			b = append(b, byte(id))
		}
	}
	for _, o := range r.owners {
		b = append(b, byte(o.Lease+1), bits(o.Left), byte(o.Alone), byte(o.Told), byte(len(o.Ran)))
		for _, t := range o.Ran {
			b = append(b, byte(t))
		}
	}
	for _, l := range r.late {
		b = append(b, l.key...)
	}
	if r.lanes.Queue >= 0 {
		b = r.lanes.appendKey(b)
	}
	return b
}

func appendJobs(b []byte, list []Job) []byte {
	b = append(b, byte(len(list)))
	for _, j := range list {
		b = appendJob(b, j)
	}
	return b
}

func appendJob(b []byte, j Job) []byte {
	return append(b, byte(j.ID), byte(j.Crashes), byte(j.Fails))
}

func bits(list ...bool) (n byte) {
	for i, v := range list {
		if v {
			n |= 1 << i
		}
	}
	return n
}

// seal sets the key of a command, which two commands share only if they are equal.
func (c *command) seal() *command {
	b := []byte{byte(c.kind), byte(c.id), byte(c.ledger), byte(c.capsule), byte(c.queue),
		byte(c.token), byte(c.number), bits(c.runsOn), byte(c.job.ID)}
	if c.kind == trip || c.kind == bell || c.kind == answer {
		b = append(b, byte(c.fetch.Want), byte(c.fetch.First))
		for i, list := range c.fetch.Done {
			b = append(b, byte(i))
			for _, t := range list {
				b = binary.AppendUvarint(b, t)
			}
		}
		b = append(b, '|')
		for _, q := range c.fetch.Adopt {
			b = append(b, byte(q))
		}
		b = append(b, '|')
		for _, turn := range c.fetch.Turns {
			b = append(b, byte(turn.Queue), byte(turn.Most))
		}
		b = append(b, byte(len(c.fetch.Sources)))
	}
	b = append(appendJobs(b, c.read), byte(c.rev))
	for _, x := range c.batch {
		b = append(b, byte(x.ID), byte(x.Queue), byte(x.Token), x.Action[0], x.Action[2],
			byte(x.Payload.Fails), byte(len(x.Effects)), bits(x.Sourced, x.Till > 0))
		for _, f := range x.Effects {
			b = append(b, byte(f.Lock), byte(f.Job), bits(f.Take))
		}
	}
	c.key = string(b)
	return c
}
