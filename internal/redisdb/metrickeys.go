package redisdb

import (
	"fmt"
	"time"
)

// The keys of metrics, of a time in UTC. Of a minute, Sidekiq 8 pads the minute in the key of its
// hash and nothing else, Sidekiq 7 the day and the hour in that of its histogram and nothing else
// (docs/wire.md 11.2).

// Minute8 is the hash of a minute as Sidekiq 8 names it.
func (k Keyspace) Minute8(t time.Time) string {
	return k.Key(t.Format("j|060102|") + fmt.Sprintf("%d:%02d", t.Hour(), t.Minute()))
}

// TenMinutes8 is the hash of ten minutes as Sidekiq 8 names it.
func (k Keyspace) TenMinutes8(t time.Time) string {
	key := k.Minute8(t)
	return key[:len(key)-1]
}

// Minute7 is the hash of a minute as Sidekiq 7 names it.
func (k Keyspace) Minute7(t time.Time) string {
	return k.Key(t.Format("j|20060102|") + fmt.Sprintf("%d:%d", t.Hour(), t.Minute()))
}

// Histogram8 is the histogram of a class in a minute as Sidekiq 8 names it.
func (k Keyspace) Histogram8(class string, t time.Time) string {
	return k.Key(fmt.Sprintf("h|%s-%d-%d:%d", class, t.Day(), t.Hour(), t.Minute()))
}

// Histogram7 is the histogram of a class in a minute as Sidekiq 7 names it.
func (k Keyspace) Histogram7(class string, t time.Time) string {
	return k.Key(fmt.Sprintf("%s-%02d-%02d:%d", class, t.Day(), t.Hour(), t.Minute()))
}
