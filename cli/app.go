// Package cli is the command line of a worker program: flags, sidekiq.yml,
// environment, logs, signals and systemd around package worker. A program of
// your own is ten lines of main; see examples/.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/kyujobs/kyu/capability/cron"
	"github.com/kyujobs/kyu/capability/lanes"
	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/internal/version"
	"github.com/kyujobs/kyu/monitor"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
)

// Exit codes of Main.
const (
	ExitStopped = 0 // asked to stop
	ExitBoot    = 1 // could not start: Redis, a database or a port
	ExitUsage   = 2 // wrong flags or configuration
	ExitGaveUp  = 3 // too many stuck handlers, or too much memory: start a new process
)

// bootDeadline is how long the connections of the boot may take.
const bootDeadline = 15 * time.Second

// loadingEvery is how often a Redis that loads its data is asked again, and loadingExtends asks
// systemd for more time than that.
const (
	loadingEvery   = time.Second
	loadingExtends = "EXTEND_TIMEOUT_USEC=30000000"
)

// Settings reads settings from the environment, notes them for --print-config,
// and collects problems.
type Settings = env.Reader

// App is a worker program. Register handlers on Mux, then call Main.
type App struct {
	Name    string
	Version string // the program's own; Kyu's if empty
	Mux     *worker.Mux
	Flags   *pflag.FlagSet // add flags of your own before Main
	// Capabilities are those of the Store. New sets the one for the locks of unique jobs, whose
	// middleware is the outermost of Mux, the one for schedules, because a process may run jobs
	// that another process's schedule pushed, and the one for lanes.
	Capabilities []queue.Capability

	// Configure, if set, reads further settings. c has the capsules, whose queues and threads
	// are read before: a pool of database connections needs one connection per thread.
	Configure func(s *Settings, c worker.Config)
	// Open, if set, opens the connections of the handlers before the first job. Its
	// context ends 15 seconds after it is called, or when a signal stops the process. The
	// closer, if it is not nil, is called after the last job. After an error the program
	// exits with ExitBoot.
	Open func(ctx context.Context, b *Boot) (closer func(), err error)
	// Adjust, if set, changes the worker's configuration after all flags are read: it
	// may add hooks, and handlers of errors and deaths.
	Adjust func(c *worker.Config)

	// Schedule, if set, are jobs that the program pushes at set times, unless --schedule names a
	// file. Run refuses a schedule with problems before it takes a job.
	Schedule *cron.Schedule

	// Lanes, if set, returns the rules of queues that have none in Redis, and that the
	// configuration does not name. c has the capsules.
	Lanes func(c worker.Config) map[string]lanes.Rule

	Stdout, Stderr io.Writer           // by default those of the process
	Getenv         func(string) string // by default os.Getenv
}

// Boot is the argument of App.Open.
type Boot struct {
	Threads int // of all capsules
	Log     *slog.Logger
	Mux     *worker.Mux
	Store   *queue.Store          // of the first shard
	Shards  *queue.Shards         // all shards; one without KYU_SHARDS
	Backend queue.Backend         // where jobs push: it places jobs in all shards
	Dev     string                // the URL of the embedded Redis; empty without --dev
	Metrics prometheus.Registerer // the program's own collectors, which --http then serves
}

// New makes a program with an empty Mux and without flags of its own.
func New(name string) *App {
	mux := worker.NewMux()
	mux.Use(unique.Middleware())
	return &App{Name: name, Mux: mux, Flags: newFlagSet(name),
		Capabilities: []queue.Capability{unique.Capability(), cron.Capability(),
			lanes.Capability()},
		Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv}
}

// Main runs the program with the process's arguments and exits.
func (a *App) Main() { os.Exit(a.Run(context.Background(), os.Args[1:])) }

// Run runs the program and returns its exit code. It returns when ctx ends or a
// signal stops it.
func (a *App) Run(ctx context.Context, args []string) int {
	o, err := a.parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return ExitStopped
	case err != nil:
		return a.usage(err)
	case o.version:
		fmt.Fprintf(a.Stdout, "%s %s\n", a.Name, a.version())
		return ExitStopped
	}
	s := a.resolve(o)
	if s.problems != nil {
		return a.usage(s.problems)
	}
	if o.printConfig {
		s.print(a.Stdout)
		return ExitStopped
	}
	return a.serve(ctx, s)
}

