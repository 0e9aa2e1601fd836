package activity_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/database/activity"
	"github.com/kyujobs/kyu/test/kit/pgtest"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

// connect opens a connection that a test holds.
func connect(t *testing.T, url, name string) *pgx.Conn {
	t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	config.RuntimeParams["application_name"] = name
	c, err := pgx.ConnectConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

func read(t *testing.T, url string) *activity.Activity {
	t.Helper()
	a, err := activity.Read(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestRead(t *testing.T) {
	url := pgtest.Start(t)
	pgtest.Exec(t, url, "CREATE TABLE large AS SELECT generate_series(1, 10000) AS n")
	holder, waiter := connect(t, url, "holder"), connect(t, url, "waiter")
	run := func(c *pgx.Conn, sql string) {
		t.Helper()
		if _, err := c.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	run(holder, "BEGIN")
	run(holder, "LOCK TABLE large; SELECT 'a secret'")
	ended := make(chan error, 1)
	go func() {
		_, err := waiter.Exec(context.Background(), "DELETE FROM large WHERE n::text = 'secret'")
		ended <- err
	}()
	t.Run("describes the server and its limits", func(t *testing.T) {
		a := read(t, url)
		if a.Version == "" || a.Replica || a.Most < 10 || a.Reserved == 0 || a.Used < 3 ||
			a.Size == 0 || a.Uptime <= 0 {
			t.Errorf("%+v", a)
		}
	})
	t.Run("counts connections", func(t *testing.T) {
		a := read(t, url)
		i := slices.IndexFunc(a.Connections, func(c activity.Connections) bool {
			return c.Application == "holder"
		})
		if i < 0 || a.Connections[i].State != "idle in transaction" || a.Connections[i].Count != 1 {
			t.Errorf("%+v", a.Connections)
		}
	})
	t.Run("shows who waits for whom, without texts of queries", func(t *testing.T) {
		var list []activity.Running
		testwait.Until(t, 20*time.Second, "both transactions are old", func() bool {
			list = read(t, url).Running
			return len(list) == 2
		})
		first, second := list[0], list[1]
		if first.Application != "holder" || second.Application != "waiter" ||
			!slices.Equal(second.BlockedBy, []int{first.PID}) ||
			second.Query != "DELETE FROM large WHERE n::text = '…'" ||
			strings.Contains(first.Query, "secret") || !strings.HasPrefix(second.Wait, "Lock") {
			t.Errorf("%+v", list)
		}
	})
	t.Run("does not wait for the lock of a table", func(t *testing.T) {
		a := read(t, url)
		if len(a.Problems) != 1 || !strings.Contains(a.Problems[0], "tables: ") ||
			!strings.Contains(a.Problems[0], "lock timeout") {
			t.Errorf("%q", a.Problems)
		}
	})
	run(holder, "ROLLBACK")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	t.Run("lists tables", func(t *testing.T) {
		a := read(t, url)
		if len(a.Problems) > 0 || a.Tables[0].Name != "public.large" || a.Tables[0].Size < 10_000 {
			t.Errorf("%+v", a.Tables)
		}
	})
	t.Run("is an error if the server cannot be reached", func(t *testing.T) {
		if a, err := activity.Read(t.Context(), "postgres://127.0.0.1:1/x"); err == nil {
			t.Errorf("%+v", a)
		}
	})
}
