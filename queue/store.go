// Package queue is what is in Redis: the job envelope, the keys, pushes, one Lua
// script per state change, and the inspection API. It speaks Sidekiq's wire
// format and starts no goroutines.
//
// It guarantees that a job is in exactly one place from the moment a push
// returns until it is done, dead or discarded. It does not run jobs: that is
// package worker.
package queue

import (
	"cmp"
	"context"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
)

// Store is the Redis that holds the queues. It is safe for concurrent use.
type Store struct {
	db         *redisdb.DB
	tokens     atomic.Uint64 // the last token that was given
	ks         redisdb.Keyspace
	timestamps Timestamps
	maxPayload int
	maxTaken   int
	replicas   int            // that must have a push before it is confirmed
	effects    *effectScripts // nil without capabilities
	metrics7   bool           // also write the metrics of Sidekiq 7's page
	deadLimits
}

// deadLimits bound the dead set as Sidekiq does: at most max-1 entries, none
// older than age (docs/wire.md 7.5).
type deadLimits struct {
	max int
	age time.Duration
}

// Open connects, finds out what the server can do, and loads the scripts. The
// error says what to do about a wrong address, password or version.
func Open(ctx context.Context, c Config) (*Store, error) {
	o, err := c.redisOptions()
	if err != nil {
		return nil, err
	}
	s := &Store{replicas: c.WaitReplicas, ks: redisdb.NewKeyspace(c.Namespace),
		metrics7: c.Metrics7, timestamps: cmp.Or(c.Timestamps, Mirror),
		maxPayload: cmp.Or(c.MaxPayload, DefaultMaxPayload),
		maxTaken:   cmp.Or(c.MaxTaken, DefaultMaxTaken),
		deadLimits: deadLimits{10_000, 180 * 24 * time.Hour}}
	if s.effects, err = newEffectScripts(c.Capabilities); err != nil {
		return nil, err
	}
	s.db, err = redisdb.Open(ctx, redisdb.Options{Redis: o, Connect: c.client, Addr: c.where(o),
		Connections: c.PoolSize, MaxReply: s.maxTaken, Scripts: allScripts,
		Probe: s.ks.Key("kyu:probe"), Sent: sent})
	if err != nil {
		return nil, err
	}
	if err := s.effects.load(ctx, s.db); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close gives all connections back.
func (s *Store) Close() error { return s.db.Close() }

// DB is the Redis itself, for the packages of this module.
func (s *Store) DB() *redisdb.DB { return s.db }

// Keys are the names of the keys, for the packages of this module.
func (s *Store) Keys() redisdb.Keyspace { return s.ks }

// Server is what the server said of itself when the Store was opened.
func (s *Store) Server() redisdb.ServerInfo { return s.db.Server }

// SetDeadLimits bounds the dead set: it keeps fewer than max entries, and none
// older than age. The defaults are Sidekiq's, 10,000 and 180 days.
func (s *Store) SetDeadLimits(max int, age time.Duration) { s.deadLimits = deadLimits{max, age} }
