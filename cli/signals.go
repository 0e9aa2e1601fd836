package cli

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/kyujobs/kyu/internal/sdnotify"
	"github.com/kyujobs/kyu/worker"
)

// watch obeys signals and keeps systemd informed, until ctx ends.
func (a *App) watch(ctx context.Context, r *worker.Runner, log *slog.Logger) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGTSTP, syscall.SIGTTIN, syscall.SIGUSR1)
	defer signal.Stop(signals)
	n := sdnotify.New(a.Getenv)
	watchdog := sdnotify.Watchdog(a.Getenv)
	every := time.Second
	if watchdog > 0 {
		every = min(every, watchdog/2)
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	ready := false
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-signals:
			obey(r, s, n, log)
		case <-r.Running():
			if !ready {
				ready = a.ready(r, n, log)
			}
			select {
			case <-ctx.Done():
				return
			case s := <-signals:
				obey(r, s, n, log)
			case <-tick.C:
				report(r, n, watchdog)
			}
		}
	}
}

// ready tells systemd once, when a beat and a look at the queues have worked.
func (a *App) ready(r *worker.Runner, n *sdnotify.Notifier, log *slog.Logger) bool {
	if !r.Status().Ready {
		return false
	}
	if err := n.Send("READY=1", status(r)); err != nil {
		log.Warn("systemd cannot be told that the service is ready", "err", err)
	}
	return true
}

func obey(r *worker.Runner, s os.Signal, n *sdnotify.Notifier, log *slog.Logger) {
	switch s {
	case syscall.SIGTERM, syscall.SIGINT:
		n.Send("STOPPING=1") // systemd also sees the process end
		r.Stop()
	case syscall.SIGTSTP, syscall.SIGUSR1:
		r.Quiet()
	case syscall.SIGTTIN:
		r.Dump()
	}
	log.Debug("got a signal", "signal", s.String())
}

// report sends the status, and feeds the watchdog only while the loops turn.
func report(r *worker.Runner, n *sdnotify.Notifier, watchdog time.Duration) {
	states := []string{status(r)}
	if watchdog > 0 && time.Since(r.Turned()) < watchdog {
		states = append(states, "WATCHDOG=1")
	}
	n.Send(states...) // best effort: a missed one is followed by another
}

func status(r *worker.Runner) string {
	s := r.Status()
	text := fmt.Sprintf("STATUS=%d of %d threads busy", s.Busy, s.Threads)
	if s.Stuck > 0 {
		text += fmt.Sprintf(", %d stuck", s.Stuck)
	}
	if s.Quiet {
		text += ", quiet"
	}
	if s.LastErr != nil {
		text += ", Redis: " + s.LastErr.Error()
	}
	return text
}
