//go:build !linux

package kerneltimer

import "time"

// Sleep is time.Sleep where there is no timerfd.
func Sleep(d time.Duration) error {
	time.Sleep(d)
	return nil
}
