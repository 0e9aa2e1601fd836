package dashboard_test

import (
	"net/url"
	"testing"

	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/database/migrate"
	"github.com/kyujobs/kyu/test/kit/pgtest"
)

func TestOutboxPage(t *testing.T) {
	f := newFixture(t)
	t.Run("says what to set if there is no Postgres", func(t *testing.T) {
		f := f.sub(t)
		f.translated("/outbox", "Outbox", "アウトボックス")
		f.has(f.get("/outbox", 200), "Set DATABASE_URL")
	})
	address := pgtest.Start(t)
	f.d = f.open(with(dashboard.Postgres{Config: database.Config{URL: address}}))
	t.Run("says that the table is missing", func(t *testing.T) {
		f := f.sub(t)
		f.has(f.get("/outbox", 200), "there is no table kyu_outbox", "workerctl migrate")
	})
	if _, err := migrate.Up(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	pgtest.Exec(t, address, `INSERT INTO kyu_outbox (queue, payload, created_at)
		VALUES ('mailers', '{}', now() - interval '1 hour'), (NULL, '{}', now());
		INSERT INTO kyu_outbox (id, jid, payload, error) VALUES
		(4711, 'j1', '{', '<b>broken</b> JSON'), (4712, 'j2', '{', 'no queue')`)
	t.Run("lists what waits, and what is kept aside", func(t *testing.T) {
		f := f.sub(t)
		page := f.get("/outbox", 200)
		f.has(page, "mailers", "named by the payload only", "4711", "<b>broken", "no queue",
			"2 rows wait, the first for 1h0m0s")
		var x struct {
			Waiting, Aside int
			Bad            []struct{ JID string }
		}
		f.api("/outbox", &x)
		if x.Waiting != 2 || x.Aside != 2 || x.Bad[0].JID != "j1" {
			t.Errorf("%+v", x)
		}
	})
	t.Run("lets rows wait again, or deletes them", func(t *testing.T) {
		f := f.sub(t)
		f.post("/outbox/selected", url.Values{"id": {"4711"}, "verb": {"drop"}})
		f.post("/outbox/selected", url.Values{"id": {"4712"}, "verb": {"retry"}})
		got := pgtest.Query(t, address, "SELECT string_agg(id || coalesce(error, ''), ' ' "+
			"ORDER BY id)::text FROM kyu_outbox WHERE id > 4000")
		same(t, "the rows", got, "4712")
		f.has(f.get("/audit", 200), "outbox drop", "outbox retry")
	})
	t.Run("says that Postgres does not answer", func(t *testing.T) {
		f := f.sub(t)
		f.d = f.open(with(dashboard.Postgres{Config: database.Config{
			URL: "postgres://kyu:very-secret@127.0.0.1:1/x"}}))
		page := f.get("/outbox", 200)
		f.has(page, "127.0.0.1")
		f.lacks(page, "very-secret")
	})
}
