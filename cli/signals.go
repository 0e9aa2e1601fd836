package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"github.com/kyujobs/kyu/internal/sdnotify"
	"github.com/kyujobs/kyu/worker"
)

// errSignal is the cause with which the boot ends when a signal stops the process.
var errSignal = errors.New("a signal stopped the process before it was ready")

// watcher obeys signals and reports to systemd, from the first moment of the boot.
type watcher struct {
	signals chan os.Signal
	started chan *worker.Runner // carries the worker once, when the boot has succeeded
	stop    context.CancelCauseFunc
	timeout time.Duration // that running jobs have when the process stops
	log     *slog.Logger

	// Only Run writes and reads these.
	runner  *worker.Runner // nil during the boot
	quiet   bool           // the worker is to be quiet when it starts
	systemd *systemd
}

// newWatcher catches signals from now on. stop ends the boot.
func (a *App) newWatcher(stop context.CancelCauseFunc, timeout time.Duration,
	log *slog.Logger) *watcher {
	w := &watcher{signals: make(chan os.Signal, 8), started: make(chan *worker.Runner, 1),
		stop: stop, timeout: timeout, log: log,
		systemd: &systemd{Notifier: sdnotify.New(a.Getenv), watchdog: sdnotify.Watchdog(a.Getenv),
			log: log}}
	signal.Notify(w.signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGTSTP, syscall.SIGTTIN,
		syscall.SIGUSR1)
	if !signal.Ignored(syscall.SIGHUP) { // else it runs under nohup
		signal.Notify(w.signals, syscall.SIGHUP)
	}
	return w
}

// Run obeys and reports until ctx ends.
func (w *watcher) Run(ctx context.Context) {
	defer signal.Stop(w.signals)
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	var stopping <-chan struct{}
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-w.signals:
			w.obey(s)
		case w.runner = <-w.started:
			stopping = w.runner.Stopping()
			w.systemd.queues = w.runner.Queues()
			if w.quiet {
				w.runner.Quiet()
			}
		case <-stopping:
			stopping = nil // it stays closed, and the stop is reported once
			w.systemd.stopping(w.timeout)
		case <-tick.C:
			w.report(tick)
		}
	}
}

func (w *watcher) report(tick *time.Ticker) {
	if w.systemd.leaving {
		w.systemd.stopping(w.timeout)
	}
	if w.runner != nil && w.systemd.report(w.runner) {
		tick.Reset(w.systemd.every())
	}
}

// obey carries a signal out. During the boot there is no job yet that could be finished.
func (w *watcher) obey(s os.Signal) {
	booting := w.runner == nil
	switch s {
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP:
		if s == syscall.SIGHUP {
			w.log.Info("HUP: stopping, as after TERM. The settings are read at the start: a " +
				"service manager that starts the worker again applies new ones")
		}
		if booting {
			w.stop(errSignal)
			return
		}
		w.runner.Stop()
	case syscall.SIGTSTP, syscall.SIGUSR1:
		if booting {
			w.quiet = true
			w.log.Info("Quiet from the start: the worker will take no job")
			return
		}
		w.runner.Quiet()
	case syscall.SIGTTIN:
		if booting {
			w.log.Warn("stacks of all goroutines", "stacks", stacks())
			return
		}
		w.runner.Dump()
	}
	w.log.Debug("Got a signal", "signal", s.String())
}

// stacks are those of all goroutines.
func stacks() string {
	var b strings.Builder
	if err := pprof.Lookup("goroutine").WriteTo(&b, 1); err != nil {
		return fmt.Sprint(err)
	}
	return b.String()
}
