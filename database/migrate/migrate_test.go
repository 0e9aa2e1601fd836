package migrate_test

import (
	"strings"
	"testing"

	"github.com/kyujobs/kyu/database/migrate"
	"github.com/kyujobs/kyu/test/kit/pgtest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/jackc/pgx/v5/pgconn.(*PgConn).asyncClose.func1"))
}

func TestUp(t *testing.T) {
	t.Run("runs each step once, and Status lists it", func(t *testing.T) {
		url := pgtest.Start(t)
		before, err := migrate.Status(t.Context(), url)
		if err != nil || len(before) != 3 || before[0].Applied != nil {
			t.Fatal(before, err)
		}
		names, err := migrate.Up(t.Context(), url)
		if err != nil || strings.Join(names, " ") != "0001_mastodon.sql 0002_kyu.sql "+
			"0003_outbox.sql" {
			t.Fatal(names, err)
		}
		if names, err := migrate.Up(t.Context(), url); err != nil || len(names) != 0 {
			t.Errorf("a second time: %v %v", names, err)
		}
		after, err := migrate.Status(t.Context(), url)
		if err != nil || len(after) != 3 || after[2].Applied == nil {
			t.Error(after, err)
		}
	})
	t.Run("makes only Kyu's own tables in a Mastodon database", func(t *testing.T) {
		url := pgtest.Start(t)
		pgtest.Exec(t, url, "CREATE TABLE ar_internal_metadata (key text); "+
			"CREATE TABLE accounts (id "+
			"bigint, private_key text)")
		names, err := migrate.Up(t.Context(), url)
		if err != nil || strings.Join(names, " ") != "0002_kyu.sql 0003_outbox.sql" {
			t.Fatal(names, err)
		}
		if list, err := migrate.Status(t.Context(), url); err != nil || len(list) != 2 {
			t.Error(list, err)
		}
	})
}
