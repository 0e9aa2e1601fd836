package cron

import (
	"fmt"
	"time"
	_ "time/tzdata" // a container may have no zones of its own
)

// timing says when an entry is due. Its slots are whole seconds.
type timing interface {
	// next returns the first slot after a time, or the zero time if there is none.
	next(after time.Time) time.Time
}

// every is due in equal distances, counted from the start of 1970 and moved by phase. So all
// processes agree about it, and a restart changes nothing.
type every struct{ period, phase time.Duration }

// newEvery returns the timing of an entry of that name. period is at least a second.
func newEvery(period time.Duration, name string) every {
	seconds := uint64(period / time.Second)
	return every{period, time.Duration(hash(name, "every")%seconds) * time.Second}
}

func (e every) next(after time.Time) time.Time {
	period, phase := int64(e.period/time.Second), int64(e.phase/time.Second)
	n := floorDiv(after.Unix()-phase, period)
	return time.Unix((n+1)*period+phase, 0).UTC()
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// calendar is due when the clock on a wall of a time zone matches an expression.
//
// An expression with all hours follows real time: it is due at each instant at which the wall
// clock matches, also in an hour that comes twice. Any other expression is due once for each
// reading of the wall clock that matches: of an hour that comes twice the first counts, and a
// reading that a change of the clock skips is due at the end of the gap.
type calendar struct {
	expression
	zone *time.Location
}

func (c *calendar) next(after time.Time) time.Time {
	after = after.Add(time.Duration(-after.Nanosecond())) // slots are whole seconds
	if c.hour == allHours {
		return c.nextInstant(after)
	}
	_, offset := after.In(c.zone).Zone()
	// A later reading is never due earlier, so the first that is due after the time is sought.
	for w := c.expression.next(after.Unix() + int64(offset) + 1); w != never; {
		if t := c.due(w); t.After(after) {
			return t
		}
		w = c.expression.next(w + 1)
	}
	return time.Time{}
}

// nextInstant looks at the spans of time in which the zone's offset from UTC does not change, one
// after the other. In a span the wall clock runs as fast as real time.
func (c *calendar) nextInstant(after time.Time) time.Time {
	for from := after.Add(time.Second); ; {
		_, offset := from.In(c.zone).Zone()
		_, end := from.In(c.zone).ZoneBounds()
		w := c.expression.next(from.Unix() + int64(offset))
		if w == never {
			return time.Time{}
		}
		if t := time.Unix(w-int64(offset), 0).UTC(); end.IsZero() || t.Before(end) {
			return t
		}
		from = end
	}
}

// maxShift is more than the greatest change of any zone's clock: some skipped a whole day.
const maxShift = 26 * time.Hour

// due returns the first instant at which the wall clock reads w or, if w was skipped, more.
func (c *calendar) due(w int64) time.Time {
	at := time.Unix(w, 0).Add(-maxShift).In(c.zone)
	for {
		start, end := at.ZoneBounds()
		_, offset := at.Zone()
		t := time.Unix(w-int64(offset), 0)
		switch {
		case !start.IsZero() && t.Before(start):
			return start.UTC()
		case end.IsZero() || t.Before(end):
			return t.UTC()
		}
		at = end
	}
}

// loadZone returns a zone of the IANA database, such as Europe/Berlin. "" is UTC. The zone of
// the machine (Local) is refused, because it may differ between processes.
func loadZone(name string) (*time.Location, error) {
	if name == "Local" {
		return nil, fmt.Errorf("tz %q: name the zone, because machines may differ", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("tz %q: want a time zone such as Europe/Berlin", name)
	}
	return zone, nil
}
