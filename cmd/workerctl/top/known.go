package top

import (
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
)

// known is what was read last. Nobody changes what it refers to: a look makes new slices.
type known struct {
	read      map[part]time.Time // when the parts were read; those that were not are absent
	totals    inspect.Stats
	runs      float64 // a second, with those that failed; below 0 if not known
	failed    float64 // a second; below 0 if not known
	queues    []Queue
	processes []inspect.Process // by identity
	complete  bool              // processes has all of them
	oldest    time.Time         // the time of the oldest figures of processes
	work      []inspect.Work    // the longest running first
	workDone  bool              // work has the jobs of all processes
	workAt    time.Time         // the time of the oldest figures of work
	held      []inspect.Held
	page      Page
	job       Job
	jobErr    error // the job is nowhere
}

// part is something that is read on its own.
type part string

// The parts.
const (
	partTotals    part = "totals"
	partQueues    part = "queues"
	partProcesses part = "processes"
	partWork      part = "work"
	partHeld      part = "held"
	partPage      part = "page"
	partJob       part = "job"
)

// need is what a view shows.
type need struct {
	parts  []part
	window Window // of partPage
	job    Ref    // of partJob
	anew   bool   // it is read also if it costs a debt: a person has changed something
}

// of tells two needs of one part apart: another page of a set is read at once.
func (n need) of(p part) any {
	switch p {
	case partPage:
		return n.window
	case partJob:
		return n.job.JID + n.job.Raw
	default:
		return nil
	}
}

// serving are the processes that serve a queue, and their threads. Quiet ones take no more jobs.
func (k *known) serving(queue string) (processes, threads int) {
	for _, p := range k.processes {
		for _, name := range p.Queues {
			if name == queue && !p.Quiet {
				processes++
				threads += p.Concurrency
			}
		}
	}
	return processes, threads
}

// entry is an entry of the page by its key, or nil.
func (k *known) entry(key string) any {
	for _, e := range k.page.Entries {
		if keyOf(e) == key {
			return e
		}
	}
	return nil
}
