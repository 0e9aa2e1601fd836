package inspect

import "testing"

func TestWindow(t *testing.T) {
	for _, c := range []struct{ offset, count int64 }{{0, 0}, {0, -1}, {-25, 25},
		{1 << 62, 1 << 62}} {
		if first, last, some := window(c.offset, c.count); some && (first < 0 || last < first) {
			t.Errorf("%+v: %d to %d", c, first, last)
		}
	}
}

func FuzzPage(f *testing.F) {
	f.Add(int64(0), int64(25))
	f.Add(int64(-1), int64(1)<<62)
	f.Fuzz(func(t *testing.T, offset, count int64) {
		first, last, some := window(offset, count)
		if some != (count > 0) ||
			(some && (first < 0 || last < first || (offset >= 0 && first != offset))) {
			t.Errorf("%d entries from %d: %d to %d, %t", count, offset, first, last, some)
		}
	})
}
