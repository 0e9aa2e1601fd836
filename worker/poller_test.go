package worker

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
)

func TestPoller(t *testing.T) {
	t.Run("goes on with what it can read when one set cannot be read", func(t *testing.T) {
		s := redistest.Start(t)
		raw, ctx := s.Client(), t.Context()
		raw.Set(ctx, "retry", "of another program", 0)
		raw.Set(ctx, "kyu:hold:A", "of another program", 0)
		raw.ZAdd(ctx, "schedule", redis.Z{Score: 1, Member: `{"class":"A","queue":"a"}`})
		raw.ZAdd(ctx, "kyu:hold:B", redis.Z{Score: 1, Member: `{"class":"B","queue":"b"}`})
		p := &poller{store: s.Store(), outage: newOutage(slog.New(slog.DiscardHandler)),
			classes: []string{"A", "B"}, queues: []string{"a", "b"}}
		if err := p.poll(ctx); err == nil || !strings.Contains(err.Error(), "retry") {
			t.Errorf("no word of the set that cannot be read: %v", err)
		}
		if raw.LLen(ctx, "queue:a").Val() != 1 || raw.LLen(ctx, "queue:b").Val() != 1 {
			t.Error("the scheduled and the held job were not moved")
		}
	})
	t.Run("gets past refused jobs, tells of their key once, and tries them again",
		func(t *testing.T) {
			s := redistest.Start(t)
			raw, ctx := s.Client(), t.Context()
			raw.Set(ctx, "queue:x", "of another program", 0)
			for i := range 3*promotePage + 1 {
				job := `{"class":"A","queue":"x","args":[` + strings.Repeat("1,", i) + `1]}`
				raw.ZAdd(ctx, "retry", redis.Z{Score: float64(i), Member: job})
			}
			raw.ZAdd(ctx, "retry", redis.Z{Score: 1000, Member: `{"class":"A","queue":"a"}`})
			raw.ZAdd(ctx, "schedule", redis.Z{Score: 1000, Member: `{"class":"A","queue":"a"}`})
			var log strings.Builder
			p := &poller{store: s.Store(),
				outage: newOutage(slog.New(slog.NewTextHandler(&log, nil)))}
			for range 3 {
				if err := p.poll(ctx); err != nil {
					t.Fatal(err)
				}
			}
			if n := raw.LLen(ctx, "queue:a").Val(); n != 2 {
				t.Errorf("%d of 2 jobs behind the refused ones were moved", n)
			}
			if n := raw.ZCard(ctx, "retry").Val(); n != 3*promotePage+1 {
				t.Errorf("%d of the refused jobs stayed", n)
			}
			text := log.String()
			if n := strings.Count(text, "key=queue:x"); n != 1 ||
				!strings.Contains(text, "RENAME") {
				t.Errorf("told of %d times: %s", n, text)
			}
			raw.Del(ctx, "queue:x")
			if err := p.poll(ctx); err != nil || raw.LLen(ctx, "queue:x").Val() != 3*promotePage+1 {
				t.Errorf("not moved after the key was mended: %v", err)
			}
			raw.Del(ctx, "queue:x")
			raw.Set(ctx, "queue:x", "again", 0)
			raw.ZAdd(ctx, "retry", redis.Z{Score: 1, Member: `{"class":"A","queue":"x"}`})
			p.poll(ctx)
			if n := strings.Count(log.String(), "key=queue:x"); n != 2 {
				t.Errorf("a key that breaks again is told of %d times", n)
			}
		})
}
