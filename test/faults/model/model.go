// Package model searches through the orders in which events can come to two worker
// processes and a Redis: replies that are late or lost, crashes, silence, bells that ring
// when nobody listens, a restart, a stop. The processes decide by the methods of
// internal/protocol, the same that package worker calls, and Redis is a twin of the
// scripts, which twin_test.go compares with the scripts themselves.
//
// The search shows that a job is always in exactly one place, that somebody can get at it,
// that only who holds its token removes it, that it ends once, and that a crash is counted
// once and blamed on nobody else; and, for each safeguard, what happens without it.
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
	jobs       = 2
)

// Design is the protocol, less the safeguards that are taken out.
type Design struct {
	Name string

	PopThenPush    bool // the poller removes a due job and pushes it with a second command
	PopThenKeep    bool // a fetch pops, and writes down what it holds with a second command
	NoLanding      bool // a doorbell is BRPOP: what it brings is nowhere
	RetryInTwo     bool // a failed job is put into the retry set with a second command
	NoToken        bool // who ran a job settles it by its id, in whosever hands it is
	TokenPerOwner  bool // tokens count from 1 for each identity; acks go under the present one
	TokenAgain     bool // the token of what was settled is used again
	NoAudit        bool // nobody compares what Redis holds with the ledger
	AuditPerLedger bool // each capsule has a ledger and an audit of its own
	NoReclaim      bool // nobody looks after the dead
	NoLandingRec   bool // a reclaimer forgets the landing lists
	ForgetAtOnce   bool // an identity is forgotten as soon as it holds nothing
	NoLeaseCheck   bool // a fetch does not ask whether the lease is lost
	AdoptUnleased  bool // a fetch delivers what has landed before it asks for the lease
	LeaveEarly     bool // a stop gives the lease up before everything is settled
	CountTwice     bool // a reclaimer counts a crash with a command of its own
	LateMarks      bool // a mark that comes late is as good as one in time
	WaitersCount   bool // a crash counts for suspects that wait for their turn
	OpenUntold     bool // the gate opens without Redis's answer when the lease lapses
	OpenMarked     bool // the gate opens while Redis still has the mark that the suspect is alone
	NoGuard        bool // a process goes by its last beat, not by how long its lease surely holds
}

// Arrangement is what the processes and the world are like.
type Arrangement struct {
	Name     string
	Capsules []protocol.Capsule
	Limit    int        // jobs of a trip
	Queue    [jobs]int8 // that each job is pushed to
	Crashed  [jobs]int8 // crashes that are counted for each before
	Poison   bool       // job 0 ends every process that runs it, and nothing else does
	Times    int        // crashes that make a job poison
	Budget
}

// Budget is how often what may come.
type Budget struct {
	Crashes  int8   // of processes
	Lapses   int8   // silences longer than a lease
	Lost     int8   // replies
	Marks    int8   // replies to what marks a suspect that is alone
	Restarts int8   // of Redis
	Refused  int8   // settlements that Redis refuses
	Stops    int8   // of processes
	Besides  int8   // suspects that get no turn, or whose turn ends
	Fails    int8   // of a job; with the last it is dead
	Tokens   uint64 // of a process
	NoBells  bool
}

// Result is what a search found.
type Result struct {
	States, Depth int
	Complete      bool // all states that the budget allows
	Found         [kinds]int
	First         string // the first violation, as a story
}

// violation is what must not be.
type violation int8

// The kinds of violations.
const (
	fine     violation = iota
	lost               // a job is nowhere
	doubled            // a job is in two places
	stranded           // a job is where nobody will ever look
	foreign            // a job was removed by somebody who did not hold it
	twice              // a job ended in two ways, or twice without a reason
	unheld             // a job starts that is not in the hands of who starts it
	counted            // a crash was counted twice, or none was one
	innocent           // a job is dead for crashes of another
	crowded            // more is in flight than there are seats
	known2             // the process has one delivery in two places of its memory
	left               // a process left, and Redis still held what it had run
	deaf               // a job waits, and an idle process does not listen
	kinds
)

var kindNames = [kinds]string{"fine", "lost", "doubled", "stranded", "foreign", "twice", "unheld",
	"counted",
	"innocent", "crowded", "known twice", "left", "deaf"}

// Violations is all that must not be.
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

// raw is a payload for the ledger.
func raw(j Job) string {
	return string([]byte{byte('0' + j.ID), byte('0' + j.Crashes), byte('0' + j.Fails)})
}

// jobOf reads a payload. Of an audited delivery only the token is known.
func jobOf(raw string) (j Job, ok bool) {
	if raw == "" {
		return Job{ID: -1}, false
	}
	return Job{ID: int8(raw[0] - '0'), Crashes: int8(raw[1] - '0'), Fails: int8(raw[2] - '0')}, true
}
