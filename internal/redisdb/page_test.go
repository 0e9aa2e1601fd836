package redisdb

import (
	"context"
	"errors"
	"fmt"
	"testing"
)

func TestPageSize(t *testing.T) {
	t.Run("halves after a time-out and grows back after successes", func(t *testing.T) {
		p := NewPageSize(100, 4<<20)
		timeout := fmt.Errorf("fetch: %w", context.DeadlineExceeded)
		p.After(timeout)
		p.After(timeout)
		if p.Count() != 25 || p.Bytes() != 1<<20 {
			t.Errorf("after two time-outs: %d items, %d bytes", p.Count(), p.Bytes())
		}
		p.After(errors.New("refused"))
		if p.Count() != 25 {
			t.Errorf("another error changed it to %d items", p.Count())
		}
		for range 5 {
			p.After(nil)
		}
		if p.Count() != 100 || p.Bytes() != 4<<20 {
			t.Errorf("after successes: %d items, %d bytes", p.Count(), p.Bytes())
		}
	})
	t.Run("shrinks to one item and grows back", func(t *testing.T) {
		p := NewPageSize(100, 4<<20)
		for range 1000 {
			p.Shrink()
		}
		if p.Count() != 1 || !p.Smallest() || p.Bytes() < 1 {
			t.Errorf("%d items, %d bytes", p.Count(), p.Bytes())
		}
		for range 7 {
			p.Grow()
		}
		if p.Count() != 100 {
			t.Errorf("%d items after seven successes", p.Count())
		}
	})
	t.Run("cuts by count and by bytes, and always carries the first item", func(t *testing.T) {
		p := NewPageSize(3, 10)
		sizes := []int{50, 4, 4, 4, 1, 1, 1, 1}
		var cuts []string
		err := p.Pages(len(sizes), func(i int) int { return sizes[i] }, func(from, to int) error {
			cuts = append(cuts, fmt.Sprint(from, "-", to))
			return nil
		})
		if got := fmt.Sprint(cuts); err != nil || got != "[0-1 1-3 3-6 6-8]" {
			t.Errorf("%s %v", got, err)
		}
	})
}
