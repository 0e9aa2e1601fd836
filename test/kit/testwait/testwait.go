// Package testwait waits in tests for what must become true, without sleeping
// longer than it takes.
package testwait

import (
	"testing"
	"time"
)

// Until polls cond every few milliseconds and fails the test if it has not come
// true within limit.
func Until(t testing.TB, limit time.Duration, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(limit)
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}
