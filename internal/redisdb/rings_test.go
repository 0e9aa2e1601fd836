package redisdb

import (
	"testing"
	"time"
)

func TestRings(t *testing.T) {
	t.Run("reach 6 hours, 7 days and 400 days", func(t *testing.T) {
		for i, days := range []time.Duration{1, 28, 1600} { // in quarters of a day
			if r := QueueRings[i]; r.Span() != days*6*time.Hour {
				t.Errorf("%s reaches %v", r.Name, r.Span())
			}
		}
	})
	t.Run("a ring is in the slot of its queue", func(t *testing.T) {
		ks := NewKeyspace("ns")
		for got, want := range map[string]string{
			ks.QueueHistory("push", QueueRings[1]): "ns:kyu:{ns:queue:push}:history:1m",
			ks.ClassHistory("A::B"):                "ns:kyu:history:class:A::B",
			ks.HistoryClasses():                    "ns:kyu:history:classes",
		} {
			if got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
	})
}
