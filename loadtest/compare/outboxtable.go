package compare

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/kyujobs/kyu/capability/outbox"
	"github.com/kyujobs/kyu/queue"
)

const outboxPushers = 16 // goroutines

// outboxTable is Kyu's outbox, before Sidekiq's lists.
type outboxTable struct {
	c     *comparison
	pool  *pgxpool.Pool
	relay *outbox.Relay
	// tx runs fn in a transaction.
	tx func(ctx context.Context, fn func(pgx.Tx) error) error
}

func (o *outboxTable) rival(name string) transactional {
	return transactional{name, o.begin, o.pushes, o.trickle, o.left,
		o.c.startKyu(o.c.worker, "", "warn")}
}

// begin empties the tables and runs the relay, as each worker process with a Postgres does.
func (o *outboxTable) begin(ctx context.Context) (end func(), err error) {
	if _, err := o.pool.Exec(ctx, "TRUNCATE kyu_outbox, compare_orders"); err != nil {
		return nil, err
	}
	o.c.Raw.FlushAll(ctx)
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- o.relay.Run(ctx) }() // ends with cancel
	return func() { cancel(); <-ended }, nil
}

// push pushes a job whose arguments are made last in its transaction.
func (o *outboxTable) push(ctx context.Context, item int, class string, args func() []any) error {
	return o.tx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO compare_orders (item) VALUES ($1)",
			item); err != nil {
			return err
		}
		_, err := outbox.Push(ctx, tx, class, args(), queue.Options{})
		return err
	})
}

func (o *outboxTable) pushes(ctx context.Context, n int) (float64, error) {
	start := time.Now()
	errs := make([]error, outboxPushers)
	var all sync.WaitGroup
	for g := range outboxPushers {
		all.Go(func() {
			for i := g; i < n && errs[g] == nil; i += outboxPushers {
				errs[g] = o.push(ctx, i, "Test::NoOp", func() []any { return []any{i} })
			}
		})
	}
	all.Wait()
	return float64(n) / time.Since(start).Seconds(), errors.Join(errs...)
}

func (o *outboxTable) trickle(ctx context.Context, n int, path string) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for i := range n {
		<-tick.C
		if err := o.push(ctx, i, "Test::Stamp", func() []any {
			return []any{path, time.Now().UnixMicro()}
		}); err != nil {
			return err
		}
	}
	return nil
}

// left counts the rows that wait for the relay, and the jobs in Redis.
func (o *outboxTable) left(ctx context.Context) (n int64, err error) {
	err = o.pool.QueryRow(ctx, "SELECT count(*) FROM kyu_outbox").Scan(&n)
	if n > 0 || err != nil {
		return n, err
	}
	return sidekiqLists{o.c.Lab}.left(ctx)
}

// riverTx is River, whose jobs are rows of a table of its own.
func (c *comparison) riverTx() transactional {
	table := riverTable{program{c, "river"}}
	return transactional{name: "river, InsertTx",
		begin: func(ctx context.Context) (func(), error) {
			if err := table.fill(ctx, 0, load{}); err != nil {
				return nil, err
			}
			_, err := c.pg.Exec(ctx, "TRUNCATE compare_orders")
			return func() {}, err
		},
		push: func(ctx context.Context, n int) (float64, error) {
			return table.run(ctx, "pushtx", n, outboxPushers)
		},
		trickle: func(ctx context.Context, n int, path string) error {
			_, err := table.run(ctx, "trickletx", n, path)
			return err
		},
		left: table.left, start: table.start}
}
