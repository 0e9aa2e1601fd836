// Package kerneltimer sleeps by a timer of the kernel. The goroutine waits in the runtime's
// poller, like one that waits for a server's answer. Go's own timers wake a goroutine up to
// a millisecond late, because epoll_wait counts milliseconds: load tests measure less.
package kerneltimer

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Sleep sleeps for d, or not at all if d is not positive. The error is the kernel's, such as
// for too many open files.
func Sleep(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("timerfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "timerfd")
	defer f.Close()
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(int64(d))},
		nil); err != nil {
		return os.NewSyscallError("timerfd_settime", err)
	}
	var expirations [8]byte
	_, err = f.Read(expirations[:])
	return err
}
