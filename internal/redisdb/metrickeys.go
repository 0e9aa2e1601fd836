package redisdb

import (
	"fmt"
	"time"
)

// The keys of metrics. All times are in UTC. Sidekiq 8 pads only the minute, in the keys of hashes.
// Sidekiq 7 pads only the day and the hour, in the keys of histograms (docs/wire.md 11.2).

// Minute8 is the key of the hash of a minute, in Sidekiq 8.
func (k Keyspace) Minute8(t time.Time) string {
	return k.Key(t.Format("j|060102|") + fmt.Sprintf("%d:%02d", t.Hour(), t.Minute()))
}

// TenMinutes8 is the key of the hash of ten minutes, in Sidekiq 8.
func (k Keyspace) TenMinutes8(t time.Time) string {
	key := k.Minute8(t)
	return key[:len(key)-1]
}

// Minute7 is the key of the hash of a minute, in Sidekiq 7.
func (k Keyspace) Minute7(t time.Time) string {
	return k.Key(t.Format("j|20060102|") + fmt.Sprintf("%d:%d", t.Hour(), t.Minute()))
}

// Histogram8 is the key of the histogram of a class and a minute, in Sidekiq 8.
func (k Keyspace) Histogram8(class string, t time.Time) string {
	return k.Key(fmt.Sprintf("h|%s-%d-%d:%d", class, t.Day(), t.Hour(), t.Minute()))
}

// Histogram7 is the key of the histogram of a class and a minute, in Sidekiq 7.
func (k Keyspace) Histogram7(class string, t time.Time) string {
	return k.Key(fmt.Sprintf("%s-%02d-%02d:%d", class, t.Day(), t.Hour(), t.Minute()))
}
