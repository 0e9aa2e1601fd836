package queue_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

func TestFlushMetrics(t *testing.T) {
	f := newFixture(t)
	var m queue.ClassMetrics
	m.Add(20*time.Millisecond, false) // bounds are strict: 20 ms is in the second bucket
	m.Add(time.Hour, false)
	m.Add(time.Second, true)
	at := time.Date(2026, 11, 22, 11, 8, 30, 0, time.UTC)
	if err := f.store.FlushMetrics(t.Context(), map[string]*queue.ClassMetrics{"My::Job": &m},
		at); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"j|261122|11:08", "j|261122|11:0"} {
		got := f.raw.HGetAll(t.Context(), key).Val()
		if got["My::Job|p"] != "3" || got["My::Job|f"] != "1" || got["My::Job|ms"] != "3600020" {
			t.Errorf("%s: %v", key, got)
		}
	}
	got := f.raw.BitField(t.Context(), "h|My::Job-22-11:8", "GET", "u16", "#0", "GET", "u16", "#1",
		"GET", "u16", "#25").Val()
	if fmt.Sprint(got) != "[0 1 1]" {
		t.Errorf("histogram %v", got)
	}
}
