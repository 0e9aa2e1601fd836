package cron

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// units are the units of time that Ruby's schedules use, and Go's.
var units = map[string]time.Duration{"ms": time.Millisecond, "s": time.Second,
	"m": time.Minute, "h": time.Hour, "d": day, "w": 7 * day, "M": 30 * day, "y": 365 * day,
	"sec": time.Second, "second": time.Second, "min": time.Minute, "minute": time.Minute,
	"hour": time.Hour, "day": day, "week": 7 * day, "month": 30 * day, "year": 365 * day}

const day = 24 * time.Hour

var part = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)[\s,]*`)

// parseDuration reads 5m, 1h30m, 90s, 1 minute, 2 days, or a number of seconds.
func parseDuration(text string) (time.Duration, error) {
	rest, sum := strings.TrimSpace(text), 0.0
	bad := fmt.Errorf("%q: want a length of time such as 30s, 5m, 1h30m or 1 day", text)
	if rest == "" {
		return 0, bad
	}
	for rest != "" {
		m := part.FindStringSubmatch(rest)
		if m == nil {
			return 0, bad
		}
		unit, known := units[m[2]]
		if !known {
			unit, known = units[strings.TrimSuffix(strings.ToLower(m[2]), "s")]
		}
		if m[2] == "" {
			unit, known = time.Second, len(m[0]) == len(rest)
		}
		n, err := strconv.ParseFloat(m[1], 64)
		if !known || err != nil {
			return 0, bad
		}
		sum += n * float64(unit)
		rest = rest[len(m[0]):]
	}
	if sum > float64(100*365*day) {
		return 0, bad
	}
	return time.Duration(sum), nil
}
