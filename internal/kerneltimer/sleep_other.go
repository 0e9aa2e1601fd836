//go:build !linux

package kerneltimer

import "time"

// Sleep is time.Sleep on systems without timerfd.
func Sleep(d time.Duration) error {
	time.Sleep(d)
	return nil
}
