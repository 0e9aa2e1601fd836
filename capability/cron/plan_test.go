package cron

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDue(t *testing.T) {
	hourly := mustTiming(t, "0 * * * *", "x", time.UTC)
	now := time.Date(2026, 11, 29, 12, 20, 0, 0, time.UTC)
	down := now.Add(-3 * time.Hour) // the slots 10, 11 and 12 o'clock were missed
	for policy, want := range map[Misfire][]int{Once: {12}, "": {12}, Skip: nil, All: {10, 11, 12}} {
		t.Run("after three hours down, policy "+string(policy), func(t *testing.T) {
			var got []int
			for _, slot := range due(hourly, down, now, policy) {
				got = append(got, slot.Hour())
			}
			same(t, "slots", got, want)
		})
	}
	for _, policy := range []Misfire{Once, Skip, All} {
		t.Run("a slot a few seconds ago was not missed, policy "+string(policy),
			func(t *testing.T) {
				at := time.Date(2026, 11, 29, 12, 0, 9, 0, time.UTC)
				got := due(hourly, at.Add(-time.Hour), at, policy)
				same(t, "slots", len(got), 1)
			})
	}
	t.Run("once makes up for nothing that is older than an hour", func(t *testing.T) {
		daily := mustTiming(t, "0 3 * * *", "x", time.UTC)
		same(t, "slots", len(due(daily, now.Add(-24*time.Hour), now, Once)), 0)
		same(t, "slots of 3:59", len(due(daily, now.Add(-24*time.Hour), now.Add(-8*time.Hour-
			21*time.Minute), Once)), 1)
	})
	t.Run("all makes up for the latest 100", func(t *testing.T) {
		got := due(hourly, now.AddDate(-10, 0, 0), now, All)
		same(t, "slots", len(got), 100)
		same(t, "the latest", got[99].Hour(), 12)
	})
}

func TestDueAlways(t *testing.T) {
	t.Run("has slots in order, none twice, none to come, and under all none is left out",
		func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				period := time.Duration(rapid.IntRange(1, 4000).Draw(t, "period")) * time.Second
				timing := newEvery(period, "x")
				start := time.Unix(1.8e9, 0)
				span := time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "span"))
				policy := rapid.SampledFrom([]Misfire{Once, Skip, All}).Draw(t, "policy")
				got, all := due(timing, start, start.Add(span), policy),
					between(timing, start, start.Add(span))
				for i, slot := range got {
					if !slot.After(start) || slot.After(start.Add(span)) ||
						i > 0 && !slot.After(got[i-1]) {
						t.Fatal(got)
					}
				}
				fresh := 0
				for _, slot := range all {
					if start.Add(span).Sub(slot) <= onTime {
						fresh++
					}
				}
				if want := min(len(all)-fresh, 100) + fresh; policy == All && len(got) != want {
					t.Fatalf("%d slots, want %d", len(got), want)
				}
				if policy == Skip && len(got) != fresh || policy == Once && len(all) > 0 &&
					fresh == 0 && len(got) != 1 {
					t.Fatal(policy, got, all)
				}
			})
		})
}
