package cron

import (
	"fmt"
	"testing"
	"time"
)

// pattern is an expression, and what it means, written without the parser.
type pattern struct {
	cron    string
	matches func(wall time.Time) bool
	instant bool // it follows real time
}

func in(n int, list ...int) bool {
	for _, x := range list {
		if x == n {
			return true
		}
	}
	return false
}

var patterns = []pattern{
	{"30 2 * * *", func(w time.Time) bool { return w.Hour() == 2 && w.Minute() == 30 }, false},
	{"0,30 0,1 * * *", func(w time.Time) bool {
		return w.Hour() <= 1 && in(w.Minute(), 0, 30)
	}, false},
	{"*/20 * * * *", func(w time.Time) bool { return w.Minute()%20 == 0 }, true},
	{"7-9 */2 * * *", func(w time.Time) bool {
		return w.Hour()%2 == 0 && in(w.Minute(), 7, 8, 9)
	}, false},
	{"45 0-3 1-15 * sun", func(w time.Time) bool {
		return w.Minute() == 45 && w.Hour() <= 3 && (w.Day() <= 15 || w.Weekday() == time.Sunday)
	}, false},
	{"15 * * mar-apr,sep-nov *", func(w time.Time) bool {
		return w.Minute() == 15 && in(int(w.Month()), 3, 4, 9, 10, 11)
	}, true},
	{"* 2 * * 7", func(w time.Time) bool {
		return w.Hour() == 2 && w.Weekday() == time.Sunday
	}, false},
}

// zones have changes of many kinds: at midnight, by half an hour, by two hours, at 2:45, in
// Ramadan, over a day that does not exist, and none.
var zones = []string{"America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe",
	"America/Santiago", "Asia/Tokyo", "Europe/Berlin", "Europe/Dublin", "Africa/Casablanca",
	"Pacific/Apia", "Asia/Tehran", "America/Havana", "Antarctica/Troll", "Pacific/Chatham",
	"Asia/Amman"}

// changes returns the changes of a zone's clock from the start of one year to that of another.
func changes(zone *time.Location, from, to int) (list []time.Time) {
	at := time.Date(from, 1, 1, 0, 0, 0, 0, zone)
	for {
		_, end := at.ZoneBounds()
		if end.IsZero() || end.Year() >= to {
			return list
		}
		list = append(list, end)
		at = end.In(zone)
	}
}

// readings lists what the wall clock reads at each minute of a span, as times of UTC. It begins 49
// hours earlier, so that the oracle knows what was read before.
func readings(zone *time.Location, from, to time.Time) (list []time.Time) {
	for t := from.Add(-49 * time.Hour); !t.After(to); t = t.Add(time.Minute) {
		w := t.In(zone)
		list = append(list, time.Date(w.Year(), w.Month(), w.Day(), w.Hour(), w.Minute(), 0, 0,
			time.UTC))
	}
	return list
}

// oracle lists the slots after from by looking at the wall clock at each minute.
func oracle(p pattern, walls []time.Time, from time.Time) (slots []string) {
	seen := map[int64]bool{}
	for i, now := range walls[1:] {
		due := false
		for w := walls[i].Add(time.Minute); !p.instant && w.Before(now); w = w.Add(time.Minute) {
			due = due || p.matches(w) && !seen[w.Unix()] // the clock has skipped w
			seen[w.Unix()] = true
		}
		due = due || p.matches(now) && (p.instant || !seen[now.Unix()])
		seen[now.Unix()] = true
		t := from.Add(-49*time.Hour + time.Duration(i+1)*time.Minute)
		if due && t.After(from) {
			slots = append(slots, t.UTC().Format(time.RFC3339))
		}
	}
	return slots
}

func slotsOf(t timing, from, to time.Time) (slots []string) {
	for at := t.next(from); !at.IsZero() && !at.After(to); at = t.next(at) {
		slots = append(slots, at.Format(time.RFC3339))
	}
	return slots
}

