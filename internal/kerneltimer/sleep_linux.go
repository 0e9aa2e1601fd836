// Package kerneltimer sleeps by a timer of the kernel, through the runtime's poller, as
// a goroutine waits for the answer of a server. A timer of Go's own wakes up to a
// millisecond late, for epoll_wait counts in them: too late for what load tests measure.
package kerneltimer

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Sleep sleeps for d. The error is the kernel's, if it has no timer to give.
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
