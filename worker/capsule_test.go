package worker

import (
	"strings"
	"testing"
)

func TestMode(t *testing.T) {
	q := func(weights ...int) Capsule {
		c := Capsule{Concurrency: 1}
		for i, w := range weights {
			c.Queues = append(c.Queues, QueueWeight{string(rune('a' + i)), w})
		}
		return c
	}
	for want, list := range map[Mode][]Capsule{
		Strict: {q(0), q(0, 0)}, Random: {q(1), q(1, 1)},
		Weighted: {q(2, 1), q(0, 1), q(1, 0), q(3)},
	} {
		for _, c := range list {
			if got := c.Mode(); got != want {
				t.Errorf("%v is %s, want %s", c.Queues, got, want)
			}
		}
	}
}

// Weighted is a shuffle of the weighted list without repetition: the first is
// drawn in proportion to its weight (docs/wire.md 5). Chi-square, p = 0.001.
func TestDraws(t *testing.T) {
	c := Capsule{Queues: []QueueWeight{{"default", 8}, {"push", 6}, {"mailers", 2}, {"pull", 1}}}
	const n = 34_000
	first := map[byte]float64{}
	ahead := 0.0 // pull before default
	for _, d := range c.draws(n) {
		if len(d) != 4 {
			t.Fatalf("draw %q", d)
		}
		first[d[0]]++
		if strings.IndexByte(d, 4) < strings.IndexByte(d, 1) {
			ahead++
		}
	}
	chi := 0.0
	for q, w := range map[byte]float64{1: 8, 2: 6, 3: 2, 4: 1} {
		want := n * w / 17
		chi += (first[q] - want) * (first[q] - want) / want
	}
	if chi > 16.27 { // 3 degrees of freedom
		t.Errorf("chi-square %.1f, first %v", chi, first)
	}
	if share := ahead / n; share < 0.103 || share > 0.119 {
		t.Errorf("pull came before default in %.3f of the draws, want 1/9", share)
	}
}