func mustTiming(t testing.TB, text, name string, zone *time.Location) timing {
	t.Helper()
	e, _, err := parseExpression(text, name)
	if err != nil {
		t.Fatal(err)
	}
	return &calendar{*e, zone}
}

func TestCalendar(t *testing.T) {
	t.Run("has the slots that an oracle finds minute by minute", func(t *testing.T) {
		for _, name := range zones {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				compareWithOracle(t, name)
			})
		}
	})
	berlin, _ := time.LoadLocation("Europe/Berlin")
	at := func(text string) time.Time {
		x, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, c := range []struct{ says, cron, after, want string }{
		{"a fixed hour in a gap is due at the end of the gap", "30 2 * * *",
			"2026-03-28T22:00:00Z", "2026-03-29T01:00:00Z"},
		{"several readings in a gap are one slot", "*/10 2 * * *", "2026-03-29T01:00:00Z",
			"2026-03-30T00:00:00Z"},
		{"a repeated hour is due once", "30 2 * * *", "2026-10-25T00:30:00Z",
			"2026-10-26T01:30:00Z"},
		{"every hour follows real time through a repeated hour", "30 * * * *",
			"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z"},
		{"every hour follows real time through a gap", "0 * * * *", "2026-03-29T00:00:00Z",
			"2026-03-29T01:00:00Z"},
		{"seconds count", "*/15 59 23 31 12 *", "2026-12-31T22:59:20.5Z",
			"2026-12-31T22:59:30Z"},
		{"29 February is found", "0 0 29 2 *", "2026-03-01T00:00:00Z", "2028-02-28T23:00:00Z"},
	} {
		t.Run(c.says, func(t *testing.T) {
			got := mustTiming(t, c.cron, "x", berlin).next(at(c.after))
			if !got.Equal(at(c.want)) {
				t.Errorf("%s after %s: %v, want %s", c.cron, c.after, got, c.want)
			}
		})
	}
}

// compareWithOracle looks at the days around each change of 15 years, and at a month.
func compareWithOracle(t *testing.T, name string) {
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	year := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	spans := [][2]time.Time{{year, year.AddDate(0, 1, 0)}}
	for _, c := range changes(zone, 2007, 2022) {
		spans = append(spans, [2]time.Time{c.Add(-26 * time.Hour), c.Add(30 * time.Hour)})
	}
	for _, s := range spans {
		walls := readings(zone, s[0], s[1])
		for _, p := range patterns {
			want := oracle(p, walls, s[0])
			got := slotsOf(mustTiming(t, p.cron, "x", zone), s[0], s[1])
			if fmt.Sprint(want) != fmt.Sprint(got) {
				t.Fatalf("%s from %v:\n%v, want\n%v", p.cron, s[0], got, want)
			}
		}
	}
}

func TestEvery(t *testing.T) {
	five := newEvery(5*time.Minute, "a")
	start := time.Date(2026, 11, 29, 1, 2, 3, 4, time.UTC)
	t.Run("has slots at equal distances that do not depend on the start", func(t *testing.T) {
		first := five.next(start)
		if d := first.Sub(start); d <= 0 || d > 5*time.Minute {
			t.Errorf("the first slot is %v after the start", d)
		}
		for _, from := range []time.Time{first, first.Add(time.Nanosecond),
			first.Add(5*time.Minute - time.Second)} {
			if got := five.next(from); !got.Equal(first.Add(5 * time.Minute)) {
				t.Errorf("after %v: %v", from, got)
			}
		}
	})
	t.Run("spreads entries over the period by their names", func(t *testing.T) {
		phases := map[time.Duration]bool{}
		for i := range 100 {
			phases[newEvery(time.Hour, fmt.Sprint("entry", i)).phase] = true
		}
		if len(phases) < 90 {
			t.Errorf("100 entries have %d different phases", len(phases))
		}
	})
	t.Run("works before 1970", func(t *testing.T) {
		old := time.Unix(-1000, 0)
		if d := five.next(old).Sub(old); d <= 0 || d > 5*time.Minute {
			t.Errorf("the next slot is %v later", d)
		}
	})
}
