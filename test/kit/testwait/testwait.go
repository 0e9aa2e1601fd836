// Package testwait waits in tests until a condition is true, and no longer.
package testwait

import (
	"testing"
	"time"
)

// Until calls cond every 5 ms until it is true. It fails the test if cond is not true within
// limit; what names the condition in the message.
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
