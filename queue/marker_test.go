package queue_test

import (
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
)

func TestMarker(t *testing.T) {
	f := newFixture(t)
	push := func(jid string, life time.Duration) {
		t.Helper()
		err := f.store.PushBatches(t.Context(), []queue.Batch{{Queue: "a", Idempotent: true,
			Life: life, Jobs: []queue.Pushed{{JID: jid, Payload: "{}"}}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	ttl := func(jid string) time.Duration {
		return f.raw.TTL(t.Context(), "kyu:pushed:"+jid).Val()
	}
	t.Run("lives an hour unless the batch says how long", func(t *testing.T) {
		push("x", 0)
		push("y", 24*time.Hour)
		if x, y := ttl("x"), ttl("y"); x > time.Hour || x <= 0 || y <= 23*time.Hour {
			t.Errorf("the markers live %v and %v", x, y)
		}
	})
	t.Run("is gone at once if its life becomes 0, and the others stay", func(t *testing.T) {
		if err := f.store.ShortenMarkers(t.Context(), []string{"y", "none"}, 0); err != nil {
			t.Fatal(err)
		}
		push("x", 0)
		push("y", 0)
		f.in(t).at("queue:a=3")
	})
}

func TestForm(t *testing.T) {
	t.Run("of a Store is that of its Config", func(t *testing.T) {
		f := newFixture(t)
		c := queue.Config{MaxPayload: 99, Timestamps: queue.Millis}
		s := f.server.Store(func(o *queue.Config) {
			o.MaxPayload, o.Timestamps = c.MaxPayload, c.Timestamps
		})
		same(t, "the form", s.Form(), c.Form())
		same(t, "without settings", f.store.Form(),
			queue.Form{MaxPayload: queue.DefaultMaxPayload, Timestamps: queue.Mirror})
	})
}
