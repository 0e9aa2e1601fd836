package compare

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/kyujobs/kyu/capability/outbox"
	"github.com/kyujobs/kyu/database/migrate"
	"github.com/kyujobs/kyu/loadtest/lab"
)

// outboxRounds is how often the part outbox measures each of its rivals.
const outboxRounds = 3

// transactional pushes jobs in transactions of Postgres, each beside a row of another table.
type transactional struct {
	name string
	// begin empties the tables, and starts what runs beside the pushes. end ends that.
	begin func(ctx context.Context) (end func(), err error)
	// push pushes n jobs from 16 goroutines, and returns how many it pushed a second.
	push func(ctx context.Context, n int) (float64, error)
	// trickle pushes n jobs, 200 a second, as a pusher does.
	trickle func(ctx context.Context, n int, path string) error
	left    func(ctx context.Context) (int64, error) // jobs that are not done
	start   func(threads int, pinned bool) (*exec.Cmd, error)
}

// outboxFigure is one measurement of the part outbox.
type outboxFigure struct {
	perSec          float64 // transactions a second
	p50, p99        float64 // milliseconds, from before the commit to the start of the job
	postgres, redis float64 // CPU seconds per million jobs: push, relay and run
}

// outboxes measure jobs that are pushed in transactions of Postgres.
func (c *comparison) outboxes(ctx context.Context) error {
	if c.program == "" {
		fmt.Fprintln(c.out, "The outbox is compared with River, which is left out.")
		return nil
	}
	end, list, err := c.transactionals(ctx)
	if err != nil {
		return err
	}
	defer end()
	all := map[string][]outboxFigure{}
	for range outboxRounds {
		for _, t := range list {
			f, err := c.outbox(ctx, t, int(20_000*c.scale), int(2000*c.scale))
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			all[t.name] = append(all[t.name], f)
		}
	}
	c.printOutboxes(list, all)
	return nil
}

// transactionals are the rivals of this part.
func (c *comparison) transactionals(ctx context.Context) (end func(), list []transactional,
	err error) {
	if _, err := migrate.Up(ctx, c.postgres.URL); err != nil {
		return nil, nil, err
	}
	if _, err := c.pg.Exec(ctx, `CREATE TABLE compare_orders (
		id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, item integer NOT NULL)`); err != nil {
		return nil, nil, err
	}
	config, err := pgxpool.ParseConfig(c.postgres.URL)
	if err != nil {
		return nil, nil, err
	}
	config.MaxConns = 32 // as River's
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, nil, err
	}
	relay := outbox.New(outbox.Config{Pool: pool, Store: c.Store,
		Logger: slog.New(slog.DiscardHandler)})
	polled := &outboxTable{c: c, pool: pool, relay: relay, tx: func(ctx context.Context,
		fn func(pgx.Tx) error) error {
		return pgx.BeginFunc(ctx, pool, fn)
	}}
	flushed := &outboxTable{c: c, pool: pool, relay: relay, tx: relay.Tx}
	return pool.Close, []transactional{flushed.rival("kyu, Relay.Tx"),
		polled.rival("kyu, Run alone"), c.riverTx()}, nil
}

// outbox measures one rival once: n jobs for the rate and the cost, and few for the latency.
func (c *comparison) outbox(ctx context.Context, t transactional, n,
	few int) (f outboxFigure, err error) {
	end, err := t.begin(ctx)
	if err != nil {
		return f, err
	}
	defer end()
	postgres, redis := lab.TreeSeconds(c.postgres.PID()), lab.TreeSeconds(c.RedisPID())
	if f.perSec, err = t.push(ctx, n); err != nil {
		return f, err
	}
	cmd, err := t.start(15, false)
	if err != nil {
		return f, err
	}
	defer lab.Stop(cmd)
	if err := awaitDone(ctx, t); err != nil {
		return f, err
	}
	million := 1e6 / float64(n)
	f.postgres = (lab.TreeSeconds(c.postgres.PID()) - postgres) * million
	f.redis = (lab.TreeSeconds(c.RedisPID()) - redis) * million
	path := c.File(fmt.Sprint("outbox", time.Now().UnixNano()))
	if err := t.trickle(ctx, few, path); err != nil {
		return f, err
	}
	if err := awaitDone(ctx, t); err != nil {
		return f, err
	}
	waits, err := readNumbers(path)
	if err == nil && len(waits) != few {
		err = fmt.Errorf("%d of %d jobs have run", len(waits), few)
	}
	f.p50, f.p99 = lab.Quantile(waits, 0.5)/1000, lab.Quantile(waits, 0.99)/1000
	return f, err
}

// awaitDone returns when all jobs are done. It asks seldom, because a question costs Postgres CPU.
func awaitDone(ctx context.Context, t transactional) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); time.Since(start) < 5*time.Minute; {
		<-tick.C
		if left, err := t.left(ctx); left == 0 || err != nil {
			return err
		}
	}
	return errors.New("is not done within 5 minutes")
}

// printOutboxes prints the medians, and how each rival compares with the last one, River.
func (c *comparison) printOutboxes(list []transactional, all map[string][]outboxFigure) {
	columns := []func(outboxFigure) float64{
		func(f outboxFigure) float64 { return f.perSec },
		func(f outboxFigure) float64 { return f.p50 },
		func(f outboxFigure) float64 { return f.p99 },
		func(f outboxFigure) float64 { return f.postgres },
		func(f outboxFigure) float64 { return f.redis }}
	median := func(t transactional, of func(outboxFigure) float64) float64 {
		var values []float64
		for _, f := range all[t.name] {
			values = append(values, of(f))
		}
		return lab.Median(slices.Sorted(slices.Values(values)))
	}
	fmt.Fprintf(c.out, "A row and a job in one transaction; CPU in seconds per million jobs; "+
		"medians of %d\n", outboxRounds)
	w := lab.Table(c.out, "\ttransactions/s by 16\tcommit to start p50 ms\tp99\tPostgres\tRedis")
	for _, t := range list {
		fmt.Fprint(w, t.name)
		for i, of := range columns {
			fmt.Fprintf(w, "\t%.*f", []int{0, 2, 2, 1, 1}[i], median(t, of))
		}
		fmt.Fprintln(w)
	}
	river := list[len(list)-1]
	for _, t := range list[:len(list)-1] {
		fmt.Fprintf(w, "%s / %s", t.name, river.name)
		for _, of := range columns[:4] {
			fmt.Fprintf(w, "\t%.2f", lab.Ratio(median(t, of), median(river, of)))
		}
		fmt.Fprintln(w, "\t")
	}
	w.Flush()
	fmt.Fprintln(c.out)
}
