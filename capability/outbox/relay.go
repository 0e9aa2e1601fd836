package outbox

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/kyujobs/kyu/queue"
)

// pauses are how long a relay waits between two looks at the table.
type pauses struct {
	busy    time.Duration // soon after rows were found
	idle    time.Duration // when none have been found for a while
	table   time.Duration // while there is no table
	backoff time.Duration // at most, while Postgres or Redis does not answer
}

var usual = pauses{50 * time.Millisecond, 1200 * time.Millisecond, time.Minute, 5 * time.Second}

const (
	// flushLimit is how long Tx waits for the push of its jobs.
	flushLimit = time.Second
	// pageLimit is how long a page may take, and stopLimit for how much longer when Run stops.
	pageLimit = 30 * time.Second
	stopLimit = 3 * time.Second
	// purgeEvery is the pause between two purges of the inbox.
	purgeEvery = time.Hour
)

// Config says where a Relay reads rows, and where it pushes their jobs.
type Config struct {
	Pool *pgxpool.Pool // of the primary, or of a pooler before it
	// Store is a *queue.Store, or the Backend of several shards (queue.Shards.Backend).
	Store  queue.Backend
	Logger *slog.Logger // slog.Default() if nil
}

// Relay moves rows from the table to Redis. Any number of processes may have one: each row is
// pushed once. It is safe for concurrent use.
type Relay struct {
	Config
	turn    chan struct{} // holds an item while a page is under way
	commits atomic.Int64  // of Tx
	covered int64         // the commits before the last page that found all; under turn
	limit   int           // how many rows the next page reads; under turn
	after   int64         // the id behind which the next page begins; under turn
	outage  outage
	purgeAt time.Time // of Run
	pauses  pauses

	relayed, aside atomic.Int64 // rows, since New
}

// New returns a Relay.
func New(c Config) *Relay {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return &Relay{Config: c, turn: make(chan struct{}, 1), limit: pageRows,
		outage:  outage{log: c.Logger},
		pauses:  usual,
		purgeAt: time.Now().Add(rand.N(purgeEvery))}
}

// Counts are the numbers of rows since New.
type Counts struct {
	Relayed int64 // their jobs are in Redis, and they are deleted
	Aside   int64 // they were kept aside, because they hold no job
}

// Counts returns the numbers of rows since New.
func (r *Relay) Counts() Counts { return Counts{r.relayed.Load(), r.aside.Load()} }

// Run moves rows until ctx ends, and then returns nil. While Redis or Postgres does not answer, or
// while the table is not there, it tries again and again. It also purges the inbox. When there is
// nothing to do it sends less than one query a second.
func (r *Relay) Run(ctx context.Context) error {
	wait := r.pauses.busy
	for ctx.Err() == nil {
		found, err := r.round(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, ErrNoTable):
			wait = r.pauses.table
		case err != nil:
			wait = r.outage.failed(err, r.pauses)
		case found:
			wait = r.pauses.busy
		default:
			wait = min(2*wait, r.pauses.idle)
		}
		select {
		case <-time.After(wait*9/10 + rand.N(wait/5)):
		case <-ctx.Done():
		}
	}
	return nil
}

// Tx runs fn in a transaction, commits it, and then pushes the jobs that it wrote into the table.
// The error is that of fn or of the commit. If the jobs cannot be pushed at once, such as while
// Redis is away, their rows wait for Run of any process, and Tx returns nil after a second at most.
func (r *Relay) Tx(ctx context.Context, fn func(pgx.Tx) error) error {
	if err := pgx.BeginFunc(ctx, r.Pool, fn); err != nil {
		return err
	}
	r.Flush(ctx)
	return nil
}
