package queue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

func TestFlushMetrics(t *testing.T) {
	at := time.Date(2026, 11, 22, 11, 8, 30, 0, time.UTC)
	var m queue.ClassMetrics
	m.Add(20*time.Millisecond, false) // not below the first bound, so in the second bucket
	m.Add(time.Hour, false)
	m.Add(time.Second, true)
	t.Run("adds to the keys of a minute and of ten minutes", func(t *testing.T) {
		f := newFixture(t)
		f.flush("My::Job", &m, at)
		for _, key := range []string{"j|261122|11:08", "j|261122|11:0"} {
			got := f.raw.HGetAll(t.Context(), key).Val()
			same(t, key+" p", got["My::Job|p"], "3")
			same(t, key+" f", got["My::Job|f"], "1")
			same(t, key+" ms", got["My::Job|ms"], "3600020")
		}
	})
	t.Run("adds to the histogram of a minute", func(t *testing.T) {
		f := newFixture(t)
		f.flush("My::Job", &m, at)
		got := f.raw.BitField(t.Context(), "h|My::Job-22-11:8", "GET", "u16", "#0", "GET", "u16",
			"#1", "GET", "u16", "#25").Val()
		same(t, "the buckets 0, 1 and 25", fmt.Sprint(got), "[0 1 1]")
	})
	t.Run("succeeds for the other keys when one has a wrong type", func(t *testing.T) {
		f := newFixture(t)
		f.spoil("j|261122|11:08")
		f.flush("A", &m, at) // after an error, a worker would add all numbers again
		same(t, "p", f.raw.HGet(t.Context(), "j|261122|11:0", "A|p").Val(), "3")
	})
}

func (f *fixture) flush(class string, m *queue.ClassMetrics, at time.Time) {
	f.Helper()
	byClass := map[string]*queue.ClassMetrics{class: m}
	if err := f.store.FlushMetrics(f.Context(), byClass, at); err != nil {
		f.Fatal(err)
	}
}
