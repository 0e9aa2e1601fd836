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

// ErrNone means that a job needs Postgres and none is configured.
var ErrNone = errors.New("no Postgres is configured: set DATABASE_URL, or DB_HOST and DB_NAME")

// Database is the Postgres of the jobs: a primary and replicas, if there are some. A nil
// *Database means that no Postgres is configured. The methods may be called from many
// goroutines.
type Database struct {
	config   Config
	primary  *server
	replicas []*replica
	fallback chan struct{} // holds an item for each read that the primary answers for replicas
	history  history       // written and read by Open, then only by Run
	log      *slog.Logger

	// Jobs add to these, each in its own goroutine; State reads them.
	behind    atomic.Int64 // reads for which no replica had replayed enough
	rechecked atomic.Int64 // rows that a replica did not have
}

// Open makes a pool with at least threads connections, and checks that the primary
// answers. It returns nil without an error if no Postgres is configured. A smaller DB_POOL
// is raised, with a warning in the log, because threads would wait for each other's
// connections. A replica that does not answer is no error. With replicas, Run must run.
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
	primary.patient = true
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

// Run checks the replicas every second until ctx ends: it measures how far they are behind,
// and decides whether they are read from. It returns nil, at once if there are none.
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

// poll checks all replicas. If the primary's position cannot be read, their lag is
// measured against its earlier positions.
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

// position returns the present end of the primary's log. Everything that is committed lies
// before it, also what was committed without waiting for the disk.
func (d *Database) position(ctx context.Context) (Position, error) {
	var text string
	var block, segment int64
	err := d.primary.again(ctx, func(c *pgx.Conn) error {
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

// flushed returns how far the primary's log is on disk: a replica cannot be further.
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

// caughtUp finds a replica that has replayed p, or returns nil. It begins with a random
// one.
func (d *Database) caughtUp(ctx context.Context, p Position) *replica {
	start := rand.IntN(len(d.replicas))
	for i := range d.replicas {
		if r := d.replicas[(start+i)%len(d.replicas)]; r.has(ctx, p) {
			return r
		}
	}
	return nil
}

// Replicated reports whether replicas are configured. Then pushed jobs need Stamp.
func (d *Database) Replicated() bool { return d != nil && len(d.replicas) > 0 }

// Pool returns the pool of connections to the primary, for its statistics and for queries
// outside of jobs: a write over it does not keep the job's reads on the primary. It is nil
// without Postgres.
func (d *Database) Pool() *pgxpool.Pool {
	if d == nil {
		return nil
	}
	return d.primary.pool
}

// ReplicaState is the state of a replica.
type ReplicaState struct {
	Name  string        // host:port/database
	Lag   time.Duration // how long ago the primary was where the replica is
	InUse bool          // it is read from
}

// State is the state of the replicas, and what they left to the primary since Open.
type State struct {
	Replicas  []ReplicaState
	Behind    int64 // reads that went to the primary because no replica had replayed enough
	Rechecked int64 // rows that a replica did not have and that were read from the primary
}

// State returns the present state of the replicas. It asks no server.
func (d *Database) State() State {
	s := State{Behind: d.behind.Load(), Rechecked: d.rechecked.Load()}
	for _, r := range d.replicas {
		r.mu.Lock()
		s.Replicas = append(s.Replicas, ReplicaState{r.name, r.lag, !r.out})
		r.mu.Unlock()
	}
	return s
}

// Sleep keeps a connection to the primary busy for wait. It is for load tests.
func (d *Database) Sleep(ctx context.Context, wait time.Duration) error {
	if d == nil {
		return ErrNone
	}
	return d.primary.again(ctx, func(c *pgx.Conn) error {
		_, err := c.Exec(ctx, "SELECT pg_sleep($1::float8)", wait.Seconds())
		return err
	})
}

// Close closes all connections. It waits for those in use.
func (d *Database) Close() {
	if d == nil {
		return
	}
	d.primary.pool.Close()
	for _, r := range d.replicas {
		r.pool.Close()
	}
}
