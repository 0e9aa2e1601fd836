// Package inspect reads the state of a fleet, Ruby's processes included, for people and pages:
// statistics, queues, sets of jobs, processes, running jobs, metrics, deploys. It also sends
// signals to processes and marks deploys. A worker does not need it.
//
//	store, err := queue.Open(ctx, config)
//	...
//	stats, err := inspect.New(store).Stats(ctx)
package inspect

import (
	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

// Inspector reads the Redis of a Store. It is safe for concurrent use, and uses the connections of
// the Store's pushes.
type Inspector struct {
	store *queue.Store
	db    *redisdb.DB
	rdb   *redis.Client
	ks    redisdb.Keyspace
}

// New returns an Inspector of a Store. The caller closes the Store.
func New(s *queue.Store) *Inspector {
	return &Inspector{store: s, db: s.DB(), rdb: s.DB().Shared, ks: s.Keys()}
}
