package inspect

import (
	"fmt"
	"testing"
)

func TestWindow(t *testing.T) {
	for _, c := range []struct{ offset, count int64 }{{0, 0}, {0, -1}, {-25, 25},
		{1 << 62, 1 << 62}} {
		t.Run(fmt.Sprintf("of %d from %d has no negative index", c.count, c.offset),
			func(t *testing.T) {
				first, last, some := window(c.offset, c.count)
				if some && (first < 0 || last < first) {
					t.Errorf("%d to %d", first, last)
				}
			})
	}
}

// FuzzPage checks that a page never begins or ends at a negative index.
func FuzzPage(f *testing.F) {
	f.Add(int64(0), int64(25))
	f.Add(int64(-1), int64(1)<<62)
	f.Fuzz(func(t *testing.T, offset, count int64) {
		first, last, some := window(offset, count)
		if some != (count > 0) {
			t.Errorf("%d entries from %d: %t", count, offset, some)
		}
		if some && (first < 0 || last < first) {
			t.Errorf("%d entries from %d: %d to %d", count, offset, first, last)
		}
		if some && offset >= 0 && first != offset {
			t.Errorf("%d entries from %d begin at %d", count, offset, first)
		}
	})
}
