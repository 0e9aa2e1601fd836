package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"syscall"
	"time"

	"github.com/kyujobs/kyu/internal/sdnotify"
	"github.com/kyujobs/kyu/worker"
)

const (
	readyEvery  = 20 * time.Millisecond // how often to look whether the worker is ready
	statusEvery = time.Second
	// stopMargin is the time that a stop may take after the timeout of the jobs: the grace
	// for handlers that were cancelled, the last settlements, and a Redis that hangs.
	stopMargin = 15 * time.Second
)

// systemd reports the worker's state to the service manager. Only the goroutine of watcher.Run
// uses it.
type systemd struct {
	*sdnotify.Notifier
	watchdog time.Duration // 0: systemd does not watch
	queues   []string
	log      *slog.Logger
	ready    bool
	leaving  bool      // STOPPING is to be sent
	toldAt   time.Time // when a report that failed was last logged
}

// every is how often to report once the worker is ready: twice in the time that
// the watchdog allows.
func (s *systemd) every() time.Duration {
	if s.watchdog > 0 {
		return min(statusEvery, s.watchdog/2)
	}
	return statusEvery
}

// patience is how long a loop may take for one turn before the watchdog's pings stop: two
// fifths of WatchdogSec, because they must stop before half of it has passed. It is at least two
// seconds, if WatchdogSec is that long, because a healthy loop turns once a second.
func (s *systemd) patience() time.Duration {
	return max(s.watchdog*2/5, min(s.watchdog, 2*time.Second))
}

// report sends READY once, after the first heartbeat and the first look at the queues, and
// the status from then on. It returns false before that. It pings the watchdog only while
// the worker's loops turn.
func (s *systemd) report(r *worker.Runner) bool {
	st := r.Status()
	states := []string{s.status(st)}
	switch {
	case !s.ready && !st.Ready:
		return false
	case !s.ready:
		states = append(states, "READY=1")
	}
	if s.watchdog > 0 && time.Since(r.Turned()) < s.patience() {
		states = append(states, "WATCHDOG=1")
	}
	if s.send(states...) {
		s.ready = true
	}
	return true
}

// toldEvery is how often a report that cannot be sent is logged.
const toldEvery = time.Minute

// send sends states, and reports whether systemd has them. A manager that does not read for a while
// is no reason for a line: the next report comes soon.
func (s *systemd) send(states ...string) bool {
	err := s.Send(states...)
	if err == nil {
		return true
	}
	if !errors.Is(err, syscall.EAGAIN) && time.Since(s.toldAt) > toldEvery {
		first := s.toldAt.IsZero()
		s.toldAt = time.Now()
		if missing := errors.Is(err, syscall.ENOENT); !missing || first {
			s.log.Warn("The state cannot be reported to systemd: is the socket that NOTIFY_SOCKET "+
				"names there?", "err", err)
		}
	}
	return false
}

// stopping reports that a drain has begun, and asks for the time that it may take, in case the unit
// allows less. If it cannot be sent now, report sends it.
func (s *systemd) stopping(timeout time.Duration) {
	s.leaving = !s.send("STOPPING=1", fmt.Sprintf("EXTEND_TIMEOUT_USEC=%d",
		(timeout+stopMargin).Microseconds()))
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
