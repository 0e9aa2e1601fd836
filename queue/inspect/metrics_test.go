package inspect_test

import (
	"slices"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

var measuredAt = time.Date(2026, 11, 22, 11, 8, 30, 0, time.UTC)

// measured returns an Inspector of a Redis to which a worker has flushed metrics of two classes.
func measured(t *testing.T, options ...func(*queue.Config)) *inspect.Inspector {
	t.Helper()
	store := newFixture(t).server.Store(options...)
	var slow, quick queue.ClassMetrics
	slow.Add(3*time.Second, false)
	quick.Add(10*time.Millisecond, false)
	quick.Add(25*time.Millisecond, false)
	quick.Add(time.Second, true)
	byClass := map[string]*queue.ClassMetrics{"Quick": &quick, "Slow": &slow}
	if err := store.FlushMetrics(t.Context(), byClass, measuredAt); err != nil {
		t.Fatal(err)
	}
	return inspect.New(store)
}

func TestMetrics(t *testing.T) {
	want := []inspect.ClassTotals{{Class: "Slow", Processed: 1, Millis: 3000},
		{Class: "Quick", Processed: 3, Failed: 1, Millis: 35}}
	for name, c := range map[string]struct {
		config func(*queue.Config)
		back   time.Duration
	}{
		"sum the keys of minutes":     {func(*queue.Config) {}, time.Hour},
		"sum the keys of ten minutes": {func(*queue.Config) {}, 24 * time.Hour},
		"count once numbers in both forms": {func(c *queue.Config) { c.Metrics7 = true },
			time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			in := measured(t, c.config)
			got, err := in.Metrics(t.Context(), c.back, measuredAt.Add(time.Minute))
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("%+v, want %+v, %v", got, want, err)
			}
		})
	}
	t.Run("are refused beyond MaxMetrics", func(t *testing.T) {
		in := inspect.New(newFixture(t).store)
		if _, err := in.Metrics(t.Context(), inspect.MaxMetrics+1, measuredAt); err == nil {
			t.Error("no error")
		}
	})
}

func TestHistogram(t *testing.T) {
	for name, config := range map[string]func(*queue.Config){
		"counts successful runs by bucket":  func(*queue.Config) {},
		"counts once numbers in both forms": func(c *queue.Config) { c.Metrics7 = true },
	} {
		t.Run(name, func(t *testing.T) {
			in := measured(t, config)
			got, err := in.Histogram(t.Context(), "Quick", time.Hour, measuredAt)
			if err != nil || len(got) != 26 {
				t.Fatal(got, err)
			}
			want := make([]int64, 26)
			want[0], want[1] = 1, 1 // below 20 ms, and below 30 ms
			if !slices.Equal(got, want) {
				t.Errorf("%v, want %v", got, want)
			}
		})
	}
}
