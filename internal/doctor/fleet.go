package doctor

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
)

// longWait is the age of a queue's oldest job from which doctor warns.
const longWait = time.Minute

// Fleet looks at the queues, and at the processes that serve them.
func (e *Examination) Fleet(ctx context.Context) {
	list, err := e.Inspector.Processes(ctx)
	if err != nil {
		e.bad(Wrong, "processes", "allow the user to read Sidekiq's keys (docs/redis.md)",
			"they cannot be read: %v", err)
		return
	}
	e.queues(ctx, list)
	e.held(ctx)
	e.processes(ctx, list)
	for _, p := range list {
		e.life(p, time.Now())
	}
	e.longRuns(ctx)
}

// queues looks for jobs that no process takes.
func (e *Examination) queues(ctx context.Context, processes []inspect.Process) {
	queues, err := e.Inspector.Queues(ctx)
	if err != nil {
		e.bad(Wrong, "queues", "allow the user to read Sidekiq's keys (docs/redis.md)",
			"they cannot be read: %v", err)
		return
	}
	by := map[string]service{}
	for _, p := range processes {
		for _, q := range p.Queues {
			if p.Quiet {
				by[q] = max(by[q], onlyQuiet)
			} else {
				by[q] = served
			}
		}
	}
	for _, q := range queues {
		e.queue(q, by[q.Name])
	}
	if len(queues) == 0 {
		e.good("queues", "they are empty")
	}
}

// service says how a queue is served.
type service int

const (
	unserved  service = iota
	onlyQuiet         // all processes that serve it are quiet
	served
)

func (e *Examination) queue(q inspect.QueueInfo, by service) {
	waited := time.Duration(q.Latency * float64(time.Second)).Round(100 * time.Millisecond)
	text := fmt.Sprintf("%s: %d jobs, the oldest waits for %v", q.Name, q.Size, waited)
	switch {
	case q.Paused:
		e.bad(Warning, "queues", "workerctl queue "+q.Name+" --unpause", "%s; it is paused", text)
	case by == onlyQuiet && q.Size > 0:
		e.bad(Wrong, "queues", "restart them, if they were not meant to stop", "%s, and all "+
			"processes that serve it are quiet", text)
	case by == unserved && q.Size > 0:
		e.bad(Wrong, "queues",
			"start one: worker -q "+q.Name+", or systemctl enable --now worker@"+q.Name,
			"%s, and no process serves it", text)
	case waited > longWait:
		e.bad(Warning, "queues", "more threads, or a process of its own: workerctl plan",
			"%s", text)
	case q.Size > 0:
		e.good("queues", "%s", text)
	}
}

func (e *Examination) held(ctx context.Context) {
	held, err := e.Inspector.HeldClasses(ctx)
	if err != nil {
		e.bad(Warning, "queues", "allow the user to read Kyu's keys (docs/redis.md)",
			"held jobs cannot be read: %v", err)
	}
	for _, h := range held {
		e.bad(Warning, "queues", "deploy a worker that knows it, then workerctl held "+h.Class+
			" release --all", "%d jobs of the class %s are held", h.Size, h.Class)
	}
}

// processes compares the threads of each process with its pool.
func (e *Examination) processes(ctx context.Context, list []inspect.Process) {
	workers, err := e.Inspector.Served(ctx)
	if err != nil {
		e.bad(Warning, "processes", "", "the pools of the workers cannot be read: %v", err)
	}
	if len(list) == 0 {
		e.bad(Warning, "processes", "start one: worker -q default, or systemctl start "+
			"worker.target", "no process runs")
	}
	for _, p := range list {
		own, ours := workers[p.Identity]
		size := own.Pool
		if !ours {
			size = e.rubyPool(p.Concurrency)
		}
		e.process(p, size)
	}
}

// process compares the threads of one process with its pool, 0 if it has none.
func (e *Examination) process(p inspect.Process, size int) {
	name := fmt.Sprintf("%s (%s)", p.Identity, strings.Join(p.Queues, ", "))
	switch {
	case size == 0:
		e.good("processes", "%s has %d threads and no Postgres", name, p.Concurrency)
		return
	case size < p.Concurrency:
		e.bad(Wrong, "processes", fmt.Sprintf("set DB_POOL=%d in its environment", p.Concurrency),
			"%s has %d threads and a pool of %d: threads wait for connections", name,
			p.Concurrency, size)
	case p.Quiet:
		e.bad(Warning, "processes", "it takes no more jobs: if it was not meant to stop, "+
			"restart it", "%s is quiet", name)
	default:
		e.good("processes", "%s has %d threads and a pool of %d", name, p.Concurrency, size)
	}
	// A thread needs one connection, and a larger pool opens no more.
	if e.pooled == nil || e.pooled[p.Identity] {
		e.Pools = append(e.Pools, Pool{name, min(size, p.Concurrency)})
	}
}

// rubyPool is the pool of a process that does not publish it: DB_POOL or, as in Rails, the
// number of its threads.
func (e *Examination) rubyPool(threads int) int { return cmp.Or(e.RubyPool, threads) }
