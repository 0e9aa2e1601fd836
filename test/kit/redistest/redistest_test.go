package redistest

import "testing"

func TestFreePort(t *testing.T) {
	t.Run("gives no port twice while the test runs", func(t *testing.T) {
		seen := map[int]bool{}
		for range 500 {
			port := FreePort(t)
			if seen[port] {
				t.Fatalf("port %d was given twice", port)
			}
			seen[port] = true
		}
	})
}
