package model

import (
	"encoding/binary"

	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/queue"
)

// world is a state: Redis with what is on the way to it, the processes, and what has
// happened so far. Its parts are never changed, but replaced: worlds share them.
type world struct {
	redis *server
	proc  [procs]*proc
	past  past
}

// server is the twin, and commands whose senders have given them up or are dead: they may
// still be carried out.
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
	queue           int    // of a bell; what it carries is in fetch
	token, number   uint64 // of a mark
	runsOn          bool   // of the end of a mark: the suspect runs on, beside others
	fetch           Fetch
	expect          [][]int8 // the jobs that the acks of a fetch are believed to be
	batch           []Settlement
	key             string
}

type sort byte

// The kinds of commands.
const (
	trip   sort = 't'
	settle sort = 's'
	audit  sort = 'a'
	bell   sort = 'b'
	errand sort = 'e' // what a bell carried whose sender has given it up
	mark   sort = 'm' // a suspect is alone
	unmark sort = 'u'
	beside sort = 'n' // a suspect starts beside others
	sweep  sort = 'l' // at the end of a stop: adopt all that has landed
)

// stage is how far a command is.
type stage byte

const (
	sent stage = iota
	half       // between the two commands of a design that needs two, or of a bell
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
	kept    []Job // in nobody's hands: designs that need two commands
	rang    bool
	asked   bool // Redis is to wake the bell
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
	found    int // deliveries that audits found
	kept     []Job
	num      uint32
	wrong    violation // of its memory alone
}

// The steps of a stop.
const (
	working byte = iota
	quiet        // takes no more jobs
	ended        // makes no more trips; bells come down
	swept        // what has landed is back in its queue
)

// run is a job that a thread has.
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
	runs    phase = iota // beside others, or as it may be
	waits                // a suspect, for its turn
	entered              // the gate is closed, others still run
	marking              // Redis is told
	besides              // Redis is told that it runs beside others
	alone
	opening // Redis is told that this ends
)

// past is what has happened, as far as it says what may happen and what is wrong.
type past struct {
	Budget        // that is left
	pushed, ended [jobs]bool
	well, excused [jobs]bool
	counts        [jobs]uint8 // identities whose end was counted, one bit each
	after         [jobs]uint8 // identities that were given the job after their end
	ran           [jobs]uint8 // identities under which it ran while it was a suspect
	foul          bool        // a process ended or fell silent that did not run the poison
}

func (d *Design) newProc(a *Arrangement, life int) *proc {
	p := &proc{up: true, held: true, life: life}
	if d.AuditPerLedger {
		for i := range a.Capsules {
			p.ledgers = append(p.ledgers, protocol.New(a.Capsules[i:i+1], queues, p.tokens))
		}
	} else {
		p.ledgers = []*protocol.Process{protocol.New(a.Capsules, queues, p.tokens)}
	}
	return p
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

// appendKey tells processes apart.
func (p *proc) appendKey(b []byte) []byte {
	b = append(b, bits(p.up, p.held), byte(p.life), byte(p.next), byte(p.marks), p.stop,
		byte(p.found))
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
		c.fetched.More), byte(c.fetched.Acked))
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
	return appendJobs(b, c.kept)
}

// appendKey tells Redises apart.
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
	b = appendJobs(appendJobs(b, r.retry), r.dead)
	for _, o := range r.owners {
		b = append(b, byte(o.Lease+1), bits(o.Left), byte(o.Alone), byte(o.Told), byte(len(o.Ran)))
		for _, t := range o.Ran {
			b = append(b, byte(t))
		}
	}
	for _, l := range r.late {
		b = append(b, l.key...)
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

// seal gives a command the key that tells it from others.
func (c *command) seal() *command {
	b := []byte{byte(c.kind), byte(c.id), byte(c.ledger), byte(c.capsule), byte(c.queue),
		byte(c.token), byte(c.number), bits(c.runsOn)}
	if c.kind == trip || c.kind == bell || c.kind == errand {
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
	}
	for _, x := range c.batch {
		b = append(b, byte(x.ID), byte(x.Queue), byte(x.Token), x.Action[0], x.Action[2],
			byte(x.Payload.Fails))
	}
	c.key = string(b)
	return c
}