func (a *App) version() string {
	if a.Version != "" {
		return a.Version
	}
	return version.String()
}

func (a *App) usage(err error) int {
	for _, line := range problemLines(err) {
		fmt.Fprintf(a.Stderr, "%s: %s\n", a.Name, line)
	}
	fmt.Fprintf(a.Stderr, "Nothing was started. `%s --help` lists the flags.\n", a.Name)
	return ExitUsage
}

// fail prints why the program does not start. If a signal ended the boot, that is the reason, and
// no error is.
func (a *App) fail(boot context.Context, err error) int {
	if errors.Is(context.Cause(boot), errSignal) {
		return ExitBoot
	}
	for _, line := range problemLines(err) {
		fmt.Fprintf(a.Stderr, "%s: %s\n", a.Name, line)
	}
	return ExitBoot
}

// problemLines gives a line for each of joined errors.
func problemLines(err error) []string {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		var lines []string
		for _, e := range joined.Unwrap() {
			lines = append(lines, problemLines(e)...)
		}
		return lines
	}
	return []string{err.Error()}
}

// serve connects and runs until it is stopped.
func (a *App) serve(ctx context.Context, s *settings) int {
	a.collectLess()
	log := slog.New(newHandler(a.logTo(), s.logFormat, s.logLevel, a.Getenv))
	boot, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	w := a.newWatcher(stop, s.worker.Timeout, log)
	watch, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	watched := make(chan struct{})
	go func() { // ends with watch, below
		defer close(watched)
		w.Run(watch)
	}()
	defer func() {
		stopWatching()
		<-watched
	}()
	code := a.bootAndRun(ctx, boot, s, w, log)
	if code != ExitStopped && errors.Is(context.Cause(boot), errSignal) {
		log.Info("Stopped before the first job was taken. Bye!")
		return ExitStopped
	}
	return code
}

// bootAndRun connects, and runs the worker until ctx ends or a signal stops it. boot ends when a
// signal stops the process before the worker runs.
func (a *App) bootAndRun(ctx, boot context.Context, s *settings, w *watcher,
	log *slog.Logger) int {
	a.limitMemory(log)
	stopRedis, err := s.embed(log)
	if err != nil {
		return a.fail(boot, err)
	}
	defer stopRedis()
	shards, err := connect(boot, s, a.Capabilities, w.systemd, log)
	if err != nil {
		return a.fail(boot, err)
	}
	defer shards.Close()
	m, stopHTTP, err := a.monitor(s, shards, log)
	if err != nil {
		return a.fail(boot, err)
	}
	defer stopHTTP()
	closer, err := a.open(boot, s, shards, m, log)
	if err != nil {
		return a.fail(boot, err)
	}
	defer closer()
	runner, err := a.runner(s, shards, m, log)
	if err != nil {
		return a.usage(err)
	}
	scheduler, err := s.scheduler(shards, log)
	if err != nil {
		return a.usage(err)
	}
	if s.check {
		log.Info("--check: the configuration is right, and everything answers")
		return ExitStopped
	}
	if boot.Err() != nil {
		return ExitBoot
	}
	if err := a.offerLanes(boot, s, shards, log); err != nil {
		return a.fail(boot, err)
	}
	a.announce(log, s, shards)
	w.started <- runner
	return a.run(ctx, runner, scheduler)
}

// collectLess lets the garbage collector run less often, unless GOGC is set: the heap is
// small, and this costs only a few MB.
func (a *App) collectLess() {
	if a.Getenv("GOGC") == "" {
		debug.SetGCPercent(200)
	}
}

