package inspect_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
)

// search searches for what a filter chooses.
func (f *fixture) search(ctx context.Context, filter string, limit int) inspect.Search {
	f.Helper()
	chosen, err := inspect.ParseFilter(filter)
	if err != nil {
		f.Fatal(err)
	}
	found, err := f.in.Search(ctx, chosen, limit)
	if err != nil {
		f.Fatal(err)
	}
	return found
}

func TestSearch(t *testing.T) {
	f := newFixture(t)
	for key, want := range places {
		t.Run("finds jobs in "+key, func(t *testing.T) {
			f := f.sub(t)
			f.raw.FlushDB(t.Context())
			for i := range 3 {
				f.place(key, fmt.Sprintf(`{"class":"A","jid":"j%d","queue":"push","args":[4%d]}`, i,
					i))
			}
			s := f.search(t.Context(), "arg:42", 5)
			if len(s.Found) != 1 || s.More {
				t.Fatalf("%+v", s)
			}
			same(t, "the job", s.Found[0].Job.JID, "j2")
			s.Found[0].Place.At = want.At
			same(t, "the place", fmt.Sprint(s.Found[0].Place), fmt.Sprint(want))
		})
	}
	f.raw.FlushDB(t.Context())
	f.push("a", 1200)
	t.Run("ends at its limit", func(t *testing.T) {
		s := f.sub(t).search(t.Context(), "class:Job", 3)
		same(t, "Found", len(s.Found), 3)
		same(t, "More", s.More, true)
		same(t, "Read", s.Read, 4)
	})
	t.Run("says that there are no more if it has found just as many", func(t *testing.T) {
		s := f.sub(t).search(t.Context(), "arg:1199", 1)
		same(t, "Found", len(s.Found), 1)
		same(t, "More", s.More, false)
		same(t, "Read", s.Read, 1200)
	})
	t.Run("ends at its deadline with what it has found", func(t *testing.T) {
		ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(-time.Second))
		defer cancel()
		s := f.sub(t).search(ctx, "class:Job", 3)
		same(t, "More", s.More, true)
	})
	t.Run("ends so also if the connection gives up before the context", func(t *testing.T) {
		s := f.sub(t).search(unaware{t.Context()}, "class:Job", 3)
		same(t, "More", s.More, true)
		_, j, _, err := f.in.LocateFrom(unaware{t.Context()}, "nobody", inspect.Cursor{})
		if j != nil || err != nil {
			t.Error(j, err)
		}
	})
	t.Run("fails if it is interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := f.in.Search(ctx, inspect.Filter{}, 3); err == nil {
			t.Error("no error")
		}
	})
}

// unaware is a context whose time is over, and whose timer has not fired.
type unaware struct{ context.Context }

func (unaware) Deadline() (end time.Time, has bool) { return time.Now().Add(-time.Second), true }
