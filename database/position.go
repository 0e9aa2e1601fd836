package database

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Position is a place in the primary's log: what Postgres calls an LSN. A replica
// that has replayed it has everything that was committed before.
type Position uint64

// ParsePosition reads Postgres's form, such as 16/B374D848. The zero Position is
// no position.
func ParsePosition(text string) (Position, error) {
	before, after, _ := strings.Cut(text, "/")
	high, err := strconv.ParseUint(before, 16, 32)
	low, err2 := strconv.ParseUint(after, 16, 32)
	if err != nil || err2 != nil {
		return 0, fmt.Errorf("%q is no log position: want two hexadecimal numbers, such as "+
			"16/B374D848", text)
	}
	return Position(high<<32 | low), nil
}

// Sizes of the headers of a page of the log: of the first of a file, and of others
// (xlog_internal.h).
const longHeader, shortHeader = 40, 24

// withoutHeader is p, or the start of its page if p lies just behind the page's
// header. Of a log that ends with a page the primary says where the next record will
// begin, a replica where the last one ended: that would never meet while nobody
// writes. block and segment are the sizes of pages and files in bytes.
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

func (p Position) String() string { return fmt.Sprintf("%X/%X", uint32(p>>32), uint32(p)) }

// keptSamples of the primary's positions: ten minutes, one a second.
const keptSamples = 600

// history is where the primary was when. By it a replica's lag is told in time even
// if the replica is cut off and has replayed all it got.
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

// lag is how long ago the primary passed what a replica has replayed: at least,
// if that is longer than is remembered.
func (h *history) lag(replayed Position, now time.Time) time.Duration {
	for _, s := range h.samples {
		if s.position > replayed {
			return now.Sub(s.at)
		}
	}
	return 0
}
