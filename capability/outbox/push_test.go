package outbox_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/capability/outbox"
	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

// mail is a job with typed arguments.
type mail struct {
	Order int64
	To    string
}

func (mail) JobClass() string { return "Mail" }

func TestPush(t *testing.T) {
	f := newFixture(t)
	t.Run("writes the bytes that a client writes, and the relay keeps them", func(t *testing.T) {
		f := f.in(t)
		var jid, payload string
		f.tx(func(tx pgx.Tx) (err error) {
			jid, err = outbox.Push(t.Context(), tx, "My::Job", []any{1, "é<b>", nil},
				queue.Options{Queue: "a", Tags: []string{"x"}, Expires: time.Hour})
			if err != nil {
				return err
			}
			return tx.QueryRow(t.Context(), "SELECT payload FROM kyu_outbox").Scan(&payload)
		})
		f.run()
		f.arrives("a", 1)
		begin := `{"retry":true,"queue":"a","class":"My::Job","args":[1,"é<b>",null],"jid":"`
		if raw := f.queued("a")[0].Raw(); raw != payload || !strings.HasPrefix(raw, begin+jid) {
			t.Errorf("pushed  %s\nwritten %s", raw, payload)
		}
		if !f.raw.SIsMember(t.Context(), "queues", "a").Val() {
			t.Error("the set of queues lacks the queue")
		}
	})
	t.Run("pushes nothing after a rollback", func(t *testing.T) {
		f := f.in(t)
		err := f.relay.Tx(t.Context(), func(tx pgx.Tx) error {
			if _, err := outbox.Push(t.Context(), tx, "Never", nil, queue.Options{}); err != nil {
				return err
			}
			return errBack
		})
		if !errors.Is(err, errBack) {
			t.Fatal(err)
		}
		f.push("Job", 1)
		f.run()
		f.arrives("a", 1)
		if n := f.raw.LLen(t.Context(), "queue:default").Val(); n != 0 {
			t.Errorf("%d jobs of the transaction that was rolled back", n)
		}
	})
	t.Run("pushes typed arguments through middleware", func(t *testing.T) {
		f := f.in(t)
		tag := func(ctx context.Context, j *queue.NewJob,
			next func(context.Context, *queue.NewJob) error) error {
			j.Tags = append(j.Tags, "traced")
			return next(ctx, j)
		}
		f.tx(func(tx pgx.Tx) error {
			c := queue.NewClient(outbox.In(tx), tag)
			_, err := queue.Push(t.Context(), c, mail{42, "a@example"}, queue.Options{Queue: "a"})
			return err
		})
		f.relay.Flush(t.Context())
		f.arrives("a", 1)
		j := f.queued("a")[0]
		if string(j.Args) != `[42,"a@example"]` || strings.Join(j.Tags(), "") != "traced" {
			t.Error(j.Raw())
		}
	})
	t.Run("schedules a job that is due later", func(t *testing.T) {
		f := f.in(t)
		due := time.Now().Add(time.Hour).Round(time.Microsecond)
		f.tx(func(tx pgx.Tx) error {
			_, err := outbox.Push(t.Context(), tx, "Job", nil, queue.Options{Queue: "a", At: due})
			return err
		})
		f.relay.Flush(t.Context())
		z := f.raw.ZRangeWithScores(t.Context(), "schedule", 0, -1).Val()
		if len(z) != 1 || !envelope.FromUnix(z[0].Score).Equal(due) ||
			strings.Contains(z[0].Member.(string), "enqueued_at") {
			t.Error(z)
		}
	})
	t.Run("refuses a job with a lock", func(t *testing.T) {
		f := f.in(t)
		f.tx(func(tx pgx.Tx) error {
			c := queue.NewClient(outbox.In(tx), unique.Client(map[string]unique.Lock{"Job": {}}))
			_, err := c.Push(t.Context(), "Job", nil, queue.Options{})
			var invalid *queue.InvalidError
			if !errors.As(err, &invalid) || invalid.Field != "claims" ||
				!strings.Contains(err.Error(), "after the commit") {
				t.Error(err)
			}
			return nil
		})
		if n := f.rows("true"); n != 0 {
			t.Errorf("%d rows", n)
		}
	})
	t.Run("says how to make the table", func(t *testing.T) {
		f := f.in(t)
		f.exec("ALTER TABLE kyu_outbox RENAME TO elsewhere")
		defer f.exec("ALTER TABLE elsewhere RENAME TO kyu_outbox")
		err := f.relay.Tx(t.Context(), func(tx pgx.Tx) error {
			_, err := outbox.Push(t.Context(), tx, "Job", nil, queue.Options{})
			return err
		})
		if !errors.Is(err, outbox.ErrNoTable) ||
			!strings.Contains(err.Error(), "workerctl migrate") {
			t.Error(err)
		}
	})
}

func TestIdempotent(t *testing.T) {
	f := newFixture(t)
	twice := func(f *fixture, o queue.Options) {
		for range 2 {
			f.tx(func(tx pgx.Tx) error {
				_, err := outbox.Push(f.Context(), tx, "Job", nil, o)
				return err
			})
			f.relay.Flush(f.Context())
		}
		if n := f.rows("true"); n != 0 {
			f.Errorf("%d rows are left", n)
		}
	}
	t.Run("two pushes of one JID are two jobs", func(t *testing.T) {
		f := f.in(t)
		twice(f, queue.Options{Queue: "a", JID: "one"})
		f.arrives("a", 2)
		for _, key := range f.raw.Keys(t.Context(), "kyu:pushed:*").Val() {
			if life := f.raw.TTL(t.Context(), key).Val(); life > 5*time.Minute || life <= 0 {
				t.Errorf("%s lives for %v", key, life)
			}
		}
	})
	t.Run("two pushes of one JID are one job if they are idempotent", func(t *testing.T) {
		f := f.in(t)
		twice(f, queue.Options{Queue: "a", JID: "one", Idempotent: true})
		f.arrives("a", 1)
		life := f.raw.TTL(t.Context(), "kyu:pushed:one").Val()
		if life > time.Hour || life < 50*time.Minute {
			t.Errorf("its marker lives for %v", life)
		}
	})
	t.Run("a row that was pushed and stayed is not pushed again", func(t *testing.T) {
		f := f.in(t)
		f.exec(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
			$$ BEGIN RAISE EXCEPTION 'not now'; END $$;`)
		f.exec(`CREATE TRIGGER refuse BEFORE DELETE ON kyu_outbox EXECUTE FUNCTION refuse()`)
		f.push("Job", 3)
		f.relay.Flush(t.Context())
		if f.rows("true") != 3 || f.raw.LLen(t.Context(), "queue:a").Val() != 3 {
			t.Fatal("the page did not fail between its push and its commit")
		}
		for _, key := range f.raw.Keys(t.Context(), "kyu:pushed:*").Val() {
			if life := f.raw.TTL(t.Context(), key).Val(); life < 23*time.Hour {
				t.Errorf("%s lives for %v", key, life)
			}
		}
		f.exec("DROP TRIGGER refuse ON kyu_outbox")
		f.run()
		testwait.Until(t, 10*time.Second, "the rows are gone",
			func() bool { return f.rows("true") == 0 })
		f.arrives("a", 3)
	})
}
