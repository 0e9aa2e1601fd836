package top

import (
	"slices"
	"time"
)

// turn lets things be read one after another if they are too many to be read all at once.
type turn struct{ last map[string]time.Time } // when each was read; those that are not: never

// next are the n of the ids that were not read for the longest time. Others are forgotten.
func (t *turn) next(ids []string, n int, now time.Time) []string {
	last := make(map[string]time.Time, len(ids))
	for _, id := range ids {
		if at, known := t.last[id]; known {
			last[id] = at
		}
	}
	t.last = last
	order := slices.Clone(ids)
	slices.SortStableFunc(order, func(a, b string) int { return last[a].Compare(last[b]) })
	order = order[:min(n, len(order))]
	for _, id := range order {
		last[id] = now
	}
	return order
}

// oldest is when the id was read that was not read for the longest time. all is false if some were
// never read.
func (t *turn) oldest(ids []string) (at time.Time, all bool) {
	for i, id := range ids {
		last, known := t.last[id]
		if !known {
			return time.Time{}, false
		}
		if i == 0 || last.Before(at) {
			at = last
		}
	}
	return at, true
}
