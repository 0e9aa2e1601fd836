package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
)

// longWait is the age of a queue's oldest job from which doctor warns.
const longWait = time.Minute

// fleet looks at the queues, and at the processes that serve them.
func (e *examination) fleet(ctx context.Context) {
	list, err := e.inspector.Processes(ctx)
	if err != nil {
		e.bad(wrong, "processes", "allow the user to read Sidekiq's keys (docs/redis.md)",
			"they cannot be read: %v", err)
		return
	}
	e.queues(ctx, list)
	e.held(ctx)
	e.processes(ctx, list)
}

// queues looks for jobs that no process takes.
func (e *examination) queues(ctx context.Context, processes []inspect.Process) {
	queues, err := e.inspector.Queues(ctx)
	if err != nil {
		e.bad(wrong, "queues", "allow the user to read Sidekiq's keys (docs/redis.md)",
			"they cannot be read: %v", err)
		return
	}
	served := map[string]bool{}
	for _, p := range processes {
		for _, q := range p.Queues {
			served[q] = served[q] || !p.Quiet
		}
	}
	for _, q := range queues {
		e.queue(q, served[q.Name])
	}
	if len(queues) == 0 {
		e.good("queues", "they are empty")
	}
}

func (e *examination) queue(q inspect.QueueInfo, served bool) {
	waited := time.Duration(q.Latency * float64(time.Second)).Round(100 * time.Millisecond)
	text := fmt.Sprintf("%s: %d jobs, the oldest waits for %v", q.Name, q.Size, waited)
	switch {
	case q.Paused:
		e.bad(warning, "queues", "workerctl queue "+q.Name+" --unpause", "%s; it is paused", text)
	case !served && q.Size > 0:
		e.bad(wrong, "queues",
			"start one: worker -q "+q.Name+", or systemctl enable --now worker@"+q.Name,
			"%s, and no process serves it", text)
	case waited > longWait:
		e.bad(warning, "queues", "more threads, or a process of its own: workerctl plan",
			"%s", text)
	case q.Size > 0:
		e.good("queues", "%s", text)
	}
}

func (e *examination) held(ctx context.Context) {
	held, err := e.inspector.HeldClasses(ctx)
	if err != nil {
		e.bad(warning, "queues", "allow the user to read Kyu's keys (docs/redis.md)",
			"held jobs cannot be read: %v", err)
	}
	for _, h := range held {
		e.bad(warning, "queues", "deploy a worker that knows it, then workerctl held "+h.Class+
			" release --all", "%d jobs of the class %s are held", h.Size, h.Class)
	}
}

// processes compares the threads of each process with its pool.
func (e *examination) processes(ctx context.Context, list []inspect.Process) {
	served, err := e.inspector.Served(ctx)
	if err != nil {
		e.bad(warning, "processes", "", "the pools of the workers cannot be read: %v", err)
	}
	if len(list) == 0 {
		e.bad(warning, "processes", "start one: worker -q default, or systemctl start "+
			"worker.target", "no process runs")
	}
	for _, p := range list {
		own, ours := served[p.Identity]
		size := own.Pool
		if !ours {
			size = e.rubyPool(p.Concurrency)
		}
		e.process(p, size)
	}
}

// process compares the threads of one process with its pool, 0 if it has none.
func (e *examination) process(p inspect.Process, size int) {
	name := fmt.Sprintf("%s (%s)", p.Identity, strings.Join(p.Queues, ", "))
	switch {
	case size == 0:
		e.good("processes", "%s has %d threads and no Postgres", name, p.Concurrency)
		return
	case size < p.Concurrency:
		e.bad(wrong, "processes", fmt.Sprintf("set DB_POOL=%d in its environment", p.Concurrency),
			"%s has %d threads and a pool of %d: threads wait for connections", name,
			p.Concurrency, size)
	case p.Quiet:
		e.bad(warning, "processes", "it takes no more jobs: if it was not meant to stop, "+
			"restart it", "%s is quiet", name)
	default:
		e.good("processes", "%s has %d threads and a pool of %d", name, p.Concurrency, size)
	}
	e.pools = append(e.pools, pool{name, size})
}

// rubyPool is the pool of a process that does not publish it: DB_POOL or, as in Rails, the
// number of its threads.
func (e *examination) rubyPool(threads int) int {
	if n := e.number("DB_POOL"); n > 0 {
		return n
	}
	return threads
}
