package queue

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
)

// Store is the Redis that holds the queues. It is safe for concurrent use.
type Store struct {
	db         *redisdb.DB
	tokens     atomic.Uint64 // the last token that was reserved
	connected  atomic.Bool   // Connect has succeeded
	connecting sync.Mutex    // held by Connect
	ks         redisdb.Keyspace
	timestamps Timestamps
	maxPayload int            // bytes of a payload that a push accepts
	maxTaken   int            // bytes of a payload that a fetch takes
	replicas   int            // how many replicas must have a push before it is confirmed
	effects    *effectScripts // nil without capabilities
	metrics7   bool           // also write metrics for Sidekiq 7's page
	deadLimits
}

// deadLimits limit the dead set as Sidekiq does: it keeps at most max-1 entries, and none that are
// older than age (docs/wire.md 7.5).
type deadLimits struct {
	max int
	age time.Duration
}

// Open connects to Redis, finds out which commands it has, and loads the scripts. The error says
// how to correct a wrong address, password or version, and names a capability that cannot be used.
// The caller closes the Store.
func Open(ctx context.Context, c Config) (*Store, error) {
	s, err := NewStore(c)
	if err != nil {
		return nil, err
	}
	if err := s.Connect(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// NewStore returns a Store that has not connected yet: before anything else is done with it,
// Connect must have succeeded. The error names a setting that is wrong.
func NewStore(c Config) (*Store, error) {
	o, err := c.redisOptions()
	if err != nil {
		return nil, err
	}
	s := &Store{replicas: c.WaitReplicas, ks: c.keyspace(),
		metrics7: c.Metrics7, timestamps: cmp.Or(c.Timestamps, Mirror),
		maxPayload: cmp.Or(c.MaxPayload, DefaultMaxPayload),
		maxTaken:   cmp.Or(c.MaxTaken, DefaultMaxTaken),
		deadLimits: deadLimits{10_000, 180 * 24 * time.Hour}}
	if s.effects, err = newEffectScripts(c.Capabilities); err != nil {
		return nil, err
	}
	s.db = redisdb.New(redisdb.Options{Redis: o, Connect: c.client, Addr: c.where(o),
		Connections: c.PoolSize, MaxReply: s.maxTaken, Scripts: allScripts,
		Probe: s.ks.Key("kyu:probe"), Sent: sent, Cluster: c.slot()})
	return s, nil
}

// Connect connects a Store of NewStore, as Open does. After an error it can be called again. Once
// it has succeeded, further calls do nothing. Of calls at once, each waits for the one before.
func (s *Store) Connect(ctx context.Context) error {
	s.connecting.Lock()
	defer s.connecting.Unlock()
	if s.Connected() {
		return nil
	}
	if err := s.db.Connect(ctx); err != nil {
		return err
	}
	if err := s.effects.load(ctx, s.db); err != nil {
		return err
	}
	s.connected.Store(true)
	return nil
}

// Connected reports whether Connect has succeeded.
func (s *Store) Connected() bool { return s.connected.Load() }

// Close closes all connections.
func (s *Store) Close() error { return s.db.Close() }

// DB returns the connections. It is for the packages of this module.
func (s *Store) DB() *redisdb.DB { return s.db }

// Keys returns the names of the keys. It is for the packages of this module.
func (s *Store) Keys() redisdb.Keyspace { return s.ks }

// WaitReplicas is how many replicas must have a push before it is confirmed.
func (s *Store) WaitReplicas() int { return s.replicas }

// MaxTaken is the most bytes of a payload that a fetch takes.
func (s *Store) MaxTaken() int { return s.maxTaken }

// Server describes the Redis server, as it was when the Store was opened.
func (s *Store) Server() redisdb.ServerInfo { return s.db.Server }

// Capabilities are the kinds of the capabilities with which the Store was opened, sorted.
func (s *Store) Capabilities() (kinds []string) {
	if s.effects == nil {
		return nil
	}
	for _, c := range s.effects.list {
		kinds = append(kinds, c.Kind)
	}
	return kinds
}

// SetDeadLimits limits the dead set: it keeps fewer than max entries, and none that are older than
// age. The defaults are Sidekiq's: 10,000 and 180 days. It must be called before the Store is used
// by several goroutines.
func (s *Store) SetDeadLimits(max int, age time.Duration) { s.deadLimits = deadLimits{max, age} }
