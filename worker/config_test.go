package worker

import (
	"strings"
	"testing"
	"time"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	t.Run("is refused with all its problems", func(t *testing.T) {
		_, err := New(nil, Config{Lease: time.Millisecond, Grace: -time.Second,
			Capsules: []Capsule{{Concurrency: 0, Queues: queues("a\nb")}, {Concurrency: 1}}})
		for _, want := range []string{"no Mux", "concurrency 0", `queue "a\nb"`, "no queues",
			"is there twice", "lease", "grace -1s"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in: %v", want, err)
			}
		}
	})
	t.Run("does not forward jobs of unknown classes to a queue that it serves", func(t *testing.T) {
		c := Config{Mux: NewMux(), Unknown: ForwardUnknown("b"),
			Capsules: []Capsule{{Concurrency: 1, Queues: queues("a", "b")}}}
		if err := c.Validate(); err == nil || !strings.Contains(err.Error(), "come back for ever") {
			t.Errorf("Validate: %v", err)
		}
	})
	t.Run("has useful defaults", func(t *testing.T) {
		c := Config{Mux: NewMux(), Capsules: []Capsule{{Concurrency: 3, Queues: queues("a")},
			{Name: "other", Concurrency: 4, Queues: queues("b", "a")}}}
		if err := c.Validate(); err != nil {
			t.Fatal(err)
		}
		c = c.withDefaults()
		if c.Threads() != 7 || c.MaxStuck != 7 {
			t.Errorf("%d threads, at most %d stuck, want 7 and 7", c.Threads(), c.MaxStuck)
		}
		if got := strings.Join(c.queues(), " "); got != "a b" {
			t.Errorf("serves %s, want a b", got)
		}
		if c.Timeout != 25*time.Second || c.Grace != 2*time.Second || c.Lease != 10*time.Second {
			t.Errorf("timeout %v, grace %v, lease %v, want 25s, 2s, 10s", c.Timeout, c.Grace,
				c.Lease)
		}
	})
}
