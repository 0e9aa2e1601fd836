package main

import (
	"testing"

	"github.com/kyujobs/kyu/test/kit/pgtest"
)

func TestOutbox(t *testing.T) {
	s := withRedis(t)
	t.Run("needs a database, and the table", func(t *testing.T) {
		s := s.of(t)
		s.fails(1, "DATABASE_URL", "outbox")
		s.vars["DATABASE_URL"] = pgtest.StartCluster(t).URL
		s.fails(1, "workerctl migrate", "outbox")
		s.ok(`"table": false`, "outbox --json")
	})
	s.vars["DATABASE_URL"] = pgtest.StartCluster(t).URL
	s.ok("0003_outbox.sql", "migrate")
	t.Run("says that nothing waits", func(t *testing.T) {
		s := s.of(t)
		s.ok("0 wait, the first for 0s; 0 are kept aside", "outbox")
		s.ok("not vacuumed yet", "outbox")
	})
	pgtest.Exec(t, s.vars["DATABASE_URL"], `INSERT INTO kyu_outbox (queue, payload, created_at)
		VALUES ('mailers', '{}', now() - interval '1 hour'), (NULL, '{}', now());
		INSERT INTO kyu_outbox (id, jid, payload, error) VALUES (4711, 'j1', '{', 'broken JSON'),
		(4712, 'j2', '{', 'broken JSON')`)
	t.Run("lists what waits, and what is kept aside", func(t *testing.T) {
		s := s.of(t)
		s.ok("mailers  1\n", "outbox")
		s.ok("2 wait, the first for 1h00m; 2 are kept aside", "outbox")
		s.ok("4711   j1   -      ", "outbox")
		s.ok(`"waiting": 2,`, "outbox --json")
	})
	t.Run("lets rows wait again, or deletes them", func(t *testing.T) {
		s := s.of(t)
		s.fails(2, "name the IDs", "outbox drop")
		s.fails(2, "want the ID", "outbox retry x")
		s.fails(1, "nothing was done", "outbox drop 4711")
		s.ok("1 rows of the outbox are deleted", "outbox drop 4711 --yes")
		s.fails(1, "0 of 1 rows are deleted: the others are not kept aside",
			"outbox drop 4711 --yes")
		s.ok("1 rows of the outbox wait again", "outbox retry")
		s.ok("3 wait", "outbox")
		s.ok("outbox retry", "audit")
	})
}
