package testjobs

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// wait waits for a timer of the kernel, through the runtime's poller, as jobs wait for
// the answer of a server. A timer of Go's own wakes up to a millisecond later.
func wait(d time.Duration) error {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("timerfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "timerfd")
	defer f.Close()
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Value: unix.NsecToTimespec(max(int64(d), 1))}, nil); err != nil { // zero would disarm it
		return os.NewSyscallError("timerfd_settime", err)
	}
	var expirations [8]byte
	_, err = f.Read(expirations[:])
	return err
}
