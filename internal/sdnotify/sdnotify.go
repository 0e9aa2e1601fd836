// Package sdnotify tells systemd how a service is, by sd_notify(3)'s protocol.
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

// Notifier sends states to the service manager. Its zero value, and nil, send
// nothing.
type Notifier struct{ addr string }

// New reads NOTIFY_SOCKET; without it the process was not started by systemd,
// and nothing is sent.
func New(lookup func(string) string) *Notifier {
	addr := lookup("NOTIFY_SOCKET")
	if strings.HasPrefix(addr, "@") {
		addr = "\x00" + addr[1:] // an abstract socket
	}
	return &Notifier{addr}
}

// Send sends states, such as "READY=1" and "STATUS=…", in one datagram, if the manager takes it at
// once. It never waits: a manager that does not read its socket must not hold up the process. Then
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

// Watchdog is the interval within which systemd wants "WATCHDOG=1", or zero if
// it does not watch this process.
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
