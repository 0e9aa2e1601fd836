package database_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/test/kit/pgtest"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

func TestCancelledQuery(t *testing.T) {
	c := pgtest.StartCluster(t)
	pooled, _ := c.Pooler("default_pool_size = 2")
	for name, url := range map[string]string{"direct": c.URL, "pooled": pooled} {
		t.Run("keeps the connection usable, "+name, func(t *testing.T) {
			db, _ := open(t, database.Config{URL: url}, 1)
			for range 100 {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				if err := db.Sleep(ctx, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatal(err)
				}
				cancel()
				r, _ := db.Fresh()
				if one, err := database.One(t.Context(), r, pgx.RowTo[int],
					"SELECT 1"); err != nil || one != 1 {
					t.Fatalf("after a cancelled query: %v", err)
				}
			}
			if n := db.Pool().Stat().NewConnsCount(); n != 1 {
				t.Errorf("%d connections were opened for one thread", n)
			}
			r, _ := db.Fresh()
			testwait.Until(t, 5*time.Second, "no query is left behind", func() bool {
				n, err := database.One(t.Context(), r, pgx.RowTo[int], "SELECT count(*) FROM "+
					"pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'")
				return err == nil && n == 0
			})
		})
	}
}
