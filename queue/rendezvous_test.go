package queue_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/kyujobs/kyu/queue"
)

func TestRendezvous(t *testing.T) {
	t.Run("spreads keys evenly", func(t *testing.T) {
		count := map[string]int{}
		for i := range 30_000 {
			count[queue.Rendezvous(fmt.Sprint("key", i), abc)]++
		}
		for _, name := range abc {
			if n := count[name]; n < 9_500 || n > 10_500 {
				t.Errorf("%s has %d of 30,000 keys", name, n)
			}
		}
	})
	t.Run("does not depend on the order of names", func(t *testing.T) {
		turned := []string{"c", "a", "b"}
		for i := range 1000 {
			key := fmt.Sprint(i)
			same(t, key, queue.Rendezvous(key, turned), queue.Rendezvous(key, abc))
		}
	})
	t.Run("moves only the keys of a name that is removed", func(t *testing.T) {
		for i := range 1000 {
			key := fmt.Sprint(i)
			before := queue.Rendezvous(key, abc)
			after := queue.Rendezvous(key, slices.Delete(slices.Clone(abc), 1, 2))
			if before != "b" && before != after {
				t.Errorf("%s was in %s, and is in %s", key, before, after)
			}
		}
	})
	t.Run("gives what it always gave", func(t *testing.T) {
		got := ""
		for _, key := range []string{"", "a", "uniquejobs:kyu:1", "0123456789abcdef01234567"} {
			got += queue.Rendezvous(key, abc)
		}
		same(t, "names", got, "bccc")
		same(t, "name of none", queue.Rendezvous("a", nil), "")
	})
}
