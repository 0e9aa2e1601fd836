package dashboard_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/queue"
)

// locked pushes n jobs with locks to the queue a.
func (f *fixture) locked(n int) {
	f.Helper()
	c := queue.NewClient(f.store, unique.Client(map[string]unique.Lock{"Job": {}}))
	for i := range n {
		_, err := c.Push(f.Context(), "Job", []any{i}, queue.Options{Queue: "a",
			JID: fmt.Sprintf("jid%02d", i)})
		f.must(err)
	}
}

// orphan makes a lock whose job is nowhere.
func (f *fixture) orphan(digest string) {
	f.Helper()
	old := float64(time.Now().Add(-time.Hour).Unix())
	f.must(f.raw.HSet(f.Context(), digest+":LOCKED", "lost", fmt.Sprint(int64(old))).Err())
	f.must(f.raw.ZAdd(f.Context(), "uniquejobs:digests", z(time.Now().Add(-time.Hour),
		digest)).Err())
}

// locksJSON is what programs get.
type locksJSON struct {
	Locks []struct {
		Digest  string
		Holders []struct{ JID string }
	}
	Size, Next int
}

func TestLocksPage(t *testing.T) {
	f := newTools(t)
	f.locked(30)
	t.Run("lists locks, a page at a time", func(t *testing.T) {
		f := f.sub(t)
		f.translated("/locks", "Locks", "ロック")
		page := f.get("/locks", 200)
		f.has(page, "There are 30 locks", "/jobs/jid00", "/locks?after=25")
		f.lacks(page, "/jobs/jid29")
		f.has(f.get("/locks?after=25", 200), "/jobs/jid29", "To the first page")
	})
	t.Run("finds a digest by its part", func(t *testing.T) {
		f := f.sub(t)
		var all, some locksJSON
		f.api("/locks", &all)
		f.api("/locks?text="+all.Locks[7].Digest[5:], &some)
		if len(some.Locks) != 1 || some.Locks[0].Holders[0].JID != all.Locks[7].Holders[0].JID ||
			some.Size != 30 {
			t.Errorf("%+v", some)
		}
		f.has(f.get("/locks?text=nowhere", 200), "No locks were found")
	})
	t.Run("shows only locks whose jobs are nowhere", func(t *testing.T) {
		f := f.sub(t)
		f.orphan("uniquejobs:orphan1")
		page := f.get("/locks?orphans=1", 200)
		f.has(page, "uniquejobs:orphan1", "Only orphans")
		f.lacks(page, "/jobs/jid00")
	})
	t.Run("has no forms for a viewer", func(t *testing.T) {
		f := f.sub(t)
		f.role = "viewer"
		f.lacks(f.get("/locks", 200), `type="checkbox"`, "/locks/selected")
	})
}

func TestDeleteLocks(t *testing.T) {
	f := newTools(t)
	f.role = "operator"
	f.locked(3)
	f.orphan("uniquejobs:orphan1")
	var l locksJSON
	f.api("/locks", &l)
	t.Run("deletes those that are ticked, and records it", func(t *testing.T) {
		f := f.sub(t)
		digest := l.Locks[len(l.Locks)-1].Digest
		to, page := f.post("/locks/selected", form("digest", digest))
		same(t, "next page", to, "/locks")
		f.has(page, "1 locks are deleted.")
		f.lacks(page, `value="`+digest)
		f.audited("dashboard locks delete", digest)
	})
	t.Run("goes back to the orphans", func(t *testing.T) {
		f := f.sub(t)
		to, page := f.post("/locks/selected", form("digest", "uniquejobs:orphan1", "orphans", "1"))
		same(t, "next page", to, "/locks?orphans=1")
		f.has(page, "No locks were found")
	})
	t.Run("names locks that are not there any more", func(t *testing.T) {
		_, page := f.sub(t).post("/locks/selected", form("digest", "gone"))
		f.has(page, "0 locks are deleted.", "Not found any more: gone.")
	})
	t.Run("does nothing without a lock", func(t *testing.T) {
		_, page := f.sub(t).post("/locks/selected", form("x", "y"))
		f.has(page, "No lock was selected")
	})
}
