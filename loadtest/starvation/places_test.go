package starvation

import (
	"testing"
	"time"
)

func TestMostAtOnce(t *testing.T) {
	run := func(host string, start, end time.Duration) ran {
		return ran{"push", host, 0, start, end}
	}
	t.Run("counts the jobs of one host that overlap", func(t *testing.T) {
		host, n := mostAtOnce([]ran{run("a", 0, 9), run("b", 1, 5), run("b", 2, 4), run("b", 3, 6),
			run("a", 8, 10)})
		if host != "b" || n != 3 {
			t.Errorf("%d of %s, want 3 of b", n, host)
		}
	})
	t.Run("a job that starts as another ends does not overlap it", func(t *testing.T) {
		if _, n := mostAtOnce([]ran{run("a", 0, 5), run("a", 5, 9)}); n != 1 {
			t.Errorf("%d, want 1", n)
		}
	})
}

func TestPerSecond(t *testing.T) {
	t.Run("counts from the first start to the last end", func(t *testing.T) {
		runs := []ran{{start: time.Second, end: 3 * time.Second},
			{start: 2 * time.Second, end: 2500 * time.Millisecond}}
		if got := perSecond(runs); got != 1 {
			t.Errorf("%v, want 1", got)
		}
	})
}
