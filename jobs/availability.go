package jobs

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

const (
	failureDays     = 7           // days with failures until a host counts as gone
	availabilityAge = time.Minute // until the table is read again
)

// Availability knows the hosts that count as gone: those to which deliveries failed on
// seven days without an answer in between that ended a job. The data are Mastodon's: the days with
// failures are in Redis, the hosts that are gone in the table unavailable_domains
// (docs/wire.md 14.1).
type Availability struct {
	db    *database.Database
	redis redis.UniversalClient
	log   *slog.Logger

	// Jobs read and write these fields, each in its own goroutine, under mu.
	mu    sync.Mutex
	gone  map[string]bool // hosts that count as gone
	asked time.Time       // when gone was last read from the table
}

// NewAvailability makes an Availability. rdb is the Redis that holds the days with
// failures.
func NewAvailability(db *database.Database, rdb redis.UniversalClient,
	log *slog.Logger) *Availability {
	return &Availability{db: db, redis: rdb, log: log}
}

// isGone reports whether a host counts as gone. A change that another process made is
// known after at most a minute.
func (a *Availability) isGone(ctx context.Context, host string) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock() // held during the query: jobs that wait here need its result too
	if time.Since(a.asked) > availabilityAge {
		r, err := a.db.Fresh()
		if err != nil {
			return false, err
		}
		domains, err := database.Collect(ctx, r, pgx.RowTo[string],
			"SELECT domain FROM unavailable_domains")
		if err != nil {
			return false, hint(err)
		}
		a.gone = make(map[string]bool, len(domains))
		for _, d := range domains {
			a.gone[d] = true
		}
		a.asked = time.Now()
	}
	return a.gone[host], nil
}

// failed counts today as a day on which a host failed. With the seventh such day the
// host counts as gone.
func (a *Availability) failed(ctx context.Context, host string) error {
	var days *redis.IntCmd
	_, err := a.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.SAdd(ctx, queue.FailureDaysKey(host), time.Now().UTC().Format("20060102"))
		days = p.SCard(ctx, queue.FailureDaysKey(host))
		return nil
	})
	if err != nil || days.Val() < failureDays {
		return err
	}
	p, err := a.db.Primary(ctx)
	if err != nil {
		return err
	}
	if _, err := p.Exec(ctx, `INSERT INTO unavailable_domains (domain, created_at, updated_at)
		VALUES ($1, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC')
		ON CONFLICT DO NOTHING`, host); err != nil {
		return hint(err)
	}
	a.note(host, true)
	a.log.Warn("a host has failed on seven days: deliveries to it are dropped until it answers one",
		"host", host)
	return nil
}

// answered clears a host's days with failures: it no longer counts as gone.
func (a *Availability) answered(ctx context.Context, host string) error {
	had, err := a.redis.Del(ctx, queue.FailureDaysKey(host)).Result()
	if err != nil || (had == 0 && !a.knows(host)) {
		return err
	}
	p, err := a.db.Primary(ctx)
	if err != nil {
		return err
	}
	_, err = p.Exec(ctx, "DELETE FROM unavailable_domains WHERE domain = $1", host)
	a.note(host, false)
	return hint(err)
}

func (a *Availability) knows(host string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.gone[host]
}

func (a *Availability) note(host string, gone bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.gone == nil {
		a.gone = map[string]bool{}
	}
	a.gone[host] = gone
}
