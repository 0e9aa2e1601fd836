package envelope

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Timestamps is the form of times in payloads (docs/wire.md 3.3).
type Timestamps string

const (
	// Float writes seconds as a float with a fraction. Every Sidekiq reads it.
	Float Timestamps = "float"
	// Millis writes milliseconds as an integer. Only Sidekiq 8 and later reads it.
	Millis Timestamps = "millis"
	// Mirror rewrites a payload in the form of its own created_at or enqueued_at, and writes new
	// payloads as Float.
	Mirror Timestamps = "mirror"
)

// millisFrom is the smallest integer that is read as milliseconds. In seconds it would be in the
// year 5138.
const millisFrom = 100_000_000_000

// ParseTime parses a time in JSON. A number with a fraction or an exponent is seconds since the
// epoch. An integer is milliseconds from 100,000,000,000 on, else seconds. A string has the form of
// RFC 3339 or of Ruby's Time#to_s. ok is false for anything else.
func ParseTime(tok string) (t time.Time, ok bool) {
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
				return time.UnixMilli(min(n, lastSecond*1000)), true
			}
			return FromUnix(float64(n)), true
		}
	}
	f, err := strconv.ParseFloat(tok, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) || math.IsNaN(f) {
		return time.Time{}, false
	}
	return FromUnix(f), true
}

// The first and the last second that a date of four digits can name. Others write scores of any
// size, for example milliseconds in place of seconds, and JSON has no form for a later date.
const (
	firstSecond = -62135596800 // 0001-01-01T00:00:00Z
	lastSecond  = 253402300799 // 9999-12-31T23:59:59Z
)

// FromUnix returns the time f seconds after the epoch, to the microsecond. A time before the year 1
// or after the year 9999 becomes the first or the last second of these years.
func FromUnix(f float64) time.Time {
	return time.UnixMicro(int64(math.Round(min(max(f, firstSecond), lastSecond) * 1e6)))
}

// Unix returns the seconds from the epoch to t, to the microsecond: more digits do not fit into a
// float64.
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

// Score returns t as the score of a member of a sorted set: seconds since the epoch, as a float.
func Score(t time.Time) string { return string(AppendFloat(nil, Unix(t), 64)) }
