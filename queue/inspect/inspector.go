// Package inspect is what people and pages read of a fleet, Ruby's processes included, and the few
// things that they do by hand: statistics, queues, sets of jobs, processes, work in progress,
// metrics, marks of deploys. A worker does not need it.
package inspect

import (
	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

// Inspector reads what a Store holds. It is safe for concurrent use, and shares the connections of
// the Store's pushes.
type Inspector struct {
	store *queue.Store
	db    *redisdb.DB
	rdb   *redis.Client
	ks    redisdb.Keyspace
}

// New makes an Inspector of a Store, which stays the caller's to close.
func New(s *queue.Store) *Inspector {
	return &Inspector{store: s, db: s.DB(), rdb: s.DB().Shared, ks: s.Keys()}
}
