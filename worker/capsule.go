package worker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// QueueWeight is a queue in a capsule's list. Weight 0 is no weight.
type QueueWeight struct {
	Name   string
	Weight int
}

// Capsule is a set of queues and the threads that serve them.
type Capsule struct {
	Name        string // "default" if empty
	Concurrency int
	Queues      []QueueWeight // in order; a name that comes again counts once, or adds its weight
}

// Mode is how a capsule picks the queue to take a job from.
type Mode string

const (
	Strict   Mode = "strict"   // the first queue that has a job
	Weighted Mode = "weighted" // at random by weight, drawn anew for every job
	Random   Mode = "random"   // at random
)

// Mode follows Sidekiq 7's rules: without any weight strict, with all weights 1
// random, else weighted.
func (c *Capsule) Mode() Mode {
	none, ones := true, true
	for _, q := range c.Queues {
		none = none && q.Weight == 0
		ones = ones && q.Weight == 1
	}
	switch {
	case none:
		return Strict
	case ones:
		return Random
	default:
		return Weighted
	}
}

// names are the queues without repetition, in order.
func (c *Capsule) names() []string {
	var names []string
	for _, q := range c.Queues {
		if !slices.Contains(names, q.Name) {
			names = append(names, q.Name)
		}
	}
	return names
}

// Weights sums the weights by queue; no weight counts as 1 beside queues that
// have one, and as 0 in strict mode.
func (c *Capsule) weights() map[string]int {
	w := map[string]int{}
	for _, q := range c.Queues {
		if c.Mode() == Strict {
			w[q.Name] = 0
		} else {
			w[q.Name] += max(q.Weight, 1)
		}
	}
	return w
}

// draws gives n orders of queues, each drawn as Sidekiq draws: shuffle the list
// in which every queue stands as often as its weight, keep the first of each.
// The bytes are 1-based indexes into names. Nil in strict mode.
func (c *Capsule) draws(n int) []string {
	if c.Mode() == Strict {
		return nil
	}
	names, weights := c.names(), c.weights()
	var all []byte
	for i, name := range names {
		for range weights[name] {
			all = append(all, byte(i+1))
		}
	}
	draws := make([]string, n)
	for i := range draws {
		rand.Shuffle(len(all), func(a, b int) { all[a], all[b] = all[b], all[a] })
		order := make([]byte, 0, len(names))
		for _, q := range all {
			if !slices.Contains(order, q) {
				order = append(order, q)
			}
		}
		draws[i] = string(order)
	}
	return draws
}

const (
	maxConcurrency = 2000 // more threads than one record of a process can show
	maxQueues      = 200
	maxWeight      = 1000
)

func (c *Capsule) validate() error {
	var problems []error
	bad := func(format string, args ...any) {
		problems = append(problems, fmt.Errorf("capsule %s: "+format,
			append([]any{c.Name}, args...)...))
	}
	if c.Concurrency < 1 || c.Concurrency > maxConcurrency {
		bad("concurrency %d: want 1 to %d threads", c.Concurrency, maxConcurrency)
	}
	if len(c.Queues) == 0 {
		bad("no queues: name at least one")
	}
	if len(c.names()) > maxQueues {
		bad("%d queues: want at most %d", len(c.names()), maxQueues)
	}
	for _, q := range c.Queues {
		if !envelope.QueueName(q.Name) {
			bad("queue %q: want 1 to 512 bytes without a line break", q.Name)
		}
		if q.Weight < 0 || q.Weight > maxWeight {
			bad("queue %s: weight %d: want 0 to %d", q.Name, q.Weight, maxWeight)
		}
	}
	return errors.Join(problems...)
}

func (c *Capsule) record() queue.CapsuleRecord {
	return queue.CapsuleRecord{Name: c.Name, Concurrency: c.Concurrency, Mode: string(c.Mode()),
		Weights: c.weights(), Queues: c.names()}
}
