package worker

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// weighted returns a capsule with the queues a, b, … of these weights.
func weighted(weights ...int) *Capsule {
	c := &Capsule{Concurrency: 1}
	for i, w := range weights {
		c.Queues = append(c.Queues, QueueWeight{Name: string(rune('a' + i)), Weight: w})
	}
	return c
}

func TestCapsule(t *testing.T) {
	t.Parallel()
	t.Run("has the mode of Sidekiq 7", func(t *testing.T) {
		for want, capsules := range map[Mode][]*Capsule{
			Strict: {weighted(0), weighted(0, 0)}, Random: {weighted(1), weighted(1, 1)},
			Weighted: {weighted(2, 1), weighted(0, 1), weighted(1, 0), weighted(3)},
		} {
			for _, c := range capsules {
				if got := c.Mode(); got != want {
					t.Errorf("%v is %s, want %s", c.Queues, got, want)
				}
			}
		}
	})
	t.Run("counts a repeated queue once, with the sum of its weights", func(t *testing.T) {
		c := &Capsule{Queues: []QueueWeight{{Name: "a", Weight: 2}, {Name: "b"},
			{Name: "a", Weight: 3}}}
		if got := c.names(); !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("names %v, want a and b", got)
		}
		if got := c.weights(); !maps.Equal(got, map[string]int{"a": 5, "b": 1}) {
			t.Errorf("weights %v, want a 5 and b 1", got)
		}
	})
	t.Run("draws the first queue by its weight, without repetition", drawsByWeight)
	t.Run("draws nothing in strict mode", func(t *testing.T) {
		if draws := weighted(0, 0).draws(3); draws != nil {
			t.Errorf("drew %q", draws)
		}
	})
}

// A draw is a shuffle of the weighted list without repetition: the first queue is drawn in
// proportion to its weight (docs/wire.md 5). Chi-square, p = 0.001.
func drawsByWeight(t *testing.T) {
	const n = 34_000
	first, ahead := map[byte]float64{}, 0.0 // how often the last queue came before the first
	for _, d := range weighted(8, 6, 2, 1).draws(n) {
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
		t.Errorf("the last queue came before the first in %.3f of the draws, want 1/9", share)
	}
}
