package cron

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestExpression(t *testing.T) {
	from := time.Date(2026, 11, 29, 1, 2, 3, 0, time.UTC) // a Sunday
	for cron, want := range map[string]string{
		"5 4 * * *":            "2026-11-29T04:05:00Z",
		"30 5 4 * * *":         "2026-11-29T04:05:30Z",
		"0 9 * * mon-fri":      "2026-11-30T09:00:00Z",
		"0 9 * * 7":            "2026-11-29T09:00:00Z",
		"0 0 13 * fri":         "2026-12-04T00:00:00Z", // either field
		"0 0 */2 * mon":        "2026-12-07T00:00:00Z", // both, because one begins with *
		"0 0 1 jan,JUL ?":      "2027-01-01T00:00:00Z",
		"10-50/20 * * * *":     "2026-11-29T01:10:00Z",
		"7/30 * * * *":         "2026-11-29T01:07:00Z",
		"@weekly":              "2026-12-06T00:00:00Z",
		"@hourly Asia/Kolkata": "2026-11-29T02:00:00Z", // the zone is returned, not used
	} {
		t.Run("is due at the right time: "+cron, func(t *testing.T) {
			got := mustTiming(t, cron, "x", time.UTC).next(from).Format(time.RFC3339)
			same(t, "next", got, want)
		})
	}
	t.Run("has H, which follows from the name and stays in its range", func(t *testing.T) {
		seen := map[int]bool{}
		for i := range 200 {
			name := fmt.Sprint("job", i)
			a := mustTiming(t, "H H(3-5) * * *", name, time.UTC).next(from)
			b := mustTiming(t, "H H(3-5) * * *", name, time.UTC).next(from)
			if !a.Equal(b) || a.Hour() < 3 || a.Hour() > 5 {
				t.Fatal(a, b)
			}
			seen[a.Minute()] = true
		}
		if len(seen) < 50 {
			t.Errorf("200 entries have %d different minutes", len(seen))
		}
	})
	t.Run("has steps that begin at H", func(t *testing.T) {
		timing := mustTiming(t, "H/20 * * * *", "x", time.UTC)
		one := timing.next(from)
		if two := timing.next(one); two.Sub(one) != 20*time.Minute {
			t.Error(one, two)
		}
	})
	for cron, want := range map[string]string{
		"* * * *":         "has 4 fields",
		"60 * * * *":      "minute \"60\": want *, H, numbers from 0 to 59",
		"0 0 L * *":       "L, W and # are not known",
		"0 0 * * mon#1":   "weekday \"mon#1\"",
		"5-1 * * * *":     "5 comes after 1",
		"*/0 * * * *":     "from 1 to 60 behind the /",
		"H(3 * * * *":     "want H or H(N-M)",
		"0 0 31 4,6,9 *":  "matches no day",
		"0 0 * * * Mars":  "weekday \"Mars\"",
		"every day at 10": "has 4 fields",
	} {
		t.Run("refuses "+cron, func(t *testing.T) {
			_, _, err := parseExpression(cron, "x")
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, want %s", err, want)
			}
		})
	}
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{"5m": 5 * time.Minute, "1 minute": time.Minute,
		"30 minutes": 30 * time.Minute, "1h30m": 90 * time.Minute, "90": 90 * time.Second,
		"2 days": 48 * time.Hour, "1w": 7 * day, "0.5h": 30 * time.Minute, "1 hour, 2 min": 62 *
			time.Minute, "1M": 30 * day} {
		t.Run("reads "+text, func(t *testing.T) {
			got, err := parseDuration(text)
			same(t, "duration", fmt.Sprint(got, err), fmt.Sprint(want, error(nil)))
		})
	}
	for _, text := range []string{"", "m", "5x", "five", "5m!", "1 2", "-5m", "1e9y"} {
		t.Run("refuses "+text, func(t *testing.T) {
			if d, err := parseDuration(text); err == nil {
				t.Error(d)
			}
		})
	}
}

func FuzzDuration(f *testing.F) {
	f.Add("1h30m")
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := parseDuration(text); err == nil && d < 0 {
			t.Fatal(text, d)
		}
	})
}
