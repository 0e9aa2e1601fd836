package cli

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/sdnotify"
	"github.com/kyujobs/kyu/worker"
)

const (
	readyEvery  = 20 * time.Millisecond // how often to look whether the worker is ready
	statusEvery = time.Second
	// stopMargin is what a stop may take beyond the jobs' time: grace, the last
	// settlements, and a Redis that hangs.
	stopMargin = 15 * time.Second
)

// systemd is told how the worker is.
type systemd struct {
	*sdnotify.Notifier
	watchdog time.Duration // 0: systemd does not watch
	queues   []string
	log      *slog.Logger
	ready    bool
}

// every is how often to report once the worker is ready: twice in the time that
// the watchdog allows.
func (s *systemd) every() time.Duration {
	if s.watchdog > 0 {
		return min(statusEvery, s.watchdog/2)
	}
	return statusEvery
}

// patience is how long a loop may take for a turn: less than half of what the
// watchdog allows, so that its food stops within half, but two seconds if it allows
// that much, for a healthy loop turns over every second.
func (s *systemd) patience() time.Duration {
	return max(s.watchdog*2/5, min(s.watchdog, 2*time.Second))
}

// report sends READY once, when a beat and a look at the queues have worked, and
// from then on the status; it reports whether that is so. It feeds the watchdog
// only while the loops turn over.
func (s *systemd) report(r *worker.Runner) bool {
	st := r.Status()
	states := []string{s.status(st)}
	switch {
	case !s.ready && !st.Ready:
		return false
	case !s.ready:
		s.ready = true
		states = append(states, "READY=1")
	}
	if s.watchdog > 0 && time.Since(r.Turned()) < s.patience() {
		states = append(states, "WATCHDOG=1")
	}
	if err := s.Send(states...); err != nil {
		s.log.Warn("systemd cannot be told how the service is", "err", err)
	}
	return true
}

// stopping tells that a drain has begun, and asks for the time that it may take,
// should the unit allow less.
func (s *systemd) stopping(patience time.Duration) {
	if err := s.Send("STOPPING=1", fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d",
		(patience+stopMargin).Microseconds())); err != nil {
		s.log.Warn("systemd cannot be told that the service stops", "err", err)
	}
}

func (s *systemd) status(st worker.Status) string {
	text := fmt.Sprintf("STATUS=%d of %d threads busy on %s", st.Busy, st.Threads,
		strings.Join(s.queues, ", "))
	if st.Stuck > 0 {
		text += fmt.Sprintf("; %d stuck", st.Stuck)
	}
	if st.Quiet {
		text += "; quiet"
	}
	if st.LastErr != nil {
		text += "; Redis: " + strings.ReplaceAll(st.LastErr.Error(), "\n", " ")
	}
	return text
}
