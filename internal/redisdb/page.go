package redisdb

import (
	"context"
	"errors"
	"math/bits"
	"net"
)

// PageBytes is the most bytes that one call to Redis carries. A single larger item goes alone.
const PageBytes = 4 << 20

// PageSize is how many items and how many bytes one call to Redis may carry. The first item is
// always carried. The size halves after a time-out, so that a page that did not fit once fits the
// next time, and doubles after each success. A PageSize is for one goroutine.
type PageSize struct {
	count, bytes int
	halved       int // how many times the size is halved now
}

// NewPageSize returns a size that begins with the full count and bytes, both at least 1.
func NewPageSize(count, bytes int) PageSize {
	return PageSize{count: max(count, 1), bytes: max(bytes, 1)}
}

// Count is the most items of a page now.
func (p *PageSize) Count() int { return max(p.count>>p.halved, 1) }

// Bytes is the most bytes of all items of a page together now.
func (p *PageSize) Bytes() int { return max(p.bytes>>p.halved, 1) }

// Smallest reports whether a page is a single item now, and cannot shrink further.
func (p *PageSize) Smallest() bool { return p.Count() == 1 }

// Shrink halves the page.
func (p *PageSize) Shrink() {
	if p.halved < bits.Len(uint(p.count)) {
		p.halved++
	}
}

// Grow doubles the page, up to its full size.
func (p *PageSize) Grow() { p.halved = max(p.halved-1, 0) }

// After shrinks the page if a call ended in a time-out, and grows it if the call succeeded. Any
// other error has nothing to do with the size.
func (p *PageSize) After(err error) {
	switch {
	case err == nil:
		p.Grow()
	case IsTimeout(err):
		p.Shrink()
	}
}

// IsTimeout reports whether Redis did not answer in time.
func IsTimeout(err error) bool {
	var wire net.Error
	return errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &wire) && wire.Timeout())
}

// Pages cuts n items of the given sizes, in bytes, into pages, and calls fn with each half-open
// range until fn returns an error.
func (p *PageSize) Pages(n int, size func(int) int, fn func(from, to int) error) error {
	for from := 0; from < n; {
		to, total := from+1, size(from)
		for to < n && to-from < p.Count() && total+size(to) <= p.Bytes() {
			total += size(to)
			to++
		}
		if err := fn(from, to); err != nil {
			return err
		}
		from = to
	}
	return nil
}
