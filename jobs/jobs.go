// Package jobs is what the four queues of a Mastodon-like server do: plain
// functions on structs that hold what they need. Tables, columns and keys are
// Mastodon's where it has them, so they work on its database and Redis too.
//
// It does not run jobs: that is package worker, which it does not know.
package jobs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// noTable is Postgres's code for a table that is not there.
const noTable = "42P01"

// hint adds the remedy to the error of a query whose table is missing.
func hint(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == noTable {
		return fmt.Errorf("the table is not there yet: run `workerctl migrate`: %w", err)
	}
	return err
}

// Retries of the classes that do not use Sidekiq's own number.
const (
	DeliveryRetries            = 16
	LowPriorityDeliveryRetries = 8
	WebhookRetries             = 16
	FetchRetries               = 3
)

// DeliveryDelay is the wait of deliveries before the next attempt: count⁴ + 15 s, and
// up to half of count⁴ more (docs/wire.md 14.1). count is 0 after the first failure.
// The worker adds Sidekiq's own jitter.
func DeliveryDelay(count int, _ error) time.Duration {
	n := float64(count * count * count * count)
	return 15*time.Second + time.Duration((n+rand.Float64()*0.5*n)*float64(time.Second))
}
