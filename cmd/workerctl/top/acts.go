package top

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/text"
	"github.com/kyujobs/kyu/queue"
)

// Acts changes things for a person, and records in the audit what was changed.
type Acts interface {
	// Apply carries out a request, and says what was done. Where it has come to when ctx ends is
	// in the audit too.
	Apply(ctx context.Context, r Request) (done string, err error)
}

// Verb says what a person wants.
type Verb string

// The verbs. Retry, Kill, Delete and Release are about jobs of a set, Pause and Unpause about
// queues, Quiet and Stop about processes.
const (
	Retry   Verb = "retry"
	Kill    Verb = "kill"
	Delete  Verb = "delete"
	Release Verb = "release"
	Pause   Verb = "pause"
	Unpause Verb = "unpause"
	Quiet   Verb = "quiet"
	Stop    Verb = "stop"
)

// Request is an act that a person has confirmed.
type Request struct {
	Verb Verb
	Set  Set // of the jobs
	// Jobs are those that were chosen by hand. Without any, the act is about all jobs of the set
	// that Filter chooses and that were there at AsOf.
	Jobs   []queue.Entry
	Filter string
	AsOf   time.Time
	Names  []string // of queues, or identities of processes
	Count  int      // how many jobs the confirmation named
}

// JIDs are those of the jobs that were chosen by hand.
func (r Request) JIDs() (list []string) {
	for _, e := range r.Jobs {
		list = append(list, jidOf(e))
	}
	return list
}

// jidOf is the JID of an entry, or "" for bytes that are no job.
func jidOf(e queue.Entry) string {
	if e.Job == nil {
		return ""
	}
	return e.Job.JID
}

// String says what would be done: Delete 12,345 jobs of retries with host:x.
func (r Request) String() string {
	verb := strings.ToUpper(string(r.Verb[:1])) + string(r.Verb[1:])
	things := map[Verb]string{Pause: "queue", Unpause: "queue", Quiet: "process", Stop: "process"}
	if thing, ok := things[r.Verb]; ok {
		return verb + " " + named(thing, r.Names)
	}
	if len(r.Jobs) > 0 {
		return fmt.Sprintf("%s %s of %s", verb, named("job", r.JIDs()), r.Set)
	}
	all, jobs := "", "jobs"
	if r.Filter == "" {
		all = "all "
	}
	if r.Count == 1 {
		all, jobs = "", "job"
	}
	line := fmt.Sprintf("%s %s%s %s of %s", verb, all, text.Grouped(int64(r.Count)), jobs, r.Set)
	if r.Filter != "" {
		line += " with " + r.Filter
	}
	return line
}

// named are things: the job 0a1b, or 3 jobs.
func named(thing string, names []string) string {
	plural := thing + "s"
	if thing == "process" {
		plural = "processes"
	}
	if len(names) == 1 {
		return "the " + thing + " " + names[0]
	}
	return text.Grouped(int64(len(names))) + " " + plural
}
