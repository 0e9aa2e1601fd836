package database_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/pgtest"
	"github.com/kyujobs/kyu/test/kit/testwait"
	"github.com/kyujobs/kyu/worker/workertest"
)

// pair is a primary and its replica, which applies what it gets only after delay.
func pair(t *testing.T, delay string) (primary, replica *pgtest.Cluster) {
	primary = pgtest.StartCluster(t)
	pgtest.Exec(t, primary.URL, "CREATE TABLE rows (id bigint PRIMARY KEY)")
	replica = primary.Replica("recovery_min_apply_delay=" + delay)
	return primary, replica
}

// pushed pushes a job through the middleware, as a program does after it has
// written, and gives the job.
func pushed(t *testing.T, db *database.Database, ctx context.Context, class string,
	args ...any) *queue.Job {
	t.Helper()
	fake := &workertest.Fake{}
	if _, err := queue.NewClient(fake, db.Stamp()).Push(ctx, class, args,
		queue.Options{Extra: map[string]any{"mine": 1}}); err != nil {
		t.Error(err)
		return nil
	}
	return fake.Jobs()[0].Job
}

// insert writes a row in a unit of work of its own.
func insert(t *testing.T, db *database.Database, id int) {
	t.Helper()
	p, _ := db.Primary(t.Context())
	if _, err := p.Exec(t.Context(), "INSERT INTO rows VALUES ($1)", id); err != nil {
		t.Error(err)
	}
}

// sees reports whether a list read by the job has the row, and whether a replica said so.
func sees(ctx context.Context, db *database.Database, id int) (found, replica bool, err error) {
	r, err := db.Replica(ctx)
	if err != nil {
		return false, false, err
	}
	ids, err := database.Collect(ctx, r, pgx.RowTo[int], "SELECT id FROM rows WHERE id = $1", id)
	return len(ids) == 1, r.FromReplica(), err
}

func TestNoJobSeesAMissingRowHoweverFarTheReplicaIsBehind(t *testing.T) {
	primary, replica := pair(t, "300ms")
	db, _ := open(t, database.Config{URL: primary.URL, Replicas: []string{replica.URL},
		Policies: map[string]database.Policy{"Delayed": database.Delayed,
			"Always": database.Always}}, 8)
	var missing, replicas, snoozed, failed atomic.Int64
	run := func(j *queue.Job, id int) (again bool) {
		found, fromReplica, err := sees(db.Begin(t.Context(), j), db, id)
		var steer *queue.Steer
		switch {
		case errors.As(err, &steer) && steer.Action == queue.Schedule:
			snoozed.Add(1)
			return true
		case err != nil:
			t.Log(err)
			failed.Add(1)
		case !found:
			missing.Add(1)
		case fromReplica:
			replicas.Add(1)
		}
		return false
	}
	classes := []string{"Sticky", "Delayed", "Always"}
	var all sync.WaitGroup
	for thread := range 6 {
		all.Go(func() {
			for i := range 60 {
				id := thread*1000 + i
				insert(t, db, id)
				j := pushed(t, db, t.Context(), classes[i%3], id)
				if i%5 == 4 { // as Ruby pushes: without a position
					j, _ = envelope.ParseJob(fmt.Sprintf(`{"class":"Sticky","jid":"x","args":[%d]}`,
						id))
				}
				for range 4 { // at once, and again a while after
					if !run(j, id) {
						break
					}
					due := time.Now().Add(time.Second)
					testwait.Until(t, 2*time.Second, "the job that was put off is due",
						func() bool { return !time.Now().Before(due) })
				}
			}
		})
	}
	all.Wait()
	if missing.Load() != 0 || failed.Load() != 0 {
		t.Errorf("%d jobs saw a missing row, %d failed", missing.Load(), failed.Load())
	}
	if snoozed.Load() == 0 || replicas.Load() == 0 {
		t.Errorf("put off %d, answered by the replica %d: not all paths were taken", snoozed.Load(),
			replicas.Load())
	}
	if db.State().Behind == 0 {
		t.Error("no read had to go to the primary")
	}
}

