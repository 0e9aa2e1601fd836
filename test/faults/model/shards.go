package model

import (
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/queue"
)

// This is a second world: one process that serves two shards, each of which is a twin of the
// scripts with a lease, deliveries and doorbells of its own. It has a clock, because figures grow
// old and shards fall silent. The real protocol.Looks decides from which shard to take jobs.

const (
	shardCount  = 2
	shardQueues = 3
	shardLives  = 2 // identities of the process in a shard, one after the other
)

// The steps of the clock: shorter than Tau, longer than figures count while jobs of the first queue
// are there, and as long as a shard may be silent.
var spans = [...]time.Duration{600 * time.Microsecond, 30 * time.Millisecond, protocol.Silent}

// epoch is the instant at which the clock begins.
var epoch = time.Unix(1_000_000, 0)

// ShardDesign is the protocol of several shards without some of its safeguards.
type ShardDesign struct {
	Name string

	StaleFigures  bool // jobs of lower queues are taken by figures of any age
	NoRefresh     bool // no shard is asked while another holds jobs of the first queue
	BeyondPartial bool // a trip for the first queues makes the other ones count as empty
	BellDelivers  bool // the doorbell of a lower queue delivers its job
	NoPutBack     bool // landed jobs of lower queues are not put back
	Apart         bool // the shards share neither seats nor the gate
	NeverLate     bool // a shard that sends no reply is not left out
	KeepSeats     bool // the trips to a shard that is left out keep their seats
	NoProbe       bool // a shard that is left out is not asked again
	WrongShard    bool // results of one shard are sent to the other
	LoseAll       bool // a lost lease ends the jobs of all shards
	LeaveEarly    bool // a stop gives a lease up before its results are settled
	QuietOne      bool // a stop ends the intake of the first shard only
	NoAudit       bool // deliveries in Redis are not compared with the ledgers
}

// ShardJob is a job before it is pushed.
type ShardJob struct {
	Shard, Queue int
	Suspect      bool
}

// ShardArrangement describes the capsule, the jobs, and the events that may happen.
type ShardArrangement struct {
	Name   string
	Seats  int
	Trips  int
	Limit  int  // jobs of a trip
	Random bool // the queues have no order
	Jobs   []ShardJob
	ShardBudget
}

// ShardBudget is how often each kind of event may happen.
type ShardBudget struct {
	Ticks   [len(spans)]int8 // of the clock
	Lost    int8             // replies
	Silent  int8             // times when a shard sends no replies
	Lapses  int8             // leases that end
	Pauses  int8             // of the first queue of a shard, and ends of that
	Besides int8             // suspects that are not alone in time
	Stops   int8
	Tokens  uint64 // of a shard
}

// shardWorld is a state. A state is never changed: it is copied first.
type shardWorld struct {
	sites  [shardCount]*site
	looks  *protocol.Looks
	now    time.Duration
	runs   []shardRun
	stop   byte
	budget ShardBudget
	pushed []bool
	done   []bool

	wrong violation
	why   string
}

// site is a shard, and what the process has there.
type site struct {
	server  // the twin, and late commands
	process *protocol.Process
	calls   []shardCall
	life    int
	next    uint64 // the last token
	held    bool
	silent  bool // it sends no replies
	swept   bool // at a stop: its landed jobs are back
	left    bool
	seen    figures // the newest that the process has got
}

// figures is what a look or a trip has found, as Redis was then.
type figures struct {
	known       bool
	asked, took time.Duration
	holds       [shardQueues]bool // jobs that may be taken
}

// shardCall is a command whose reply the process awaits.
type shardCall struct {
	call
	sent    time.Duration
	lengths []int
	holds   [shardQueues]bool
	held    []Taken // the answer of an audit
	lands   bool    // the job of the bell stays in the landing list
}

// shardRun is a job in a thread.
type shardRun struct {
	run
	site int
}

// look is the command that reads how long the queues are.
const look sort = 'o'

func (x *shardSearch) newShardWorld() *shardWorld {
	n := len(x.Jobs)
	w := &shardWorld{budget: x.ShardBudget, pushed: make([]bool, n), done: make([]bool, n),
		looks: protocol.NewLooks(shardCount, shardQueues, !x.Random)}
	c := protocol.Capsule{Queues: []int{0, 1, 2}, Seats: x.Seats, Trips: x.Trips, Strict: !x.Random}
	var list []*protocol.Process
	for i := range w.sites {
		s := &site{server: server{Twin: *NewTwin(shardQueues, shardLives)}, held: true}
		s.process = protocol.New([]protocol.Capsule{c}, shardQueues, s.tokens)
		s.Register(0, 1)
		s.process.Renewed(owners[0])
		w.sites[i], list = s, append(list, s.process)
	}
	if !x.Apart {
		protocol.Join(list)
	}
	return w
}

func (s *site) tokens(n int) uint64 {
	s.next += uint64(n)
	return s.next - uint64(n) + 1
}

