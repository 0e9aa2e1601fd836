package database_test

import (
	"context"
	"errors"
	"fmt"
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

// pair starts a primary and its replica, which replays a commit only after delay.
func pair(t *testing.T, delay string) (primary, replica *pgtest.Cluster) {
	primary = pgtest.StartCluster(t)
	pgtest.Exec(t, primary.URL, "CREATE TABLE rows (id bigint PRIMARY KEY)")
	replica = primary.Replica("recovery_min_apply_delay=" + delay)
	return primary, replica
}

// pushed pushes a job through the middleware Stamp, and returns the job.
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

// sees reads a row by Replica. It reports whether the row was found, and whether a replica
// was asked.
func sees(ctx context.Context, db *database.Database, id int) (found, replica bool, err error) {
	r, err := db.Replica(ctx)
	if err != nil {
		return false, false, err
	}
	ids, err := database.Collect(ctx, r, pgx.RowTo[int], "SELECT id FROM rows WHERE id = $1", id)
	return len(ids) == 1, r.FromReplica(), err
}

// rows counts the outcomes of reads of rows that were written before.
type rows struct{ missing, replicas, snoozed, failed atomic.Int64 }

// read runs a job that reads a row, and reports whether it is to run again.
func (n *rows) read(t *testing.T, db *database.Database, j *queue.Job, id int) (again bool) {
	found, fromReplica, err := sees(db.Begin(t.Context(), j), db, id)
	var steer *queue.Steer
	switch {
	case errors.As(err, &steer) && steer.Action == queue.Schedule:
		n.snoozed.Add(1)
		return true
	case err != nil:
		t.Log(err)
		n.failed.Add(1)
	case !found:
		n.missing.Add(1)
	case fromReplica:
		n.replicas.Add(1)
	}
	return false
}

// writeAndRead writes rows from first on, and runs a job for each, at once and, if it is
// snoozed, again after a second.
func (n *rows) writeAndRead(t *testing.T, db *database.Database, first int) {
	classes := []string{"Sticky", "Delayed", "Always"}
	for i := range 60 {
		id := first + i
		insert(t, db, id)
		j := pushed(t, db, t.Context(), classes[i%3], id)
		if i%5 == 4 { // as Ruby pushes: without a position
			j, _ = envelope.ParseJob(fmt.Sprintf(`{"class":"Sticky","jid":"x","args":[%d]}`, id))
		}
		for range 4 {
			if !n.read(t, db, j, id) {
				break
			}
			due := time.Now().Add(time.Second)
			testwait.Until(t, 2*time.Second, "the snoozed job is due",
				func() bool { return !time.Now().Before(due) })
		}
	}
}

func TestReplicaBehind(t *testing.T) {
	primary, replica := pair(t, "300ms")
	db, _ := open(t, database.Config{URL: primary.URL, Replicas: []string{replica.URL},
		Policies: map[string]database.Policy{"Delayed": database.Delayed,
			"Always": database.Always}}, 8)
	var n rows
	t.Run("hides no row from a job that was pushed after the write", func(t *testing.T) {
		var all sync.WaitGroup
		for thread := range 6 {
			all.Go(func() { n.writeAndRead(t, db, thread*1000) })
		}
		all.Wait()
		if n.missing.Load() != 0 || n.failed.Load() != 0 {
			t.Errorf("%d jobs did not find their row, %d failed", n.missing.Load(),
				n.failed.Load())
		}
	})
	t.Run("makes jobs wait or read from the primary", func(t *testing.T) {
		if n.snoozed.Load() == 0 || n.replicas.Load() == 0 || db.State().Behind == 0 {
			t.Errorf("%d snoozed, %d answered by the replica, %d by the primary: want some of each",
				n.snoozed.Load(), n.replicas.Load(), db.State().Behind)
		}
	})
}

func TestJobThatWrites(t *testing.T) {
	primary, replica := pair(t, "0")
	db, _ := open(t, database.Config{URL: primary.URL, Replicas: []string{replica.URL}}, 2)
	j, _ := envelope.ParseJob(`{"class":"A","jid":"x","args":[]}`)
	ctx := db.Begin(t.Context(), j)
	t.Run("reads from the primary afterwards", func(t *testing.T) {
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
	})
	var first *queue.Job
	t.Run("gives its jobs the position after the write", func(t *testing.T) {
		first = pushed(t, db, ctx, "B")
		if first.String("wal_lsn") == "" || first.Field("wal_at") == "" {
			t.Fatalf("no position in %s", first.Raw())
		}
		if first.Field("mine") != "1" {
			t.Errorf("the pusher's own field is lost: %s", first.Raw())
		}
	})
	t.Run("whose jobs write nothing passes their position on", func(t *testing.T) {
		child := pushed(t, db, db.Begin(t.Context(), first), "C")
		if child.String("wal_lsn") != first.String("wal_lsn") {
			t.Errorf("its child carries %s, want %s", child.String("wal_lsn"),
				first.String("wal_lsn"))
		}
	})
}

func TestRowThatAReplicaDoesNotHave(t *testing.T) {
	t.Run("is looked for on the primary", func(t *testing.T) {
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
		ids, err := database.Collect(ctx, r, pgx.RowTo[int], "SELECT id FROM rows")
		if len(ids) != 0 || err != nil {
			t.Fatal("the replica has the row, so the test proves nothing:", ids, err)
		}
		if id, err := database.One(ctx, r, pgx.RowTo[int],
			"SELECT id FROM rows WHERE id = 7"); id != 7 || err != nil {
			t.Errorf("%d %v", id, err)
		}
		if _, err := database.One(ctx, r, pgx.RowTo[int],
			"SELECT id FROM rows WHERE id = 8"); !errors.Is(err, pgx.ErrNoRows) {
			t.Errorf("a row that does not exist: %v", err)
		}
		if db.State().Rechecked != 2 {
			t.Error(db.State())
		}
	})
}
