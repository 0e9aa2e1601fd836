//go:build !linux

package testjobs

import "time"

func wait(d time.Duration) error {
	time.Sleep(d)
	return nil
}
