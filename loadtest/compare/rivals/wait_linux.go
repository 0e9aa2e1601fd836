package main

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// wait sleeps for d by a timer of the kernel. It repeats Kyu's internal/kerneltimer, because
// an import of Kyu's module would have Asynq measured with Kyu's version of go-redis.
func wait(d time.Duration) error {
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
