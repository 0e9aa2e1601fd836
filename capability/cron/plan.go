package cron

import "time"

// onTime is how old a slot may be when it is claimed without counting as missed.
const onTime = 10 * time.Second

// onceWithin is how old a missed slot may be that Once makes up for.
const onceWithin = time.Hour

// maxMissed is the most missed slots that All makes up for.
const maxMissed = 100

// due returns the slots to claim now, the earliest first. last is the latest slot that was claimed
// or skipped. A slot up to onTime old is always due; policy decides about the older ones.
func due(t timing, last, now time.Time, policy Misfire) []time.Time {
	recent := between(t, later(last, now.Add(-onTime-1)), now)
	switch {
	case policy == Skip, policy != All && len(recent) > 0:
		return recent
	case policy == All:
		missed := latest(t, last, now.Add(-onTime-1), maxMissed)
		return append(missed, recent...)
	default:
		return latest(t, later(last, now.Add(-onceWithin)), now.Add(-onTime-1), 1)
	}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// between returns the slots after from, up to and including to.
func between(t timing, from, to time.Time) (slots []time.Time) {
	for at := t.next(from); !at.IsZero() && !at.After(to); at = t.next(at) {
		slots = append(slots, at)
	}
	return slots
}

// latest returns the last n slots after from, up to and including to. It looks at longer and
// longer spans before to, so that its cost follows n and not the length of an outage.
func latest(t timing, from, to time.Time, n int) []time.Time {
	for span := time.Minute; ; span *= 4 {
		start := later(from, to.Add(-span))
		slots := between(t, start, to)
		if len(slots) >= n || !start.After(from) {
			return slots[max(0, len(slots)-n):]
		}
	}
}
