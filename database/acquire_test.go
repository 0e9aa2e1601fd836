package database_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/test/kit/pgtest"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

// one reads the number 1 from a handle.
func one(ctx context.Context, h database.Handle) error {
	n, err := database.One(ctx, h, pgx.RowTo[int], "SELECT 1")
	if err == nil && n != 1 {
		err = errors.New("another number")
	}
	return err
}

func TestAcquire(t *testing.T) {
	c := pgtest.StartCluster(t)
	t.Run("tells a refusal, and not that the pool is full", func(t *testing.T) {
		pooler := c.StartPooler()
		db, _ := open(t, database.Config{URL: pooler.URL, Wait: 100 * time.Millisecond}, 2)
		pooler.Kill()
		r, _ := db.Fresh()
		err := one(t.Context(), r)
		if err == nil || errors.Is(err, database.ErrBusy) ||
			!strings.Contains(err.Error(), "is it running") {
			t.Error(err)
		}
		pooler.Restart()
	})
	t.Run("tells that a pooler has no client connection left", func(t *testing.T) {
		url, _ := c.Pooler("max_client_conn = 3")
		db, _ := open(t, database.Config{URL: url + "?sslmode=disable",
			Wait: 100 * time.Millisecond}, 10)
		var all []interface{ Release() }
		testwait.Until(t, 10*time.Second, "all client connections are in use", func() bool {
			if conn, err := db.Pool().Acquire(t.Context()); err == nil {
				all = append(all, conn)
			}
			return len(all) == 3
		})
		r, _ := db.Fresh()
		if err := one(t.Context(), r); err == nil || !strings.Contains(err.Error(),
			"max_client_conn over the sum of all pools") {
			t.Error(err)
		}
		for _, conn := range all {
			conn.Release()
		}
	})
	t.Run("does not wait for a name that is wrong", func(t *testing.T) {
		url := strings.Replace(c.URL, "/postgres", "/nowhere", 1)
		began := time.Now()
		_, err := database.Open(t.Context(), database.Config{URL: url, Wait: time.Minute}, 1, nil)
		if err == nil || !strings.Contains(err.Error(), "DB_NAME") ||
			time.Since(began) > 30*time.Second {
			t.Error(err)
		}
	})
}

func TestPoolerRestart(t *testing.T) {
	c := pgtest.StartCluster(t)
	pgtest.Exec(t, c.URL, "CREATE TABLE seen (worker bigint, i bigint, PRIMARY KEY (worker, i))")
	pooler := c.StartPooler("default_pool_size = 5")
	db, _ := open(t, database.Config{URL: pooler.URL, Wait: 20 * time.Second}, 10)
	var all sync.WaitGroup
	var ran [10]atomic.Int64
	stop := make(chan struct{})
	for thread := range ran {
		all.Go(func() {
			for i := 0; !isClosed(stop); i++ {
				if err := jobQuery(db.Begin(t.Context(), nil), db, thread, i); err != nil {
					t.Errorf("query %d: %v", i%20, err)
				}
				ran[thread].Add(1)
			}
		})
	}
	t.Run("costs no query an error", func(t *testing.T) {
		for round := range 4 {
			testwait.Until(t, 20*time.Second, "each thread has run its queries", func() bool {
				for i := range ran {
					if ran[i].Load() < int64(40*(round+1)) {
						return false
					}
				}
				return true
			})
			if round < 3 {
				pooler.Stop()
				pooler.Restart()
			}
		}
	})
	close(stop)
	all.Wait()
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func TestReplicaThatRefuses(t *testing.T) {
	primary, replica := pair(t, "0")
	pooler := replica.StartPooler()
	db, _ := open(t, database.Config{URL: primary.URL, Replicas: []string{pooler.URL},
		Wait: 30 * time.Second}, 2)
	r, err := db.Replica(t.Context())
	if err != nil || !r.FromReplica() {
		t.Fatal("not from the replica", err)
	}
	pooler.Kill()
	t.Run("leaves the query to the primary at once", func(t *testing.T) {
		began := time.Now()
		if err := one(t.Context(), r); err != nil || time.Since(began) > 15*time.Second {
			t.Error(err, time.Since(began))
		}
	})
	pooler.Restart()
}
