package compare

import (
	"context"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// rival is one of those that are compared, Kyu too.
type rival struct {
	name    string
	promise string                // by its documentation, for a job whose worker is killed
	jobs    func(threads int) int // how many it is given: enough for a few seconds
	pusher  pusher
	store   store
	// start starts a worker process; nil for the bare loop, which runs in this one.
	start  func(threads int, pinned bool) (*exec.Cmd, error)
	jobLog bool // it logs its jobs, as it does by default
}

// load describes the jobs of a fill.
type load struct {
	bytes int // size of the arguments
	ms    int // how long each job waits
	// goTimer has the jobs wait for a timer of Go's runtime, else for one of the kernel, as
	// for the answer of a server.
	goTimer bool
}

// pusher gives jobs to a rival.
type pusher interface {
	// fill empties the store and pushes n jobs.
	fill(ctx context.Context, n int, l load) error
	// trickle pushes n jobs, 200 a second. Each adds a line to the file path: how many
	// microseconds it has waited.
	trickle(ctx context.Context, n int, path string) error
	// ledger pushes n jobs of ms milliseconds, which add their starts and ends to the file.
	ledger(ctx context.Context, n int, path string, ms int) error
}

// store is where a rival's jobs are.
type store interface {
	// left is how many jobs are not done yet. It may cost the store more than begun.
	left(ctx context.Context) (int64, error)
	// begun reports whether a worker has taken one of n jobs.
	begun(ctx context.Context, n int) (bool, error)
	// pid is the store's process.
	pid() int
}

// few gives fewer jobs to one thread than to several.
func few(one, several int) func(threads int) int {
	return func(threads int) int {
		if threads == 1 {
			return one
		}
		return several
	}
}

// rivals are all that are compared in this run.
func (c *comparison) rivals() []rival {
	if c.before != "" {
		return []rival{c.kyu("kyu before", c.before, c.flags[1]),
			c.kyu("kyu", c.worker, c.flags[0])}
	}
	bare := c.kyu("bare loop", "", "")
	bare.start = nil
	list := []rival{bare, c.kyu("kyu", c.worker, c.flags[0]), c.kyuWithJobLog()}
	if !c.noRuby {
		list = append(list, c.sidekiq("sidekiq", false), c.sidekiq("sidekiq, job log", true))
	}
	if c.program != "" {
		list = append(list, c.asynq(), c.river())
	}
	return list
}

// workers are the rivals that run jobs, without those that log them.
func (c *comparison) workers() []rival {
	return slices.DeleteFunc(c.rivals(), func(r rival) bool { return r.start == nil || r.jobLog })
}

func (c *comparison) kyu(name, worker, flags string) rival {
	lists := sidekiqLists{c.Lab}
	return rival{name: name, promise: "runs again", jobs: few(30_000, 200_000), pusher: lists,
		store: lists, start: c.startKyu(worker, flags, "warn")}
}

func (c *comparison) kyuWithJobLog() rival {
	r := c.kyu("kyu, job log", c.worker, c.flags[0])
	r.jobs, r.start, r.jobLog = few(15_000, 100_000), c.startKyu(c.worker, c.flags[0], "info"), true
	return r
}

func (c *comparison) startKyu(worker, flags, level string) func(int, bool) (*exec.Cmd, error) {
	return func(threads int, pinned bool) (*exec.Cmd, error) {
		return c.Spawn(pinned, nil, worker, kyuArgs(threads, flags, level)...)
	}
}

// kyuArgs are the arguments of a worker with flags that are one text.
func kyuArgs(threads int, flags, level string) []string {
	return append([]string{"--test-jobs", "-c", strconv.Itoa(threads), "--log-level", level},
		strings.Fields(flags)...)
}

func (c *comparison) sidekiq(name string, jobLog bool) rival {
	lists := sidekiqLists{c.Lab}
	return rival{name: name, promise: "is lost (BRPOP)", jobs: few(25_000, 25_000), pusher: lists,
		store: lists, jobLog: jobLog,
		start: func(threads int, pinned bool) (*exec.Cmd, error) {
			return c.SpawnSidekiq(pinned, jobLog, "-q", "default", "-c", strconv.Itoa(threads))
		}}
}

func (c *comparison) asynq() rival {
	keys := asynqKeys{program{c, "asynq"}}
	return rival{name: "asynq", promise: "runs again, costs a retry", jobs: few(10_000, 40_000),
		pusher: keys, store: keys, start: keys.start}
}

func (c *comparison) river() rival {
	table := riverTable{program{c, "river"}}
	return rival{name: "river", promise: "runs again after an hour", jobs: few(2000, 20_000),
		pusher: table, store: table, start: table.start}
}
