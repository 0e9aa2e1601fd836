// Package sdnotify reports the state of a service to systemd by the protocol of
// sd_notify(3).
package sdnotify

import (
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Notifier sends states to systemd. A nil or zero Notifier sends nothing.
type Notifier struct{ addr string }

// New makes a Notifier for the socket in NOTIFY_SOCKET. Without that variable systemd did
// not start the process, and nothing is sent.
func New(lookup func(string) string) *Notifier {
	addr := lookup("NOTIFY_SOCKET")
	if strings.HasPrefix(addr, "@") {
		addr = "\x00" + addr[1:] // an abstract socket
	}
	return &Notifier{addr}
}

// Send sends states, such as "READY=1" and "STATUS=…", in one datagram. It never waits, because
// systemd must not block the process by not reading its socket. If the socket's buffer is full,
// the error is syscall.EAGAIN, and the caller may send the states again later.
func (n *Notifier) Send(states ...string) error {
	if n == nil || n.addr == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: n.addr, Net: "unixgram"})
	if err != nil {
		return err
	}
	defer conn.Close()
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Write(func(fd uintptr) bool { // the descriptor does not block
		_, sent = syscall.Write(int(fd), []byte(strings.Join(states, "\n")))
		return true // also after EAGAIN: false would wait
	})
	return errors.Join(err, sent)
}

// Watchdog returns the longest time between two "WATCHDOG=1" that systemd allows
// (WatchdogSec), or 0 if it does not watch this process.
func Watchdog(lookup func(string) string) time.Duration {
	us, err := strconv.ParseInt(lookup("WATCHDOG_USEC"), 10, 64)
	if err != nil || us <= 0 {
		return 0
	}
	if pid := lookup("WATCHDOG_PID"); pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	return time.Duration(us) * time.Microsecond
}
