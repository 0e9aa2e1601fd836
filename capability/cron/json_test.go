package cron

import (
	"encoding/json"
	"testing"
	"time"
)

func TestEntryJSON(t *testing.T) {
	for want, entry := range map[string]Entry{
		`{"class":"A","every":"1h30m0s","name":"a"}`: {Name: "a", Class: "A",
			Every: 90 * time.Minute},
		`{"class":"A","cron":"* * * * *","extra":{"every":5},"name":"a","only_if":[` +
			`{"latency_below":"5m0s","queue":"q"},{"queue":"r","size_below":7}],` +
			`"overlap_for":"2h0m0s"}`: {Name: "a", Class: "A", Cron: "* * * * *",
			OverlapFor: 2 * time.Hour, Extra: map[string]any{"every": 5},
			OnlyIf: []Condition{{Queue: "q", LatencyBelow: 5 * time.Minute},
				{Queue: "r", SizeBelow: 7}}},
	} {
		e, err := NewEntryJSON(entry)
		b, _ := json.Marshal(e)
		if err != nil || string(b) != want {
			t.Errorf("%s %v, want %s", b, err, want)
		}
	}
}