// connect connects all shards that answer, and logs the warnings of the settings and of the
// servers. A Redis that loads its data is waited for, as long as that takes, if no other answers.
func connect(ctx context.Context, s *settings, capabilities []queue.Capability, manager *systemd,
	log *slog.Logger) (*queue.Shards, error) {
	shards, err := queue.NewShards(s.stores(capabilities))
	if err != nil {
		return nil, err
	}
	if err := connectShards(ctx, shards, manager, log); err != nil {
		shards.Close()
		return nil, err
	}
	for _, w := range s.warnings {
		log.Warn(w)
	}
	for _, shard := range shards.List() {
		shard.Store.SetDeadLimits(s.deadMax, s.deadAge)
		if p := shard.Store.Server().Policy; p != "" && p != "noeviction" {
			log.Warn("Redis may delete jobs when it is full: set maxmemory-policy to noeviction",
				"redis", shard.Store.Server().Addr, "maxmemory-policy", p)
		}
	}
	for _, name := range shards.Away() {
		log.Error("a shard does not answer: its jobs wait until it does", "shard", name)
	}
	return shards, nil
}

func connectShards(ctx context.Context, shards *queue.Shards, manager *systemd,
	log *slog.Logger) error {
	for told := false; ; told = true {
		boot, cancel := context.WithTimeout(ctx, bootDeadline)
		err := shards.Connect(boot)
		cancel()
		if err == nil {
			return nil
		}
		if !redisdb.IsLoading(err) || ctx.Err() != nil {
			return err
		}
		if !told {
			log.Warn("Redis still loads its data: waiting for it", "err", err)
		}
		manager.Send("STATUS=Redis still loads its data", loadingExtends)
		select {
		case <-time.After(loadingEvery):
		case <-ctx.Done():
			return err
		}
	}
}

// open opens the connections of the program's handlers.
func (a *App) open(ctx context.Context, s *settings, shards *queue.Shards, m *monitor.Monitor,
	log *slog.Logger) (closer func(), err error) {
	if a.Open == nil {
		return func() {}, nil
	}
	b := &Boot{Threads: s.worker.Threads(), Log: log, Mux: a.Mux, Shards: shards,
		Store: shards.List()[0].Store, Metrics: m.Registry()}
	placement := s.placement
	placement.Logger = log
	if b.Backend, err = b.Shards.Backend(placement); err != nil {
		return nil, err
	}
	if s.dev {
		b.Dev = s.shards[0].Config.URL
	}
	ctx, cancel := context.WithTimeout(ctx, bootDeadline)
	defer cancel()
	closer, err = a.Open(ctx, b)
	if closer == nil {
		closer = func() {}
	}
	return closer, err
}

// runner makes the worker, which the monitor then watches.
func (a *App) runner(s *settings, shards *queue.Shards, m *monitor.Monitor,
	log *slog.Logger) (*worker.Runner, error) {
	c := s.worker
	c.Mux, c.Logger, c.Version = a.Mux, log, "kyu "+version.Number
	c.Source = func(s *queue.Store) worker.Source { return lanes.New(s, log) }
	if a.Adjust != nil {
		a.Adjust(&c)
	}
	if s.http != "" {
		c.Observer = worker.Observers(c.Observer, m)
	}
	runner, err := worker.NewSharded(shards.List(), c)
	if err != nil {
		return nil, err
	}
	m.Watch(runner)
	return runner, nil
}

// announce logs the program, its shards, and the mode in which each capsule takes jobs.
func (a *App) announce(log *slog.Logger, s *settings, shards *queue.Shards) {
	var addrs, versions []string
	for _, shard := range shards.List() {
		if shard.Store.Connected() {
			addrs = append(addrs, shard.Store.Server().Addr)
			versions = append(versions, shard.Store.Server().Version)
		}
	}
	log.Info("Booted "+a.Name+" "+a.version(), "redis", strings.Join(addrs, ","),
		"redis_version", strings.Join(versions, ","),
		"environment", s.environment, "threads", s.worker.Threads(), "classes",
		len(a.Mux.Classes()))
	for _, c := range s.worker.Capsules {
		log.Info("Serving", "capsule", c.Name, "concurrency", c.Concurrency,
			"mode", string(c.Mode()), "queues", queueList(c.Queues))
	}
}

func (a *App) run(ctx context.Context, runner *worker.Runner, scheduler *cron.Scheduler) int {
	err := beside(ctx, runner, scheduler)
	switch {
	case errors.Is(err, worker.ErrStuck), errors.Is(err, worker.ErrMemory):
		fmt.Fprintf(a.Stderr, "%s: %v\n", a.Name, err)
		return ExitGaveUp
	case err != nil:
		return a.fail(ctx, err)
	}
	return ExitStopped
}
