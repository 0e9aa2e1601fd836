package queue_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
)

func TestQueuesOf(t *testing.T) {
	f := newFixture(t)
	f.push("a", 1)
	f.fetch(1)
	f.raw.Del(t.Context(), "kyu:owner:h:1:a")
	t.Run("finds what an owner without a record holds", func(t *testing.T) {
		if got, err := f.store.QueuesOf(t.Context(), "h:1:a"); err != nil || fmt.Sprint(got) != "[a]" {
			t.Errorf("found %v, %v", got, err)
		}
	})
	t.Run("does not walk for an owner that a peer has forgotten", func(t *testing.T) {
		f.raw.ZRem(t.Context(), "kyu:leases", "h:1:a")
		before := scans(f.raw, t)
		if got, err := f.store.QueuesOf(t.Context(), "h:1:a"); err != nil || len(got) != 0 {
			t.Errorf("found %v, %v", got, err)
		}
		if n := scans(f.raw, t) - before; n != 0 {
			t.Errorf("walked through the keys in %d calls", n)
		}
	})
}

// scans counts the SCAN calls that Redis has carried out.
func scans(raw *redis.Client, t *testing.T) (n int) {
	t.Helper()
	for line := range strings.Lines(raw.Info(t.Context(), "commandstats").Val()) {
		fmt.Sscanf(line, "cmdstat_scan:calls=%d", &n)
	}
	return n
}
