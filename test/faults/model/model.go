// Package model searches the orders in which events can come to two worker processes and a Redis:
// replies that are late or lost, crashes, silence, doorbells that ring after their process has
// given them up, a restart of Redis, a stop. The processes decide by the methods of
// internal/protocol, which package worker calls too. Redis is a twin of the scripts, and
// twin_test.go compares it with the scripts.
//
// The search checks these promises: A job is always in exactly one place, and a process will look
// there. It is removed only under its token. It ends once. A crash is counted once, and only for a
// job that may have caused it. For each safeguard, the search also shows which promise breaks
// without it.
package model

import (
	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/queue"
)

const (
	procs      = 2
	lives      = 3 // identities that a process can have, one after the other
	identities = procs * lives
	queues     = 2
	jobs       = 3 // the most; most arrangements have two
)

// Design is the protocol without some of its safeguards. Each field takes one out.
type Design struct {
	Name string

	PopThenPush    bool // the poller removes a due job and pushes it with a second command
	PopThenKeep    bool // a fetch pops jobs, and moves them in flight with a second command
	NoLanding      bool // a doorbell is BRPOP: the job that it brings is in no key
	RetryInTwo     bool // a failed job is put into the retry set with a second command
	NoToken        bool // a process settles a job by its id, whichever process holds it
	TokenPerOwner  bool // tokens count from 1 for each identity; acks name the present identity
	TokenAgain     bool // the token of a settled delivery is used again
	NoAudit        bool // a process does not compare its deliveries in Redis with its ledger
	AuditPerLedger bool // each capsule has a ledger and an audit of its own
	NoReclaim      bool // no process reclaims the jobs of dead processes
	NoLandingRec   bool // a reclaimer forgets the landing lists
	ForgetAtOnce   bool // an identity is forgotten as soon as it holds nothing
	NoLeaseCheck   bool // a fetch does not check the lease
	AdoptUnleased  bool // a fetch delivers landed jobs before it checks the lease
	LeaveEarly     bool // a stop gives the lease up before everything is settled
	CountTwice     bool // a reclaimer counts a crash with a command of its own
	LateMarks      bool // a mark has its effect also if a later call came first
	WaitersCount   bool // a crash counts for suspects that wait for their turn
	OpenUntold     bool // the gate opens without Redis's answer when the lease lapses
	OpenMarked     bool // the gate opens while Redis still has the mark that the suspect is alone
	NoGuard        bool // a process does not stop when its lease may have ended by its own clock

	LockThenPush bool // a push takes the lock with a command of its own, before it pushes
	MarkerLast   bool // a push that is repeated takes the lock before it finds its marker
	ClaimUnheld  bool // the start of a job claims its lock, also if the job is not in flight
	GiveFirst    bool // a start gives its lock back before it has the one that it needs to run
	ReleaseAny   bool // a lock is given back for a job that does not hold it
	ReleaseStale bool // a settlement gives locks back, also if the job is not in flight
	ReleaseInTwo bool // a settlement gives locks back with a second command
	AckEffects   bool // a fetch acknowledges jobs that hold locks
	// Effects returns the effects of a job at an event; nil: those of package unique.
	Effects func(Job, queue.EffectEvent) []Change

	NoBounds bool // a process does not keep the bounds of queues

	NoRelist      bool // a place that is free makes no full lane ready
	BehindLane    bool // a job that goes back is the last of its lane
	SiftBlind     bool // a sift does not compare the jobs of the list with those that it read
	NoBarrier     bool // a fetch passes a list whose jobs are in no lane yet
	NoRing        bool // a settlement that frees a place wakes nobody
	BellDelivers  bool // the doorbell of a queue with lanes delivers its job
	KeepPlaces    bool // a reclaimer does not free the places of a dead owner
	ForgetArrived bool // lanes that are off keep the job that a late doorbell took
	ForgetClosed  bool // a process does not look for closed lanes whose time has come
	NoHandOn      bool // a process that is rung without a free seat does not pass that on
}

// Arrangement describes the processes, the jobs, and the events that may happen.
type Arrangement struct {
	Name     string
	Capsules []protocol.Capsule
	Limit    int        // jobs of a trip
	Queue    [jobs]int8 // that each job is pushed to
	Crashed  [jobs]int8 // crashes that are counted for each job at the start
	Poison   bool       // job 0 ends every process that runs it, and nothing else does
	Times    int        // crashes that make a job poison; 2 or more only for jobs without locks
	Lock     [jobs]Lock // of each job; all have one digest
	Jobs     int        // 0: two
	Lanes    bool       // queue x has lanes, and at most one job of each runs
	Lane     [jobs]int8 // of each job
	Parked   bool       // jobs with lanes are in them at the start
	Asleep   bool       // the processes sleep at the start, and their doorbells hang
	Budget
}

