// Package jobs holds the jobs of a Mastodon-like server: deliveries and webhooks, feeds
// and notifications, mail, remote objects and link previews. Each job is a method
// func(ctx, Args) error of a struct that holds its connections; NewServer makes all of
// them. Tables, columns and Redis keys are Mastodon's where Mastodon has them, so the jobs
// also work on a Mastodon server's own database and Redis.
//
// Every job may run twice. A job that cannot succeed, now or later, logs the reason and
// returns nil, or returns an error made by queue.Kill. Other errors are tried again.
//
// The package does not run jobs and does not import package worker: worker.Handle takes
// the methods as they are.
package jobs

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// noTable is Postgres's code for a table that does not exist.
const noTable = "42P01"

// hint adds the remedy to the error of a query whose table is missing.
func hint(err error) error {
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == noTable {
		return fmt.Errorf("the table is not there yet: run `workerctl migrate`: %w", err)
	}
	return err
}

// Retries after the first attempt, for the classes that do not use Sidekiq's default
// of 25. The numbers are Mastodon's.
const (
	DeliveryRetries            = 16 // ActivityPub::DeliveryWorker
	LowPriorityDeliveryRetries = 8  // ActivityPub::LowPriorityDeliveryWorker
	WebhookRetries             = 16 // Webhooks::DeliveryWorker
	FetchRetries               = 3  // FetchResourceWorker and LinkPreviewWorker
)

// DeliveryDelay returns how long a delivery waits before its next attempt: count⁴ + 15
// seconds, and a random part of up to half of count⁴ seconds (docs/wire.md 14.1). count
// is 0 after the first failure. The error is not used. The worker adds Sidekiq's own
// jitter.
func DeliveryDelay(count int, _ error) time.Duration {
	n := float64(count * count * count * count)
	return 15*time.Second + time.Duration((n+rand.Float64()*0.5*n)*float64(time.Second))
}
