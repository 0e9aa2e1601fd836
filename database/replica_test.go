package database_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/test/kit/pgtest"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

func TestReplica(t *testing.T) {
	primary, replica := pair(t, "0")
	db, log := open(t, database.Config{URL: primary.URL, Replicas: []string{replica.URL},
		MaxLag: 2 * time.Second}, 4)
	inUse := func() bool { return db.State().Replicas[0].InUse }
	t.Run("is taken out when it stops replaying", func(t *testing.T) {
		pgtest.Exec(t, replica.URL, "SELECT pg_wal_replay_pause()")
		n := 0
		testwait.Until(t, 20*time.Second, "the stopped replica is out", func() bool {
			if n++; n%100 == 0 {
				insert(t, db, n) // an idle primary's replica is never behind
			}
			return !inUse()
		})
		if lag := db.State().Replicas[0].Lag; lag < 2*time.Second {
			t.Errorf("it is out with a lag of %v", lag)
		}
	})
	t.Run("is read from again when it has caught up", func(t *testing.T) {
		pgtest.Exec(t, replica.URL, "SELECT pg_wal_replay_resume()")
		testwait.Until(t, 20*time.Second, "it is back", inUse)
	})
	t.Run("is taken out when it stops, and the primary answers", func(t *testing.T) {
		replica.Stop()
		testwait.Until(t, 20*time.Second, "the stopped replica is out",
			func() bool { return !inUse() })
		found, fromReplica, err := sees(t.Context(), db, 100)
		if !found || fromReplica || err != nil {
			t.Errorf("with no replica left: %v %v %v", found, fromReplica, err)
		}
	})
	t.Run("is read from again after a restart", func(t *testing.T) {
		replica.Restart()
		testwait.Until(t, 20*time.Second, "it is back again", inUse)
	})
	t.Run("has each change in the log", func(t *testing.T) {
		for _, want := range []string{"behind, more than REPLICA_MAX_LAG", "is read from again",
			"does not answer"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log has no %q", want)
			}
		}
	})
}

func TestReplicaThatStopsDuringAQuery(t *testing.T) {
	t.Run("leaves the query to the primary, and is taken out", func(t *testing.T) {
		primary, replica := pair(t, "0")
		db, _ := open(t, database.Config{URL: primary.URL, Replicas: []string{replica.URL},
			Prepared: database.PreparedOff}, 2)
		r, err := db.Replica(t.Context())
		if err != nil || !r.FromReplica() {
			t.Fatal("not from the replica", err)
		}
		replica.Stop()
		n, err := database.One(t.Context(), r, pgx.RowTo[int], "SELECT 5")
		if n != 5 || err != nil {
			t.Error(n, err)
		}
		if db.State().Replicas[0].InUse {
			t.Error("it is still in use")
		}
	})
}

func TestAllReplicasOut(t *testing.T) {
	t.Run("makes the primary answer only a few reads at once", func(t *testing.T) {
		primary := pgtest.StartCluster(t)
		// A replica's address that leads to the primary counts as a replica that is out.
		db, log := open(t, database.Config{URL: primary.URL, Replicas: []string{primary.URL},
			Fallback: 2, Wait: 10 * time.Second}, 10)
		if !strings.Contains(log.String(), "it is not a replica") {
			t.Fatal(log)
		}
		var all sync.WaitGroup
		stop := make(chan struct{})
		var most int
		all.Go(func() {
			f, _ := db.Fresh()
			for {
				n, err := database.One(t.Context(), f, pgx.RowTo[int], "SELECT count(*) FROM "+
					"pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(0.05)%' "+
					"AND state = 'active'")
				if err != nil {
					t.Error(err)
				}
				most = max(most, n)
				select {
				case <-stop:
					return
				default:
				}
			}
		})
		var reads sync.WaitGroup
		for range 8 {
			reads.Go(func() {
				r, err := db.Replica(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				for range 5 {
					if _, err := database.Collect(t.Context(), r, pgx.RowTo[string],
						"SELECT pg_sleep(0.05)::text"); err != nil {
						t.Error(err)
					}
				}
			})
		}
		reads.Wait()
		close(stop)
		all.Wait()
		if most != 2 {
			t.Errorf("%d reads at once, want 2", most)
		}
	})
}
