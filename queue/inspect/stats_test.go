package inspect_test

import (
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

func TestTotals(t *testing.T) {
	f := newFixture(t)
	f.publish()
	f.raw.MSet(t.Context(), "stat:processed", 7, "stat:failed", 2)
	t.Run("are the numbers that Redis keeps ready", func(t *testing.T) {
		st, err := f.in.Totals(t.Context())
		if err != nil || st.Processed != 7 || st.Failed != 2 || st.Expired != 0 ||
			st.Processes != 4 {
			t.Errorf("%+v %v", st, err)
		}
	})
}

func TestHistory(t *testing.T) {
	f := newFixture(t)
	if _, err := f.owner.Publish(t.Context(), queue.ProcessRecord{StartedAt: time.Now()},
		queue.Counts{Flush: 1, Processed: 10, Failed: 3, Expired: 2}, time.Now()); err != nil {
		t.Fatal(err)
	}
	days, err := f.in.History(t.Context(), 2)
	if err != nil || len(days) != 2 {
		t.Fatalf("%+v %v", days, err)
	}
	t.Run("has today first, and days without runs", func(t *testing.T) {
		same(t, "Processed of today", days[0].Processed, 10)
		same(t, "Failed of today", days[0].Failed, 3)
		same(t, "Expired of today", days[0].Expired, 2)
		same(t, "Processed of yesterday", days[1].Processed, 0)
	})
	t.Run("is kept for five years", func(t *testing.T) {
		ttl := f.raw.TTL(t.Context(), "stat:processed:"+days[0].Date).Val()
		if ttl < 1824*24*time.Hour || ttl > 1826*24*time.Hour {
			t.Errorf("kept for %v", ttl)
		}
	})
}
