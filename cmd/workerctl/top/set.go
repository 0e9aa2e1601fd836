package top

import (
	"strings"

	"github.com/kyujobs/kyu/queue/inspect"
)

// Set names the jobs of a view: "retries", "scheduled", "dead", "held CLASS" or "queue NAME".
type Set string

// The sets that have one name.
const (
	Retries   Set = "retries"
	Scheduled Set = "scheduled"
	Dead      Set = "dead"
)

// HeldSet is the set of the held jobs of a class.
func HeldSet(class string) Set { return Set("held " + class) }

// QueueSet is a queue as a set of jobs.
func QueueSet(name string) Set { return Set("queue " + name) }

// Class is the class of held jobs.
func (s Set) Class() (name string, ok bool) { return strings.CutPrefix(string(s), "held ") }

// Queue is the name of a queue.
func (s Set) Queue() (name string, ok bool) { return strings.CutPrefix(string(s), "queue ") }

// kind is the kind of place that the set is.
func (s Set) kind() inspect.PlaceKind {
	switch word, _, _ := strings.Cut(string(s), " "); word {
	case "held":
		return inspect.InHold
	case "queue":
		return inspect.InQueue
	default:
		return inspect.PlaceKind(s)
	}
}
