//go:build !linux

package main

import "time"

// wait is time.Sleep where there is no timerfd.
func wait(d time.Duration) error {
	time.Sleep(d)
	return nil
}
