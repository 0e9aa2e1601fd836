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
	"time"

	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/internal/version"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/pflag"
)

// Exit codes of Main.
const (
	ExitStopped  = 0 // asked to stop
	ExitBoot     = 1 // could not start
	ExitUsage    = 2 // wrong flags or configuration
	ExitGaveUp   = 3 // too many stuck handlers, or too much memory: start a new process
	bootDeadline = 15 * time.Second
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

	// Configure, if set, reads further settings. threads is what a pool of
	// database connections must hold.
	Configure func(s *Settings, threads int)
	// Open, if set, connects what handlers need, before the first job. It
	// returns what is to be done after the last.
	Open func(ctx context.Context, b *Boot) (closer func(), err error)
	// Adjust, if set, changes the worker's configuration: hooks, handlers of
	// errors and deaths.
	Adjust func(c *worker.Config)

	Stdout, Stderr io.Writer
	Getenv         func(string) string
}

// Boot is what Open gets.
type Boot struct {
	Threads int
	Log     *slog.Logger
	Mux     *worker.Mux
	Store   *queue.Store
	Dev     string                // the URL of the Redis if it is embedded, else empty
	Metrics prometheus.Registerer // takes collectors of the program's own for --http
}

// New makes a program.
func New(name string) *App {
	return &App{Name: name, Mux: worker.NewMux(), Flags: newFlagSet(name),
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

func (a *App) fail(err error) int {
	for _, line := range problemLines(err) {
		fmt.Fprintf(a.Stderr, "%s: %s\n", a.Name, line)
	}
	return ExitBoot
}

// problemLines takes joined errors apart.
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
	if a.Getenv("GOGC") == "" {
		debug.SetGCPercent(200) // the heap is small: collecting it less often costs a few MB
	}
	boot, cancel := context.WithTimeout(ctx, bootDeadline)
	defer cancel()
	log := slog.New(newHandler(a.Stdout, s.logFormat, s.logLevel, a.Getenv))
	a.limitMemory(log)
	embedded := ""
	if s.dev {
		stop, err := s.embed()
		if err != nil {
			return a.fail(err)
		}
		defer stop()
		embedded = s.redis.URL
		log.Warn("--dev: an embedded Redis, in memory only: all jobs are gone when this process "+
			"ends", "redis", s.redis.URL)
	}
	store, err := queue.Open(boot, s.redis)
	if err != nil {
		return a.fail(err)
	}
	defer store.Close()
	store.SetDeadLimits(s.deadMax, s.deadAge)
	for _, w := range s.warnings {
		log.Warn(w)
	}
	if p := store.Server().Policy; p != "" && p != "noeviction" {
		log.Warn("Redis may throw jobs away when it is full: set maxmemory-policy to noeviction",
			"maxmemory-policy", p)
	}
	m, stopHTTP, err := a.monitor(s, store, log)
	if err != nil {
		return a.fail(err)
	}
	defer stopHTTP()
	if a.Open != nil {
		closer, err := a.Open(boot, &Boot{s.worker.Threads(), log, a.Mux, store, embedded,
			m.Registry()})
		if err != nil {
			return a.fail(err)
		}
		if closer != nil {
			defer closer()
		}
	}
	c := s.worker
	c.Mux, c.Logger, c.Version = a.Mux, log, "kyu "+version.Number
	if a.Adjust != nil {
		a.Adjust(&c)
	}
	if s.http != "" {
		c.Observer = worker.Observers(c.Observer, m)
	}
	runner, err := worker.New(store, c)
	if err != nil {
		return a.usage(err)
	}
	m.Watch(runner)
	if s.check {
		log.Info("--check: the configuration is right, and everything answers")
		return ExitStopped
	}
	a.announce(log, s, store)
	return a.run(ctx, runner, s.worker.Timeout, log)
}

// announce says at boot what runs, and in which mode each capsule takes jobs.
func (a *App) announce(log *slog.Logger, s *settings, store *queue.Store) {
	log.Info("Booted "+a.Name+" "+a.version(), "redis", store.Server().Addr,
		"redis_version", store.Server().Version,
		"environment", s.environment, "threads", s.worker.Threads(), "classes",
		len(a.Mux.Classes()))
	for _, c := range s.worker.Capsules {
		log.Info("Serving", "capsule", c.Name, "concurrency", c.Concurrency,
			"mode", string(c.Mode()), "queues", queueList(c.Queues))
	}
}

func (a *App) run(ctx context.Context, runner *worker.Runner, timeout time.Duration,
	log *slog.Logger) int {
	watch, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	watched := make(chan struct{})
	go func() { // ends with watch, below
		defer close(watched)
		a.watch(watch, runner, timeout, log)
	}()
	err := runner.Run(ctx)
	stopWatching()
	<-watched
	switch {
	case errors.Is(err, worker.ErrStuck), errors.Is(err, worker.ErrMemory):
		fmt.Fprintf(a.Stderr, "%s: %v\n", a.Name, err)
		return ExitGaveUp
	case err != nil:
		return a.fail(err)
	}
	return ExitStopped
}