func TestAfterAWriteAJobReadsFromThePrimary(t *testing.T) {
	primary, replica := pair(t, "0")
	db, _ := open(t, database.Config{URL: primary.URL, Replicas: []string{replica.URL}}, 2)
	j, _ := envelope.ParseJob(`{"class":"A","jid":"x","args":[]}`)
	ctx := db.Begin(t.Context(), j)
	testwait.Until(t, 10*time.Second, "the replica has caught up, and answers", func() bool {
		_, fromReplica, err := sees(ctx, db, 1)
		return err == nil && fromReplica
	})
	p, err := db.Primary(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Exec(ctx, "INSERT INTO rows VALUES (1)"); err != nil {
		t.Fatal(err)
	}
	if found, fromReplica, err := sees(ctx, db, 1); !found || fromReplica || err != nil {
		t.Errorf("found %v, from a replica %v, %v", found, fromReplica, err)
	}
	// What it pushes carries where it wrote, what another job pushes does not
	// go back behind what that one was given.
	first := pushed(t, db, ctx, "B")
	given := first.String("wal_lsn")
	if given == "" || first.Field("wal_at") == "" || first.Field("mine") != "1" {
		t.Fatal(first.Raw())
	}
	child := pushed(t, db, db.Begin(t.Context(), first), "C")
	if child.String("wal_lsn") != given {
		t.Errorf("a job that has not written hands on %s, not %s", child.String("wal_lsn"), given)
	}
}

func TestAMissingRowOnAReplicaIsCheckedOnThePrimary(t *testing.T) {
	primary, replica := pair(t, "0")
	db, _ := open(t, database.Config{URL: primary.URL, Replicas: []string{replica.URL}}, 2)
	pgtest.Exec(t, replica.URL, "SELECT pg_wal_replay_pause()")
	// A job that claims to need nothing new reads from the stopped replica.
	j, _ := envelope.ParseJob(`{"class":"A","jid":"x","args":[],"wal_lsn":"0/1"}`)
	insert(t, db, 7)
	ctx := db.Begin(t.Context(), j)
	r, err := db.Replica(ctx)
	if err != nil || !r.FromReplica() {
		t.Fatal("not from the replica", err)
	}
	if ids, err := database.Collect(ctx, r, pgx.RowTo[int], "SELECT id FROM rows"); len(ids) != 0 ||
		err != nil {
		t.Fatal("the replica is not stale: the test proves nothing", ids, err)
	}
	if id, err := database.One(ctx, r, pgx.RowTo[int],
		"SELECT id FROM rows WHERE id = 7"); id != 7 || err != nil {
		t.Errorf("%d %v", id, err)
	}
	if _, err := database.One(ctx, r, pgx.RowTo[int],
		"SELECT id FROM rows WHERE id = 8"); !errors.Is(err, pgx.ErrNoRows) {
		t.Errorf("a row that is nowhere: %v", err)
	}
	if db.State().Rechecked != 2 {
		t.Error(db.State())
	}
}

func TestAReplicaThatStopsReplayingIsTakenOutAndLetBackIn(t *testing.T) {
	primary, replica := pair(t, "0")
	db, log := open(t, database.Config{URL: primary.URL, Replicas: []string{replica.URL},
		MaxLag: 2 * time.Second}, 4)
	inUse := func() bool { return db.State().Replicas[0].InUse }
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
	pgtest.Exec(t, replica.URL, "SELECT pg_wal_replay_resume()")
	testwait.Until(t, 20*time.Second, "it is back", inUse)
	replica.Stop()
	testwait.Until(t, 20*time.Second, "the dead replica is out", func() bool { return !inUse() })
	if found, fromReplica, err := sees(t.Context(), db, 100); !found || fromReplica || err != nil {
		t.Errorf("with no replica left: %v %v %v", found, fromReplica, err)
	}
	replica.Restart()
	testwait.Until(t, 20*time.Second, "it is back again", inUse)
	for _, want := range []string{"behind, more than REPLICA_MAX_LAG", "is read from again",
		"does not answer"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("not said: %s", want)
		}
	}
}

func TestAReplicaThatDiesUnderAQueryIsReplacedByThePrimary(t *testing.T) {
	primary, replica := pair(t, "0")
	db, _ := open(t, database.Config{URL: primary.URL, Replicas: []string{replica.URL},
		Prepared: database.PreparedOff}, 2)
	r, err := db.Replica(t.Context())
	if err != nil || !r.FromReplica() {
		t.Fatal("not from the replica", err)
	}
	replica.Stop()
	if n, err := database.One(t.Context(), r, pgx.RowTo[int], "SELECT 5"); n != 5 || err != nil {
		t.Error(n, err)
	}
	if db.State().Replicas[0].InUse {
		t.Error("it is still in use")
	}
}

func TestWithAllReplicasOutThePrimaryIsNotStampeded(t *testing.T) {
	primary := pgtest.StartCluster(t)
	// The primary's own address in place of a replica's is no replica.
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
				"pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(0.05)%' AND state = 'active'")
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
}

func TestPositionsAreReadAsPostgresWritesThem(t *testing.T) {
	for text, want := range map[string]database.Position{"0/0": 0, "0/3000060": 0x3000060,
		"16/B374D848": 0x16B374D848, "FFFFFFFF/FFFFFFFF": 1<<64 - 1} {
		if p, err := database.ParsePosition(text); p != want || err != nil || p.String() != text {
			t.Errorf("%s: %v %v", text, p, err)
		}
	}
	for _, text := range []string{"", "0", "/1", "1/", "1/2/3", "x/1", "1/2 ", "123456789/0"} {
		if _, err := database.ParsePosition(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
