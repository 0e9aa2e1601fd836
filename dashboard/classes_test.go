package dashboard_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

func TestClasses(t *testing.T) {
	f := newFixture(t)
	f.has(f.get("/classes", 200), "Nothing ran in this time.")
	slow, quick := &queue.ClassMetrics{}, &queue.ClassMetrics{}
	for range 3 {
		slow.Add(10*time.Second, false)
	}
	slow.Add(time.Second, true)
	quick.Add(time.Millisecond, false)
	now := time.Now()
	f.must(f.store.FlushMetrics(t.Context(), map[string]*queue.ClassMetrics{"Slow": slow,
		"Quick": quick}, now))
	f.must(f.store.FlushMetrics(t.Context(), map[string]*queue.ClassMetrics{"Older": quick},
		now.Add(-5*time.Hour)))
	t.Run("the one that takes the most time is first", func(t *testing.T) {
		f := f.sub(t)
		var p struct {
			Classes []struct {
				Class    string
				Runs     int
				Failures int
			}
		}
		f.must(json.Unmarshal([]byte(f.get("/api/v1/classes", 200)), &p))
		if len(p.Classes) != 2 || p.Classes[0].Class != "Slow" || p.Classes[0].Runs != 4 ||
			p.Classes[0].Failures != 1 || p.Classes[1].Class != "Quick" {
			t.Errorf("%+v", p)
		}
		f.has(f.get("/classes", 200), "100 %", "25 %", "<1 %", "10 s")
	})
	t.Run("shows more time if it is asked", func(t *testing.T) {
		f := f.sub(t)
		f.lacks(f.get("/classes", 200), "Older")
		f.has(f.get("/classes?hours=8", 200), "Older")
		f.lacks(f.get("/classes?hours=7", 200), "Older")
	})
}