func (x *shardSearch) clone(w *shardWorld) *shardWorld {
	c := *w
	var list []*protocol.Process
	for i, s := range w.sites {
		n := *s
		n.server = *s.server.clone()
		n.Twin.paused = append([]bool(nil), s.Twin.paused...)
		n.calls = append([]shardCall(nil), s.calls...)
		c.sites[i], list = &n, append(list, s.process)
	}
	if x.Apart {
		for i, p := range list {
			c.sites[i].process = p.Clone(c.sites[i].tokens)
		}
	} else {
		tokens := func(i int) func(int) uint64 { return c.sites[i].tokens }
		for i, p := range protocol.CloneJoined(list, tokens) {
			c.sites[i].process = p
		}
	}
	c.looks = w.looks.Clone()
	c.runs = append([]shardRun(nil), w.runs...)
	c.pushed = append([]bool(nil), w.pushed...)
	c.done = append([]bool(nil), w.done...)
	return &c
}

func (w *shardWorld) clock() time.Time { return epoch.Add(w.now) }

// is notes a violation.
func (w *shardWorld) is(v violation, why string, args ...any) {
	if w.wrong == fine {
		w.wrong, w.why = v, fmt.Sprintf(why, args...)
	}
}

// appendKey appends a key that two states share only if the same can follow.
func (w *shardWorld) appendKey(b []byte) []byte {
	span := func(at time.Duration) {
		age := (w.now - at).Microseconds() / 100
		b = append(b, byte(age>>8), byte(age))
	}
	for _, s := range w.sites {
		b = s.process.AppendKey(b)
		b = s.server.appendKey(b)
		b = append(b, bits(s.Twin.paused...), byte(s.life), byte(s.next), bits(s.held, s.silent,
			s.swept, s.left, s.seen.known), bits(s.seen.holds[:]...))
		if s.seen.known {
			span(s.seen.asked)
			b = append(b, byte(s.seen.took/time.Millisecond))
		}
		for i := range s.calls {
			c := &s.calls[i]
			b = append(c.appendKey(b), bits(c.holds[:]...), bits(c.lands, c.lengths != nil))
			if c.kind == look || c.kind == trip {
				span(c.sent)
			}
			for _, t := range c.held {
				b = append(b, byte(t.Queue), byte(t.Token))
			}
			for _, n := range c.lengths {
				b = append(b, byte(n))
			}
		}
		b = append(b, '#')
	}
	b = w.looks.AppendKey(b, w.clock())
	for _, r := range w.runs {
		b = append(b, byte(r.site), byte(r.id), byte(r.token), byte(r.job.ID), byte(r.phase))
	}
	g := &w.budget
	b = append(b, w.stop, byte(g.Lost), byte(g.Silent), byte(g.Lapses), byte(g.Pauses),
		byte(g.Besides), byte(g.Stops), bits(w.pushed...), bits(w.done...))
	for _, n := range g.Ticks {
		b = append(b, byte(n))
	}
	return b
}

// shardSearch visits the states of an arrangement.
type shardSearch struct {
	*ShardDesign
	*ShardArrangement
	Result
	frontier
	until violation
	seen  map[string]struct{}
	nodes []shardNode
	buf   []byte
	from  int
}

// shardNode is a state, until its next states are added, and the event that led to it.
type shardNode struct {
	world *shardWorld
	from  int
	depth int
	event string
}

// SearchShards searches the states of a design in an arrangement, like Search. It stops at a
// violation of the kind until.
func SearchShards(d ShardDesign, a ShardArrangement, limit int, until violation) Result {
	x := &shardSearch{ShardDesign: &d, ShardArrangement: &a, frontier: newFrontier(),
		until: until, seen: map[string]struct{}{}}
	x.add(x.newShardWorld(), "begin")
	for x.at < len(x.todo) && x.States < limit && (until == fine || x.Found[until] == 0) {
		x.from = int(x.pick())
		x.fresh = len(x.todo)
		w := x.nodes[x.from].world
		x.nodes[x.from].world = nil
		x.step(w)
		if x.States%4096 == 0 {
			x.shrink()
		}
	}
	x.Complete = x.at == len(x.todo)
	return x.Result
}

// add adds a state that an event leads to. A new one is judged.
func (x *shardSearch) add(w *shardWorld, event string, args ...any) {
	x.buf = w.appendKey(x.buf[:0])
	if _, again := x.seen[string(x.buf)]; again && w.wrong == fine {
		return
	}
	x.seen[string(x.buf)] = struct{}{}
	n := shardNode{world: w, from: x.from}
	n.event = strings.TrimSpace(fmt.Sprintln(append([]any{event}, args...)...))
	if len(x.nodes) > 0 {
		n.depth = x.nodes[x.from].depth + 1
	}
	x.nodes = append(x.nodes, n)
	x.States++
	x.Depth = max(x.Depth, n.depth)
	if w.wrong == fine {
		x.judge(w)
	}
	if w.wrong == fine {
		x.todo = append(x.todo, uint32(len(x.nodes)-1))
		return
	}
	x.Found[w.wrong]++
	if x.First == "" && (x.until == fine || x.until == w.wrong) {
		x.First = x.story(fmt.Sprintf("%s: %s", kindNames[w.wrong], w.why))
	}
}

// story lists the events that led to the last state.
func (x *shardSearch) story(end string) string {
	for at := len(x.nodes) - 1; at > 0; at = x.nodes[at].from {
		end = x.nodes[at].event + "\n" + end
	}
	return end
}

func (x *shardSearch) delivery(s *site, id int, t Taken) queue.Delivery {
	return queue.Delivery{Raw: raw(t.Job), Queue: queueName(t.Queue), Owner: owners[id],
		Token: t.Token}
}

func queueName(q int) string { return string(rune('x' + q)) }
