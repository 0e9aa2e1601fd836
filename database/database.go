package database

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrNone says that a job needs Postgres and none is configured.
var ErrNone = errors.New("no Postgres is configured: set DATABASE_URL, or DB_HOST and its like")

// Database is the Postgres of the jobs: a primary, and perhaps replicas. A nil
// Database is none.
type Database struct {
	config   Config
	primary  *server
	replicas []*replica
	fallback chan struct{} // a place for each read that the primary answers for replicas
	history  history       // of Run alone
	log      *slog.Logger

	behind    atomic.Int64 // reads that no replica was far enough for
	rechecked atomic.Int64 // rows that a replica did not have
}

// Open makes a pool with at least one connection for each of threads, and asks the
// server for a sign of life. It returns nil if none is configured. A DB_POOL that is
// smaller than the threads is raised, and said loudly: with fewer connections
// threads wait for each other. Replicas need not be there; for them Run must run.
func Open(ctx context.Context, c Config, threads int, log *slog.Logger) (*Database, error) {
	if c.URL == "" {
		return nil, nil
	}
	if c.Pool > 0 && c.Pool < threads {
		log.Warn("DB_POOL is smaller than the number of threads: raised, "+
			"every thread needs a connection",
			"DB_POOL", c.Pool, "threads", threads, "pool", threads)
	}
	primary, err := openServer(ctx, c, c.URL, threads, log)
	if err != nil {
		if primary != nil {
			primary.pool.Close()
		}
		return nil, err
	}
	if c.Fallback == 0 {
		c.Fallback = max(1, threads/4)
	}
	if c.MaxLag == 0 {
		c.MaxLag = 5 * time.Second
	}
	d := &Database{config: c, primary: primary, fallback: make(chan struct{}, c.Fallback), log: log}
	for _, address := range c.Replicas {
		asking, cancel := context.WithTimeout(ctx, pollTimeout)
		s, err := openServer(asking, c, address, threads, log)
		cancel()
		if s == nil {
			d.Close()
			return nil, err
		}
		d.replicas = append(d.replicas, &replica{server: s, maxLag: c.MaxLag, log: log})
	}
	d.poll(ctx)
	return d, nil
}

// Run watches the replicas until ctx ends: how far they are behind, and whether they
// are read from.
func (d *Database) Run(ctx context.Context) error {
	if d == nil || len(d.replicas) == 0 {
		return nil
	}
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			d.poll(ctx)
		}
	}
}

// poll looks at all replicas. Without the primary's position nobody can say how far
// behind they are: what was known stays.
func (d *Database) poll(ctx context.Context) {
	if len(d.replicas) == 0 {
		return
	}
	asking, cancel := context.WithTimeout(ctx, pollTimeout)
	p, err := d.flushed(asking)
	cancel()
	if err == nil {
		d.history.add(time.Now(), p)
	}
	for _, r := range d.replicas {
		if ctx.Err() == nil {
			r.poll(ctx, &d.history)
		}
	}
}

// position is where the primary's log is now: everything that is committed lies
// before it, also what was committed without waiting for the disk.
func (d *Database) position(ctx context.Context) (Position, error) {
	var text string
	var block, segment int64
	err := d.primary.with(ctx, func(c *pgx.Conn) error {
		return c.QueryRow(ctx, `SELECT pg_current_wal_insert_lsn()::text,
			current_setting('wal_block_size')::bigint,
			pg_size_bytes(current_setting('wal_segment_size'))`).Scan(&text, &block, &segment)
	})
	if err != nil {
		return 0, err
	}
	p, err := ParsePosition(text)
	return p.withoutHeader(block, segment), err
}

// flushed is how far the primary's log is written: what a replica can know of.
func (d *Database) flushed(ctx context.Context) (Position, error) {
	var text string
	err := d.primary.with(ctx, func(c *pgx.Conn) error {
		return c.QueryRow(ctx, "SELECT pg_current_wal_flush_lsn()::text").Scan(&text)
	})
	if err != nil {
		return 0, err
	}
	return ParsePosition(text)
}

// inUse reports whether any replica is read from.
func (d *Database) inUse() bool {
	for _, r := range d.replicas {
		if !r.isOut() {
			return true
		}
	}
	return false
}

// caughtUp finds a replica that has replayed p, each in turn from a random one.
func (d *Database) caughtUp(ctx context.Context, p Position) *replica {
	start := rand.IntN(len(d.replicas))
	for i := range d.replicas {
		if r := d.replicas[(start+i)%len(d.replicas)]; r.has(ctx, p) {
			return r
		}
	}
	return nil
}

// Replicated reports whether there are replicas, so that jobs should be stamped.
func (d *Database) Replicated() bool { return d != nil && len(d.replicas) > 0 }

// Pool is the pool of connections to the primary, for its figures and for queries
// that no unit of work knows of; nil without Postgres.
func (d *Database) Pool() *pgxpool.Pool {
	if d == nil {
		return nil
	}
	return d.primary.pool
}

// ReplicaState is what is known of a replica.
type ReplicaState struct {
	Name  string // host:port/database
	Lag   time.Duration
	InUse bool
}

// State are the figures of the replicas.
type State struct {
	Replicas  []ReplicaState
	Behind    int64 // reads that went to the primary because no replica was far enough
	Rechecked int64 // rows that a replica did not have, and the primary was asked for
}

// State tells how the replicas are.
func (d *Database) State() State {
	s := State{Behind: d.behind.Load(), Rechecked: d.rechecked.Load()}
	for _, r := range d.replicas {
		r.mu.Lock()
		s.Replicas = append(s.Replicas, ReplicaState{r.name, r.lag, !r.out})
		r.mu.Unlock()
	}
	return s
}

// Sleep holds a connection for wait: for load tests.
func (d *Database) Sleep(ctx context.Context, wait time.Duration) error {
	if d == nil {
		return ErrNone
	}
	return d.primary.with(ctx, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, "SELECT pg_sleep($1::float8)", wait.Seconds())
		return err
	})
}

// Close gives all connections back. It waits for those in use.
func (d *Database) Close() {
	if d == nil {
		return
	}
	d.primary.pool.Close()
	for _, r := range d.replicas {
		r.pool.Close()
	}
}