// Budget is how often each kind of event may happen.
type Budget struct {
	Crashes  int8   // of processes
	Lapses   int8   // silences longer than a lease
	Lost     int8   // replies
	Marks    int8   // lost replies to the calls about a suspect: mark, unmark, beside
	Restarts int8   // of Redis
	Refused  int8   // settlements that Redis refuses
	Stops    int8   // of processes
	Besides  int8   // suspects that get no turn, or whose turn ends
	Fails    int8   // of a job; the last sends it to the dead set
	Deletes  int8   // jobs that are deleted by hand
	Abandons int8   // handlers that ignore the end of their context
	Repeats  int8   // pushes that are repeated, because their replies were lost
	Tokens   uint64 // of a process
	NoBells  bool   // doorbells cannot be hung
	Closes   int8   // jobs that close their lane for a time and go back to it
	Drains   int8   // times when lanes are turned off
	Sets     int8   // times when they are turned on again
}

// Result is what a search found.
type Result struct {
	States, Depth int
	Complete      bool       // these are all states that the budget allows
	Found         [kinds]int // violations, by kind
	First         string     // the first violation, as the list of its events
}

// violation is a kind of violation of the promises.
type violation int8

// The kinds of violations.
const (
	fine       violation = iota
	lost                 // a job is nowhere
	doubled              // a job is in two places
	stranded             // a job is in a place where no process will look
	foreign              // a removal by token removed another job
	twice                // a job ended in two ways, or twice without a crash or a lost lease
	unheld               // a job starts in a process that does not hold it
	counted              // a crash was counted twice, or there was none
	blamed               // a job is dead for crashes of another
	crowded              // a process has more deliveries than seats
	knownTwice           // a process has one delivery in two places of its memory
	left                 // a process left, and a job that ended in it is still in flight
	ignored              // a job waits, and an idle process neither fetches nor hangs a doorbell
	common               // two jobs hold one lock
	orphaned             // a job holds a lock, and is not where it may hold it
	unlocked             // a job does not hold the lock that it should hold
	overlapped           // two jobs of one lock run at once, and no lease was lost
	unbounded            // a process runs more jobs of a queue than its bound
	overfull             // more jobs of a lane are in flight than its limit
	leaked               // the places of a lane are not those of its jobs in flight
	unlisted             // a lane with jobs that may run is not ready, or waits for nobody
	overtaken            // a job is taken, and one of a queue before may run
	disordered           // a job starts before an earlier one of its lane
	slept                // a job may run, a process has a free seat, and nothing wakes it
	kinds
)

var kindNames = [kinds]string{"fine", "lost", "doubled", "stranded", "foreign", "twice", "unheld",
	"counted", "blamed", "crowded", "known twice", "left", "ignored", "common", "orphaned",
	"unlocked", "overlapped", "unbounded", "overfull", "leaked", "unlisted", "overtaken",
	"disordered", "slept"}

// Violations returns the number of all violations.
func (r Result) Violations() (n int) {
	for _, k := range r.Found[1:] {
		n += k
	}
	return n
}

// The identities: owners[process*lives+life].
var owners = func() (list [identities]*queue.Owner) {
	for i := range list {
		list[i] = &queue.Owner{Identity: string(rune('a' + i))}
	}
	return list
}()

func idOf(o *queue.Owner) int { return int(o.Identity[0] - 'a') }

var queueNames = [queues]string{"x", "y"}

func queueOf(name string) int { return int(name[0] - 'x') }

// raw encodes a job as a payload for the ledger.
func raw(j Job) string {
	return string([]byte{byte('0' + j.ID), byte('0' + j.Crashes), byte('0' + j.Fails),
		byte('0' + j.Lock), byte('0' + j.Lane)})
}

// jobOf decodes a payload. A delivery that an audit found has none.
func jobOf(raw string) (j Job, ok bool) {
	if raw == "" {
		return Job{ID: -1}, false
	}
	return Job{ID: int8(raw[0] - '0'), Crashes: int8(raw[1] - '0'), Fails: int8(raw[2] - '0'),
		Lock: Lock(raw[3] - '0'), Lane: int8(raw[4] - '0')}, true
}
