package top

import (
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/redis/go-redis/v9"
)

// jids are those of entries.
func jids(list []queue.Entry) string {
	var words []string
	for _, e := range list {
		words = append(words, jidOf(e))
	}
	return strings.Join(words, " ")
}

func TestSource(t *testing.T) {
	server := redistest.Start(t)
	raw, store := server.Client(), server.Store()
	in := inspect.New(store)
	source := NewSource(store, in, in.Explain)
	fill(t, raw, 1, 2, 12)
	for _, jid := range []string{"d1", "d2", "d3", "d4"} {
		raw.ZAdd(t.Context(), "dead", redis.Z{Score: float64(jid[1] - '0'),
			Member: `{"class":"A","jid":"` + jid + `","queue":"push","args":[1],"created_at":1}`})
	}
	page := func(t *testing.T, w Window, want string, total int) {
		t.Helper()
		p, err := source.Page(t.Context(), w)
		if got := jids(p.Entries); err != nil || got != want || p.Total != total {
			t.Errorf("%+v: %q of %d, want %q of %d, %v", w, got, p.Total, want, total, err)
		}
	}
	t.Run("has pages of sets, of queues, and of filters", func(t *testing.T) {
		page(t, Window{Set: Retries, Offset: 2, Count: 3}, "r2 r3 r4", 12)
		page(t, Window{Set: QueueSet("q1"), Count: 3}, "q1", 1)
		page(t, Window{Set: Retries, Filter: "host:host-1.example", Offset: 1, Count: 5},
			"r5 r9", 3)
		page(t, Window{Set: HeldSet("No"), Count: 5}, "", 0)
	})
	t.Run("has the dead jobs from the last to die on, those of a filter too", func(t *testing.T) {
		page(t, Window{Set: Dead, Count: 3}, "d4 d3 d2", 4)
		page(t, Window{Set: Dead, Filter: "class:A", Count: 3}, "d4 d3 d2", 4)
		page(t, Window{Set: Dead, Filter: "class:A", Offset: 3, Count: 3}, "d1", 4)
	})
	t.Run("counts the jobs of a filter", func(t *testing.T) {
		n, err := source.Count(t.Context(), Retries, "host:host-2.example", time.Now())
		if n != 3 || err != nil {
			t.Error(n, err)
		}
	})
	t.Run("finds a job, and explains it", func(t *testing.T) {
		job, err := source.Job(t.Context(), Ref{JID: "d2"})
		if err != nil || job.Place.Kind != inspect.InDead || len(job.Reasons) == 0 ||
			job.Raw == "" {
			t.Errorf("%+v %v", job, err)
		}
		if set := job.set(); set != Dead {
			t.Errorf("set %q", set)
		}
	})
	t.Run("shows bytes that are no job", func(t *testing.T) {
		job, err := source.Job(t.Context(), Ref{Raw: "no job"})
		if err != nil || job.Job != nil || job.Raw != "no job" {
			t.Errorf("%+v %v", job, err)
		}
	})
}
