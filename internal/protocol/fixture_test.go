package protocol

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/queue"
)

// fixture is a Process whose tests read as transcripts of events and decisions.
type fixture struct {
	*testing.T
	*Process
	owners  map[string]*queue.Owner
	held    bool     // the lease holds
	limit   int      // of jobs and acks in a trip
	last    uint64   // the last token
	carried [2]*Trip // the trips of the doorbells, by queue
}

// newFixture makes a Process with queues x and y, under identity a.
func newFixture(t *testing.T, capsules ...Capsule) *fixture {
	f := &fixture{T: t, owners: map[string]*queue.Owner{}, held: true, limit: 100}
	f.Process = New(capsules, 2, func(n int) uint64 {
		f.last += uint64(n)
		return f.last - uint64(n) + 1
	})
	f.Renewed(f.owner("a"))
	return f
}

// two describes two capsules: both serve queue x, and the first serves y too.
func two(seats int) []Capsule {
	return []Capsule{{Queues: []int{0, 1}, Seats: seats}, {Queues: []int{0}, Seats: 1}}
}

func (f *fixture) owner(name string) *queue.Owner {
	if f.owners[name] == nil {
		f.owners[name] = &queue.Owner{Identity: name}
	}
	return f.owners[name]
}

// at makes an event happen, and checks what the Process answers.
func (f *fixture) at(event, want string) {
	f.Helper()
	words := strings.Fields(event)
	if got := f.happens(words[0], words[1:]); got != want {
		f.Errorf("at %q: %q, want %q", event, got, want)
	}
}

func number(s string) (n int) { fmt.Sscan(s, &n); return n }

func (f *fixture) happens(what string, args []string) string {
	ci := 0
	if len(args) > 0 {
		ci = number(args[0])
	}
	switch what {
	case "begin":
		return f.begins(ci)
	case "back": // back CAPSULE JOB...: a trip returns; a job is its queue and token
		var jobs []queue.Delivery
		for _, d := range f.jobs(args[1:]) {
			jobs = append(jobs, *d)
		}
		return fmt.Sprint("stale ", f.Returned(f.trips(ci)[0], queue.Fetched{Jobs: jobs,
			Acked: len(f.trips(ci)[0].Acks)}, nil))
	case "lost": // lost CAPSULE: the reply of a trip is lost
		return fmt.Sprint("stale ", f.Returned(f.trips(ci)[0], queue.Fetched{},
			errors.New("no reply")))
	case "refused": // refused CAPSULE: a trip finds that the lease is lost
		return fmt.Sprint("stale ", f.Returned(f.trips(ci)[0], queue.Fetched{
			Acked: len(f.trips(ci)[0].Acks)}, queue.ErrLeaseLost))
	case "start":
		if e := f.Start(ci, f.held); e != nil {
			return name(e)
		}
		return "-"
	case "done", "retry":
		return f.finishes(what, args[0])
	case "settle":
		var list []string
		for _, s := range f.Batch(ci) {
			list = append(list, fmt.Sprint(s.Action, " ", s.Delivery.Token))
		}
		return strings.Join(list, ", ")
	case "confirm":
		var results []queue.Result
		for _, a := range args[1:] {
			results = append(results, queue.Result(number(a)))
		}
		return fmt.Sprint("stale ", f.Confirmed(ci, results))
	case "bells":
		return f.bells()
	case "down": // down QUEUE HOW JOB: a doorbell comes down; see rung
		return fmt.Sprint("wake ", f.Down(f.carried[ci], f.rung(f.carried[ci], args[1], args[2:])))
	case "audit": // audit IDENTITY JOB...: Redis holds the jobs for the identity
		f.AuditBegins()
		held := f.jobs(args[1:])
		for _, d := range held {
			d.Owner = f.owner(args[0])
		}
		return fmt.Sprint("lost ", f.Audited(f.owner(args[0]), held,
			func(name string) int { return f.Serving(int(name[0] - 'x')) }, nil))
	}
	f.Fatalf("no event %q", what)
	return ""
}

// bells hangs doorbells and takes them down, and lists their queues.
func (f *fixture) bells() string {
	hang, unhang := f.Bells(f.held)
	queues := []int{}
	for _, t := range hang {
		queues, f.carried[t.Adopt[0]] = append(queues, t.Adopt[0]), t
	}
	return fmt.Sprint("hang ", queues, " unhang ", unhang)
}

// rung makes the end of a doorbell: how is quiet, rang (with or without a job) or lost.
func (f *fixture) rung(t *Trip, how string, jobs []string) (r Rung) {
	r.Landed, r.Lost = how == "rang", how == "lost"
	for _, d := range f.jobs(jobs) {
		r.Job, d.Owner = d, t.Owner
	}
	return r
}

func (f *fixture) trips(ci int) []*Trip { return f.Process.Trips(ci) }

func (f *fixture) begins(ci int) string {
	t, ok := f.Begin(ci, f.held, f.limit)
	if !ok {
		return "-"
	}
	var acks []string
	for _, e := range t.Acks {
		acks = append(acks, name(e))
	}
	return fmt.Sprintf("want %d from %d acks %v adopt %v", t.Want, t.First, acks, t.Adopt)
}

func (f *fixture) jobs(names []string) (list []*queue.Delivery) {
	for _, s := range names {
		list = append(list, &queue.Delivery{Raw: s, Queue: s[:1], Owner: f.Owner,
			Token: uint64(number(s[1:]))})
	}
	return list
}

func name(e *Entry) string { return fmt.Sprint(e.Queue, e.Token) }

// running finds a running delivery.
func (f *fixture) running(s string) *Entry {
	for _, e := range f.Running() {
		if name(e) == s {
			return e
		}
	}
	f.Fatalf("%s does not run", s)
	return nil
}

func (f *fixture) finishes(what, s string) string {
	e := f.running(s)
	if what == "done" {
		return fmt.Sprint(f.Finish(e, nil))
	}
	return fmt.Sprint(f.Finish(e, &queue.Settlement{Delivery: &e.Delivery, Action: queue.Retry,
		Payload: "again"}))
}
