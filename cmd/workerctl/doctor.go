package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// Levels of a finding, from best to worst.
const (
	good    = "good"
	warning = "warning"
	wrong   = "wrong"
)

// verdictError is doctor's exit code: 1 for warnings, 2 if something is wrong.
type verdictError int

func (v verdictError) Error() string { return fmt.Sprintf("exit code %d", int(v)) }

// finding is one line of doctor's.
type finding struct {
	Level  string `json:"level"`
	About  string `json:"about"`
	Text   string `json:"text"`
	Remedy string `json:"remedy,omitempty"`
}

// examination is one run of doctor.
type examination struct {
	*ctl
	findings []finding
	pools    []pool // of all processes that open connections to Postgres
}

// pool is what one or several processes may open.
type pool struct {
	who         string
	connections int
}

func (e *examination) good(about, format string, args ...any) {
	e.findings = append(e.findings, finding{good, about, fmt.Sprintf(format, args...), ""})
}

func (e *examination) bad(level, about, remedy, format string, args ...any) {
	e.findings = append(e.findings, finding{level, about, fmt.Sprintf(format, args...), remedy})
}

// doctor examines the running system. What it cannot reach is a finding too.
func (c *ctl) doctor(ctx context.Context, words []string) error {
	if len(words) > 0 {
		return fmt.Errorf("%w: doctor takes no arguments", errUsage)
	}
	if c.envFile != "" {
		if err := c.readEnvFile(); err != nil {
			return fmt.Errorf("%w: %w", errUsage, err)
		}
	}
	e := &examination{ctl: c}
	others, err := c.otherPools()
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	config := queue.ConfigFromEnv(c.env)
	cache := queue.RedisFromEnv(c.env, "cache redis", "CACHE_")
	base, err := e.databaseConfig()
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if store, err := queue.Open(ctx, config); err != nil {
		e.bad(wrong, "redis", "start it, or set REDIS_URL to where it is", "%v", err)
	} else {
		defer store.Close()
		c.store = store
		e.redis(ctx, cache)
		if list, err := inspect.New(store).Processes(ctx); err != nil {
			e.bad(wrong, "processes", "allow the user to read Sidekiq's keys (docs/redis.md)",
				"they cannot be read: %v", err)
		} else {
			e.queues(ctx, list)
			e.processes(ctx, list)
		}
	}
	e.pools = append(e.pools, others...)
	e.postgres(ctx, base)
	return e.report()
}

// report prints the findings, the worst last, and makes the exit code of them.
func (e *examination) report() error {
	worst := verdictError(0)
	levels := map[string]verdictError{good: 0, warning: 1, wrong: 2}
	for _, f := range e.findings {
		worst = max(worst, levels[f.Level])
	}
	if e.json {
		if err := e.print(append([]finding{}, e.findings...)); err != nil {
			return err
		}
	} else {
		for _, f := range e.findings {
			fmt.Fprintf(e.out, "%-8s %-10s %s\n", f.Level, f.About, printable(f.Text))
			if f.Remedy != "" {
				fmt.Fprintf(e.out, "%-8s %-10s → %s\n", "", "", printable(f.Remedy))
			}
		}
	}
	if worst > 0 {
		return worst
	}
	return nil
}

// redis looks at the server that holds the queues.
func (e *examination) redis(ctx context.Context, cache queue.Config) {
	info, err := e.store.DB().Info(ctx)
	if err != nil {
		e.bad(warning, "redis", "allow +info to the user (docs/redis.md)",
			"it does not say how it is: %v", err)
		return
	}
	e.good("redis", "version %s at %s", info.Version, e.store.Server().Addr)
	switch {
	case info.Policy == "":
		e.bad(warning, "redis", "check that maxmemory-policy is noeviction",
			"it does not say its eviction policy")
	case info.Policy != "noeviction":
		e.bad(wrong, "redis", "CONFIG SET maxmemory-policy noeviction, and the same in "+
			"redis.conf; a cache that should be evicted belongs on a server of its own "+
			"(CACHE_REDIS_URL)",
			"it evicts (%s): when it is full, jobs are thrown away without a word", info.Policy)
	default:
		e.good("redis", "it does not evict")
	}
	e.persistence(info)
	e.memory(info)
	other, err := cache.Redis(1)
	if err != nil {
		e.bad(wrong, "redis", "mend CACHE_REDIS_URL", "%v", err)
		return
	}
	defer other.Close()
	if id, err := redisdb.RunID(ctx, other); err != nil {
		e.bad(warning, "redis", "check CACHE_REDIS_URL",
			"the cache's Redis does not answer: %v", err)
	} else if id == info.RunID {
		e.bad(warning, "redis", "give the cache a server of its own with maxmemory-policy "+
			"allkeys-lru, and set CACHE_REDIS_URL", "cache and queues share one server: neither "+
			"policy suits both")
	} else {
		e.good("redis", "cache and queues are on servers of their own")
	}
}

