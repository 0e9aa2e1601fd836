package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// ErrNoTable means that the table kyu_outbox does not exist.
var ErrNoTable = errors.New("the table kyu_outbox is not there: run `workerctl migrate`")

// Push pushes a job when tx commits, and returns its JID. Errors are those of queue.Client.Push for
// a wrong job, and those of Postgres; after an error of Postgres the transaction cannot commit.
// Options are those of every push. With Options.Idempotent, pushes with an equal JID within an hour
// store one job.
func Push(ctx context.Context, tx pgx.Tx, class string, args []any,
	o queue.Options) (jid string, err error) {
	return queue.NewClient(In(tx)).Push(ctx, class, args, o)
}

// PushBulk pushes a job for each element of args when tx commits, in order, and returns the JIDs.
// Errors are those of Push.
func PushBulk(ctx context.Context, tx pgx.Tx, class string, args [][]any,
	o queue.Options) (jids []string, err error) {
	return queue.NewClient(In(tx)).PushBulk(ctx, class, args, o)
}

// In returns the backend of a client whose jobs are pushed when tx commits. It is for clients with
// middleware, and for queue.Push and queue.PushAll:
//
//	client := queue.NewClient(outbox.In(tx), tracing)
//	jid, err := queue.Push(ctx, client, Mail{Order: 42})
//
// Jobs with claims, such as those of unique.Client, are an *queue.InvalidError: a claim is granted
// or refused while its job is pushed, and here this is after the commit. database.Database.Stamp
// must not be among the middleware, because it reads a position before the commit; without it, a
// worker reads from replicas that have the commit.
func In(tx pgx.Tx) queue.Backend { return backend{tx} }

// backend writes pushed jobs into the table.
type backend struct{ tx pgx.Tx }

// insert writes one row for each element of the arrays, in order.
const insert = `INSERT INTO kyu_outbox (jid, queue, at, payload, idempotent)
	SELECT * FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::text[], $5::bool[])`

// PushBatches is the method of queue.Backend.
func (b backend) PushBatches(ctx context.Context, batches []queue.Batch) error {
	var c columns
	for _, batch := range batches {
		for _, j := range batch.Jobs {
			if err := c.add(batch, j); err != nil {
				return err
			}
		}
	}
	_, err := b.tx.Exec(ctx, insert, c.jids, c.queues, c.ats, c.payloads, c.idempotent)
	if err != nil {
		return fmt.Errorf("push into the outbox: %w", explain(err))
	}
	return nil
}

// columns are the columns of rows to insert.
type columns struct {
	jids, queues, payloads []string
	ats                    []*time.Time
	idempotent             []bool
}

func (c *columns) add(b queue.Batch, j queue.Pushed) error {
	if len(j.Claims) > 0 {
		return &queue.InvalidError{Field: "claims", Reason: "a job with a claim, such as a lock, " +
			"cannot be pushed in a transaction: push it after the commit"}
	}
	name, at := b.Queue, (*time.Time)(nil)
	if name == "" { // the schedule set
		job, err := envelope.ParseJob(j.Payload)
		if err != nil {
			return fmt.Errorf("push into the outbox: %w", err)
		}
		name, at = job.Queue, &j.At
	}
	c.jids, c.queues = append(c.jids, j.JID), append(c.queues, name)
	c.payloads, c.ats = append(c.payloads, j.Payload), append(c.ats, at)
	c.idempotent = append(c.idempotent, b.Idempotent)
	return nil
}

// explain adds the remedy to the error of a statement that found no table.
func explain(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "42P01" {
		return fmt.Errorf("%w: %w", ErrNoTable, err)
	}
	return err
}
