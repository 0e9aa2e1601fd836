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
	"errors"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// bellTimeout is how long a doorbell hangs in Redis before it is hung anew.
// Shorter than a lease, so that a stopped process's bells are down before its
// jobs are taken over.
const bellTimeout = 5 * time.Second

// replyWithin is how long Redis may take to answer anything else.
const replyWithin = 3 * time.Second

// ownConnections bounds the runtime's own connections. It is more than all loops of a
// process can use at once, each of which has one call under way: none of them waits.
const ownConnections = 512

// Store is the Redis that holds the queues. It is safe for concurrent use.
type Store struct {
	// for pushes and inspection; never repeats a command by itself: it could run twice
	rdb *redis.Client
	// for the runtime's own calls: a lease never waits behind users' pushes
	own        *redis.Client
	bells      *redis.Client // its reads wait as long as a doorbell hangs
	tokens     atomic.Uint64 // the last token that was given
	addr       string
	ks         keyspace
	timestamps Timestamps
	maxPayload int
	maxTaken   int
	replicas   int // that must have a push before it is confirmed
	server     Server
	effects    *effectScripts // nil without capabilities

	plainLua   bool // no script flags
	noUnblock  bool // no CLIENT ID or CLIENT UNBLOCK: doorbells time out by themselves
	noBitfield bool
	metrics7   bool // also write the metrics of Sidekiq 7's page
	deadLimits
}

// deadLimits bound the dead set as Sidekiq does: at most max-1 entries, none
// older than age (docs/wire.md 7.5).
type deadLimits struct {
	max int
	age time.Duration
}

// Server is what the Redis server said of itself.
type Server struct {
	Version         string // "7.0.15"
	MaxmemoryPolicy string // empty if it does not say
	Addr            string
}

// Open connects, finds out what the server can do, and loads the scripts. The
// error says what to do about a wrong address, password or version.
func Open(ctx context.Context, c Config) (*Store, error) {
	o, err := c.storeOptions()
	if err != nil {
		return nil, err
	}
	own := *o
	own.PoolSize = ownConnections
	b := *o
	b.ReadTimeout = bellTimeout + replyWithin
	b.PoolSize = 1024 // a connection per bell, made when it is hung
	b.Dialer = limitReplies(o.Dialer, cmp.Or(c.MaxTaken, DefaultMaxTaken))

	redis.SetLogger(silence{}) // it repeats on stderr what its errors say
	s := &Store{rdb: c.client(o), own: c.client(&own), bells: c.client(&b), addr: c.where(o),
		replicas: c.WaitReplicas, ks: newKeyspace(c.Namespace), metrics7: c.Metrics7,
		timestamps: c.Timestamps, maxPayload: cmp.Or(c.MaxPayload, DefaultMaxPayload),
		maxTaken:   cmp.Or(c.MaxTaken, DefaultMaxTaken),
		deadLimits: deadLimits{10_000, 180 * 24 * time.Hour}}
	if s.timestamps == "" {
		s.timestamps = Mirror
	}
	if s.effects, err = newEffectScripts(c.Capabilities); err != nil {
		s.Close()
		return nil, err
	}
	if err := s.meet(ctx); err != nil {
		s.Close()
		return nil, explain(err, s.addr)
	}
	return s, nil
}

// storeOptions are the options of all connections, with what the runtime's promises stand on: a
// call is sent once, ends in time, and its connection is cut when it falls silent.
func (c *Config) storeOptions() (*redis.Options, error) {
	o, err := c.options()
	if err != nil {
		return nil, err
	}
	if c.Options != nil {
		c.Options(o)
	}
	if o.Dialer == nil {
		o.Dialer = redis.NewDialer(o)
	}
	if failpoint.Enabled {
		dial := o.Dialer
		o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			return failpoint.Conn(conn, sent), err
		}
	}
	all := &links{silence: replyWithin, open: map[*link]bool{}}
	o.Dialer = all.dial(o.Dialer)
	o.MaxRetries = -1
	o.DialerRetries = 1
	o.DialTimeout = cmp.Or(o.DialTimeout, 2*time.Second)
	o.ReadTimeout, o.WriteTimeout = replyWithin, replyWithin
	o.ContextTimeoutEnabled = true
	o.Protocol = 2
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	o.PoolSize = 10
	if c.PoolSize > 0 {
		o.PoolSize = c.PoolSize
	}
	return o, nil
}

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// Close gives all connections back.
func (s *Store) Close() error {
	return errors.Join(s.bells.Close(), s.own.Close(), s.rdb.Close())
}

// Server is what the server said of itself when the Store was opened.
func (s *Store) Server() Server { return s.server }

// SetDeadLimits bounds the dead set: it keeps fewer than max entries, and none
// older than age. The defaults are Sidekiq's, 10,000 and 180 days.
func (s *Store) SetDeadLimits(max int, age time.Duration) { s.deadLimits = deadLimits{max, age} }

// meet learns the server's version and what it lacks: an embedded stand-in or
// a managed server may forbid INFO, CONFIG or CLIENT.
func (s *Store) meet(ctx context.Context) error {
	if err := s.rdb.Ping(ctx).Err(); err != nil {
		return err
	}
	s.server = Server{Addr: s.addr}
	if info, err := s.rdb.Info(ctx).Result(); err == nil {
		s.server.Version = infoField(info, "redis_version")
		s.server.MaxmemoryPolicy = infoField(info, "maxmemory_policy")
	} else if !isReply(err) {
		return err
	}
	if v := s.server.Version; v != "" && majorVersion(v) < 7 {
		return &VersionError{v}
	}
	if err := s.loadScripts(ctx); err != nil {
		return err
	}
	conn := s.rdb.Conn()
	defer conn.Close()
	id, err := conn.ClientID(ctx).Result()
	s.noUnblock = err != nil || id == 0
	s.noBitfield = isReply(s.rdb.BitField(ctx, s.ks.key("kyu:probe"), "GET", "u16", "#0").Err())
	return nil
}

func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if v, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			return v
		}
	}
	return ""
}

func majorVersion(v string) int {
	major, _, _ := strings.Cut(v, ".")
	n, err := strconv.Atoi(major)
	if err != nil {
		return 7 // a version that is no number is not an old Redis
	}
	return n
}
