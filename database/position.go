package database

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Position is a position in the primary's write-ahead log, in bytes: Postgres's LSN. A
// replica that has replayed it has everything that was committed before it. The zero
// Position means that none is known.
type Position uint64

// ParsePosition reads Postgres's notation, such as 16/B374D848.
func ParsePosition(text string) (Position, error) {
	before, after, _ := strings.Cut(text, "/")
	high, err := strconv.ParseUint(before, 16, 32)
	low, err2 := strconv.ParseUint(after, 16, 32)
	if err != nil || err2 != nil {
		return 0, fmt.Errorf("%q is not a log position: want two hexadecimal numbers, such as "+
			"16/B374D848", text)
	}
	return Position(high<<32 | low), nil
}

// The sizes in bytes of the header of a page of the log: of a file's first page, and of
// other pages (xlog_internal.h).
const longHeader, shortHeader = 40, 24

// withoutHeader returns p, or the start of its page if p lies just behind the page's
// header. When the log ends at the end of a page, the primary gives the position where the
// next record will begin, behind the next page's header, and a replica gives the end of
// the last record. Without this the replica would not reach the primary's position until
// the next write. block and segment are the sizes of pages and files in bytes.
func (p Position) withoutHeader(block, segment int64) Position {
	start := p - p%Position(block)
	header := Position(shortHeader)
	if start%Position(segment) == 0 {
		header = longHeader
	}
	if p-start == header {
		return start
	}
	return p
}

// String returns Postgres's notation.
func (p Position) String() string { return fmt.Sprintf("%X/%X", uint32(p>>32), uint32(p)) }

// keptSamples is the number of the primary's positions that are kept: one a second, for
// ten minutes.
const keptSamples = 600

// history holds the primary's positions and their times. It gives a replica's lag as a
// time, also for a replica that is cut off and has replayed all that it received.
type history struct{ samples []sample }

type sample struct {
	at       time.Time
	position Position
}

func (h *history) add(at time.Time, p Position) {
	if len(h.samples) == keptSamples {
		h.samples = append(h.samples[:0], h.samples[1:]...)
	}
	h.samples = append(h.samples, sample{at, p})
}

// lag returns how long ago the primary went beyond what a replica has replayed, but not
// more than the age of the oldest sample.
func (h *history) lag(replayed Position, now time.Time) time.Duration {
	for _, s := range h.samples {
		if s.position > replayed {
			return now.Sub(s.at)
		}
	}
	return 0
}
