package inspect

import "math"

// window returns the first and the last index of a page, from 0. some is false if the page is
// empty. Redis counts a negative index from the end, so window returns none.
func window(offset, count int64) (first, last int64, some bool) {
	offset = max(offset, 0)
	if count <= 0 {
		return 0, 0, false
	}
	if last = offset + count - 1; last < offset {
		last = math.MaxInt64
	}
	return offset, last, true
}
