package worker

import (
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/kyujobs/kyu/internal/protocol"
	"github.com/kyujobs/kyu/queue"
)

// Floor is what a queue gets besides its place in strict order. The zero Floor gives nothing.
type Floor struct {
	// Share of the jobs that the capsule takes, 0 to 0.75, while the queue holds jobs: of any 1,000
	// jobs that start one after the other in a process, at least so many are of the queue. It holds
	// for capsules of up to 100 threads, and on average for larger ones. The shares of a capsule
	// add up to at most 0.75.
	Share float64
	// Max is the most threads that jobs of the queue take at a time; 0: no bound.
	Max int
	// Late is the age of the oldest job from which on the share is at least a quarter. The age is
	// read once a second. 0: it does not matter.
	Late time.Duration
}

// maxShare is the most that the floors of a capsule may give away, in thousandths. The queues
// before them get the rest.
const maxShare = 750

// minLate is the shortest lateness: the age is read once a second.
const minLate = time.Second

// thousandths returns the share as package protocol has it.
func (f Floor) thousandths() int { return int(math.Round(f.Share * 1000)) }

// validateFloors joins all problems of the floors of a capsule.
func (c *Capsule) validateFloors() error {
	var problems []error
	bad := func(q QueueWeight, format string, args ...any) {
		problems = append(problems, fmt.Errorf("capsule %s: queue %s: "+format,
			append([]any{c.Name, q.Name}, args...)...))
	}
	total, seen := 0, map[string]bool{}
	for _, q := range c.Queues {
		f := q.Floor
		if f != (Floor{}) && seen[q.Name] {
			bad(q, "a floor of a queue that is named twice: name it once")
		}
		seen[q.Name] = true
		if f == (Floor{}) {
			continue
		}
		if c.Mode() != Strict {
			bad(q, "a floor wants strict order: leave out the weights")
		}
		if f.Share < 0 || f.Share > 1 || f.Share > 0 && f.thousandths() == 0 {
			bad(q, "floor %g%%: want 0.1%% to 75%%", f.Share*100)
		}
		if f.Max < 0 || f.Max > c.Concurrency {
			bad(q, "max %d: want 1 to %d, the threads of the capsule", f.Max, c.Concurrency)
		}
		if f.Late != 0 && f.Late < minLate {
			bad(q, "late %v: want %v or more", f.Late, minLate)
		}
		total += f.thousandths()
	}
	if total > maxShare {
		problems = append(problems, fmt.Errorf("capsule %s: the floors add up to %g%%: want at "+
			"most %d%%, because the queues before them get the rest", c.Name, float64(total)/10,
			maxShare/10))
	}
	return errors.Join(problems...)
}

// floors returns the floors of the capsule as package protocol has them. queues are those of the
// process.
func (c *Capsule) floors(queues []string) (list []protocol.Floor) {
	for _, q := range c.Queues {
		if q.Floor != (Floor{}) {
			list = append(list, protocol.Floor{Queue: indexes(queues, []string{q.Name})[0],
				Name: q.Name, Share: q.Floor.thousandths(), Max: q.Floor.Max})
		}
	}
	return list
}

// floorRecords returns the floors of the capsule as the process's record in Redis shows them.
func (c *Capsule) floorRecords() map[string]queue.FloorRecord {
	list := map[string]queue.FloorRecord{}
	for _, q := range c.Queues {
		if f := q.Floor; f != (Floor{}) {
			list[q.Name] = queue.FloorRecord{Share: f.Share, Max: f.Max, Late: f.Late.Seconds()}
		}
	}
	return list
}
