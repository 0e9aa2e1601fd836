// Package outbox pushes jobs in a transaction of Postgres. A job that is pushed in a transaction
// runs if the transaction commits, and never if it is rolled back, whatever crashes meanwhile.
//
//	err := pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
//		if _, err := tx.Exec(ctx, "INSERT INTO orders …"); err != nil {
//			return err
//		}
//		_, err := outbox.Push(ctx, tx, "MailWorker", []any{42}, queue.Options{})
//		return err
//	})
//
// Push writes a row of the table kyu_outbox, which `workerctl migrate` creates. A Relay moves the
// rows to Redis, in any process; the worker of cmd/worker has one. Relay.Tx also moves them right
// after its commit. Other languages write the rows with plain SQL: docs/postgres.md.
//
// A row is pushed once, also if a relay dies between the push and the removal of the row: markers
// in Redis remember the push for a day. Rows of one transaction are pushed in order; rows of
// several transactions mostly are. While Redis is away, rows wait.
package outbox
