package envelope

import (
	"math"
	"strconv"
	"strings"
	"time"
)

// Timestamps says how times are written into payloads (docs/wire.md 3.3).
type Timestamps string

const (
	// Float writes float seconds with a fraction: every Sidekiq reads it.
	Float Timestamps = "float"
	// Millis writes integer milliseconds: only Sidekiq 8 and later reads it.
	Millis Timestamps = "millis"
	// Mirror rewrites a payload in the form that its own created_at or
	// enqueued_at has, and writes new payloads as Float.
	Mirror Timestamps = "mirror"
)

// millisFrom is the least integer that is read as milliseconds. As seconds it
// would be the year 5138.
const millisFrom = 100_000_000_000

// ParseTime reads a timestamp token: a number with a fraction or exponent is
// seconds; an integer is milliseconds from millisFrom on, else seconds; a
// string is RFC 3339 or Ruby's Time#to_s. Anything else is absent.
func ParseTime(tok string) (time.Time, bool) {
	if tok == "" {
		return time.Time{}, false
	}
	if text, ok := Unquote(tok); ok {
		for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05.999999999 -0700",
			"2006-01-02 15:04:05.999999999 MST"} {
			if t, err := time.Parse(layout, text); err == nil {
				return t, true
			}
		}
		return time.Time{}, false
	}
	if !strings.ContainsAny(tok, ".eE") {
		if n, err := strconv.ParseInt(tok, 10, 64); err == nil {
			if n >= millisFrom {
				return time.UnixMilli(n), true
			}
			return time.Unix(n, 0), true
		}
	}
	f, err := strconv.ParseFloat(tok, 64)
	if err != nil || math.IsNaN(f) || math.Abs(f) > maxSeconds {
		return time.Time{}, false
	}
	return FromUnix(f), true
}

// maxSeconds are the most that fit into 64 bits as microseconds. More would read as a time
// long past.
const maxSeconds = 9e12

// FromUnix is the time that is f seconds after the epoch, to the microsecond.
func FromUnix(f float64) time.Time { return time.UnixMicro(int64(math.Round(f * 1e6))) }

// Unix is t in seconds since the epoch, to the microsecond: a float64
// carries no more, and more digits would not round-trip.
func Unix(t time.Time) float64 { return float64(t.UnixMicro()) / 1e6 }

// AppendTime writes t for a payload that is new (j is nil) or being rewritten, to the millisecond.
// Ruby's json 3 does not always print the shortest digits of a float, and Sidekiq removes a member
// of a set by its bytes as it prints them: if they differ, the job is doubled. Of floats with at
// most three decimals it prints the same digits as every other version (docs/wire.md 2.2).
func (f Timestamps) AppendTime(b []byte, t time.Time, j *Job) []byte {
	if f == Millis || (f == Mirror && j != nil && j.millis()) {
		return strconv.AppendInt(b, t.UnixMilli(), 10)
	}
	return AppendFloat(b, float64(t.UnixMilli())/1e3, 64)
}

// AppendSeconds writes a duration as seconds, with at most three decimals like every float that
// Kyu writes into a payload: see AppendTime.
func AppendSeconds(b []byte, d time.Duration) []byte {
	return AppendFloat(b, float64(d.Milliseconds())/1e3, 64)
}

// Score is t as the score of a member of a sorted set: float seconds as text.
func Score(t time.Time) string { return string(AppendFloat(nil, Unix(t), 64)) }
