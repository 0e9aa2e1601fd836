package cli

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/kyujobs/kyu/internal/sdnotify"
	"github.com/kyujobs/kyu/worker"
)

// watch obeys signals and reports to systemd, until ctx ends. timeout is how long running
// jobs have when the process stops.
func (a *App) watch(ctx context.Context, r *worker.Runner, timeout time.Duration,
	log *slog.Logger) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGTSTP, syscall.SIGTTIN,
		syscall.SIGUSR1)
	defer signal.Stop(signals)
	s := &systemd{Notifier: sdnotify.New(a.Getenv), watchdog: sdnotify.Watchdog(a.Getenv),
		queues: r.Queues(), log: log}
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	stopping := r.Stopping()
	for {
		select {
		case <-ctx.Done():
			return
		case signal := <-signals:
			obey(r, signal, log)
		case <-stopping:
			stopping = nil // it stays closed, and the stop is reported once
			s.stopping(timeout)
		case <-tick.C:
			if s.report(r) {
				tick.Reset(s.every())
			}
		}
	}
}

func obey(r *worker.Runner, s os.Signal, log *slog.Logger) {
	switch s {
	case syscall.SIGTERM, syscall.SIGINT:
		r.Stop()
	case syscall.SIGTSTP, syscall.SIGUSR1:
		r.Quiet()
	case syscall.SIGTTIN:
		r.Dump()
	}
	log.Debug("Got a signal", "signal", s.String())
}
