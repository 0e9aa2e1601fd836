//go:build !linux

package main

import "time"

func wait(d time.Duration) error {
	time.Sleep(d)
	return nil
}
