package worker

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// QueueWeight is a queue in the list of a capsule.
type QueueWeight struct {
	Name   string // 1 to 512 bytes without a line break
	Weight int    // 0 to 1000; 0: no weight
	Floor  Floor  // in strict order
}

// Capsule is a set of queues and the threads that serve them.
type Capsule struct {
	Name        string // "default" if empty; unique in a Config
	Concurrency int    // the number of threads, 1 to 2000
	// Queues are the queues in order, 1 to 200. A repeated name counts once in strict mode, and
	// adds its weight in the other modes.
	Queues []QueueWeight
}

// Mode is how a capsule chooses the queue that it takes the next job from.
type Mode string

// The modes of a capsule.
const (
	Strict   Mode = "strict"   // the first queue that has a job
	Weighted Mode = "weighted" // at random by weight, drawn anew for every job
	Random   Mode = "random"   // at random
)

// Mode returns the mode by Sidekiq 7's rules: Strict if no queue has a weight, Random if all
// weights are 1, Weighted otherwise.
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

// names returns the queues without repetition, in order.
func (c *Capsule) names() []string {
	var names []string
	for _, q := range c.Queues {
		if !slices.Contains(names, q.Name) {
			names = append(names, q.Name)
		}
	}
	return names
}

// weights returns the sum of the weights of each queue. In strict mode it is 0; in the other modes
// a queue without a weight counts as 1.
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

// draws returns n random orders of the queues, each drawn as Sidekiq draws: it shuffles a list in
// which every queue stands as often as its weight, and keeps the first of each queue. The bytes are
// indexes into names, from 1. It returns nil in strict mode.
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
	maxConcurrency = 2000 // the record of a process in Redis shows no more threads
	maxQueues      = 200
	maxWeight      = 1000
)

// validate joins all problems of the capsule.
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
	return errors.Join(append(problems, c.validateFloors())...)
}

// record returns the capsule as the process's record in Redis shows it.
func (c *Capsule) record() queue.CapsuleRecord {
	return queue.CapsuleRecord{Name: c.Name, Concurrency: c.Concurrency, Mode: string(c.Mode()),
		Weights: c.weights(), Queues: c.names(), Floors: c.floorRecords()}
}