func (e *examination) persistence(info redisdb.ServerInfo) {
	switch {
	case info.AOF && info.AOFFailed:
		e.bad(wrong, "redis", "look at its log and at the disk",
			"the last write of the append-only file failed")
	case info.AOF:
		e.good("redis", "it writes an append-only file: a crash costs at most a second of pushes")
	case info.Snapshots == "":
		e.bad(wrong, "redis", "CONFIG SET appendonly yes, and the same in redis.conf",
			"it keeps nothing on disk: a restart of Redis loses all jobs")
	default:
		e.bad(warning, "redis", "CONFIG SET appendonly yes, and the same in redis.conf",
			"it only makes snapshots (save %s): a crash loses the jobs since the last",
			info.Snapshots)
	}
}

func (e *examination) memory(info redisdb.ServerInfo) {
	limit, what := info.MaxMemory, "maxmemory"
	if limit == 0 {
		limit, what = info.SystemMemory, "the machine's memory"
	}
	if limit == 0 {
		return
	}
	percent := info.UsedMemory * 100 / limit
	text := fmt.Sprintf("it uses %d MB, %d %% of %s", info.UsedMemory>>20, percent, what)
	switch {
	case percent >= 90:
		e.bad(wrong, "redis", "give it more memory, or find what fills it: workerctl queues, "+
			"dead, retries", "%s: pushes will be refused soon", text)
	case percent >= 70:
		e.bad(warning, "redis", "give it more memory before it is full", "%s", text)
	default:
		e.good("redis", "%s", text)
	}
}

// longWait is the age of a queue's oldest job that is worth a word.
const longWait = time.Minute

// queues looks for jobs that nobody takes.
func (e *examination) queues(ctx context.Context, processes []inspect.Process) {
	queues, err := inspect.New(e.store).Queues(ctx)
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
		waited := time.Duration(q.Latency * float64(time.Second)).Round(100 * time.Millisecond)
		text := fmt.Sprintf("%s: %d jobs, the oldest waits for %v", q.Name, q.Size, waited)
		switch {
		case q.Paused:
			e.bad(warning, "queues", "workerctl queue "+q.Name+" --unpause",
				"%s; it is paused", text)
		case !served[q.Name] && q.Size > 0:
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
	if len(queues) == 0 {
		e.good("queues", "they are empty")
	}
	if held, err := inspect.New(e.store).HeldClasses(ctx); err == nil {
		for _, h := range held {
			e.bad(warning, "queues", "deploy a worker that knows it, then workerctl held "+h.Class+
				" release", "%d jobs of the class %s are held", h.Size, h.Class)
		}
	}
}

// processes compares each one's threads with its pool.
func (e *examination) processes(ctx context.Context, list []inspect.Process) {
	served, err := inspect.New(e.store).Served(ctx)
	if err != nil {
		e.bad(warning, "processes", "", "what workers say of themselves cannot be read: %v", err)
	}
	if len(list) == 0 {
		e.bad(warning, "processes", "start one: worker -q default, or systemctl start "+
			"worker.target", "no process runs")
	}
	for _, p := range list {
		who := fmt.Sprintf("%s (%s)", p.Identity, strings.Join(p.Queues, ", "))
		own, ours := served[p.Identity]
		size := own.Pool
		if !ours || size == 0 {
			size = e.rubyPool(p.Concurrency)
		}
		switch {
		case ours && own.Pool == 0:
			e.good("processes", "%s has %d threads and no Postgres", who, p.Concurrency)
			continue
		case size < p.Concurrency:
			e.bad(wrong, "processes", fmt.Sprintf("set DB_POOL=%d where it is started",
				p.Concurrency),
				"%s has %d threads and a pool of %d: threads wait for connections", who,
				p.Concurrency, size)
		case p.Quiet:
			e.bad(warning, "processes", "it takes no more jobs: if it was not meant to stop, "+
				"restart it", "%s is quiet", who)
		default:
			e.good("processes", "%s has %d threads and a pool of %d", who, p.Concurrency, size)
		}
		e.pools = append(e.pools, pool{who, size})
	}
}

// rubyPool is the pool of a process that does not say: DB_POOL, or, as in Rails,
// its threads.
func (e *examination) rubyPool(threads int) int {
	if n := e.number("DB_POOL"); n > 0 {
		return n
	}
	return threads
}
