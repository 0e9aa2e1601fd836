package outbox_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/capability/outbox"
	"github.com/kyujobs/kyu/database"
)

// look reads the state, through PgBouncer.
func (f *fixture) look(url string) *outbox.State {
	f.Helper()
	s, err := outbox.Look(f.Context(), url)
	if err != nil {
		f.Fatal(err)
	}
	return s
}

func TestState(t *testing.T) {
	f := newFixture(t)
	url, _ := f.cluster.Pooler()
	t.Run("counts rows by queue, and lists those that are kept aside", func(t *testing.T) {
		f := f.in(t)
		f.exec(`INSERT INTO kyu_outbox (queue, payload, created_at) SELECT 'q' || i % 3, '{}',
			now() - make_interval(mins => i) FROM generate_series(1, 10) AS i`)
		f.exec(`INSERT INTO kyu_outbox (jid, payload, error) VALUES ('bad', '{', 'no JSON')`)
		s := f.look(url)
		if !s.Table || s.Waiting != 10 || s.More || s.Oldest < 600 || s.Oldest > 700 ||
			len(s.Queues) != 3 || s.Queues[0] != (outbox.QueueRows{Queue: "q1", Rows: 4}) {
			t.Errorf("%+v", s)
		}
		if s.Aside != 1 || len(s.Bad) != 1 || s.Bad[0].JID != "bad" || s.Bad[0].Error != "no JSON" {
			t.Errorf("%+v", s.Bad)
		}
		if s.Bytes == 0 || s.IndexBytes == 0 || s.InboxBytes == 0 || s.NoAutovacuum {
			t.Errorf("%+v", s)
		}
	})
	t.Run("counts 100,000 rows at most", func(t *testing.T) {
		f := f.in(t)
		f.fill(100_001)
		if s := f.look(url); s.Waiting != 100_000 || !s.More {
			t.Error(s.Waiting, s.More)
		}
	})
	t.Run("lets rows wait again, or deletes them", func(t *testing.T) {
		f := f.in(t)
		f.exec(`INSERT INTO kyu_outbox (id, payload, error) SELECT i, '{}', 'bad'
			FROM generate_series(1000001, 1000004) AS i`)
		f.exec(`INSERT INTO kyu_outbox (id, payload) VALUES (1000005, '{}')`)
		if n, err := outbox.Drop(t.Context(), url); n != 0 || err != nil {
			t.Error("none to drop:", n, err)
		}
		if n, err := outbox.Drop(t.Context(), url, 1000001, 1000005); n != 1 || err != nil {
			t.Error("one that is aside, one that waits:", n, err)
		}
		if n, err := outbox.Retry(t.Context(), url, 1000002); n != 1 || err != nil {
			t.Error(n, err)
		}
		if n, err := outbox.Retry(t.Context(), url); n != 2 || err != nil {
			t.Error(n, err)
		}
		if f.rows("error IS NULL") != 4 {
			t.Error("not all wait")
		}
	})
	t.Run("says that autovacuum is off, or that there is no table", func(t *testing.T) {
		f := f.in(t)
		f.exec("ALTER TABLE kyu_outbox SET (autovacuum_enabled = false)")
		if !f.look(url).NoAutovacuum {
			t.Error("it is not off")
		}
		f.exec("DROP TABLE kyu_outbox")
		if f.look(url).Table {
			t.Error("there is a table")
		}
		if _, err := outbox.Retry(t.Context(), url); !errors.Is(err, outbox.ErrNoTable) {
			t.Error(err)
		}
		if _, err := outbox.Look(t.Context(), ""); !errors.Is(err, database.ErrNone) {
			t.Error(err)
		}
		if _, err := outbox.Look(t.Context(), "postgres://127.0.0.1:1/x"); err == nil ||
			!strings.Contains(err.Error(), "127.0.0.1") {
			t.Error(err)
		}
	})
}
