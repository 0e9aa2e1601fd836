// Package redisdb is one Redis: its connections, the names of its keys, the runner of its scripts,
// and the meaning of its errors. It knows nothing of jobs.
package redisdb

import (
	"cmp"
	"context"
	"errors"
	"net"
	"time"

	"github.com/kyujobs/kyu/internal/failpoint"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// BellTimeout is how long a doorbell hangs in Redis before it is hung again. It is shorter than a
// lease: the doorbells of a stopped process are down before its jobs are taken over.
const BellTimeout = 5 * time.Second

// replyWithin is how long Redis may take to answer any other command.
const replyWithin = 3 * time.Second

// ownConnections bounds the runtime's own connections. It is more than all loops of a process can
// use at once, each of which has one call under way: none of them waits for a connection.
const ownConnections = 512

// Options say how to connect.
type Options struct {
	Redis       *redis.Options                      // the address, and what the caller chose
	Connect     func(*redis.Options) *redis.Client  // makes a client: directly, or by Sentinel
	Addr        string                              // names the server in messages
	Connections int                                 // of the shared pool; 10 if 0
	MaxReply    int                                 // bytes of one job that a doorbell may bring
	Scripts     []*Script                           // all that will run
	Probe       string                              // a key that nothing uses
	Sent        func(command []byte) (point string) // names the failpoint of a command, or ""
}

// DB is one Redis. It is safe for concurrent use, and its fields do not change.
type DB struct {
	// Shared is for pushes and for what people read. No client repeats a command by itself: the
	// command could run twice.
	Shared *redis.Client
	// Own is for the runtime's own calls: a lease never waits behind users' pushes.
	Own   *redis.Client
	Bells *redis.Client // its reads wait as long as a doorbell hangs
	Addr  string
	// Server is what the server said when it was first asked
	Server ServerInfo

	NoUnblock  bool // no CLIENT ID or CLIENT UNBLOCK: doorbells end only by their time-out
	NoBitfield bool // no BITFIELD
	plainLua   bool // no script flags
}

// Open connects, finds out what the server can do, and loads the scripts. The error says how to
// mend a wrong address, password or version.
func Open(ctx context.Context, o Options) (*DB, error) {
	base := safe(o.Redis, o.Sent)
	base.PoolSize = cmp.Or(o.Connections, 10)
	own, bells := *base, *base
	own.PoolSize = ownConnections
	bells.ReadTimeout = BellTimeout + replyWithin
	bells.PoolSize = 1024 // a connection for each doorbell, made when it is hung
	bells.Dialer = limitReplies(base.Dialer, o.MaxReply)

	redis.SetLogger(silence{}) // it repeats on stderr what its errors say
	db := &DB{Shared: o.Connect(base), Own: o.Connect(&own), Bells: o.Connect(&bells), Addr: o.Addr}
	if err := db.meet(ctx, o); err != nil {
		db.Close()
		return nil, explain(err, o.Addr)
	}
	return db, nil
}

// safe adds what the promises stand on: a call is sent once, ends in time, and its connection is
// cut when it falls silent.
func safe(o *redis.Options, sent func([]byte) string) *redis.Options {
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
	return o
}

type silence struct{}

func (silence) Printf(context.Context, string, ...any) {}

// Close gives all connections back.
func (db *DB) Close() error {
	return errors.Join(db.Bells.Close(), db.Own.Close(), db.Shared.Close())
}

// meet learns the server's version and what it lacks: an embedded stand-in or a managed server may
// forbid INFO, CONFIG or CLIENT.
func (db *DB) meet(ctx context.Context, o Options) error {
	if err := db.Shared.Ping(ctx).Err(); err != nil {
		return err
	}
	var err error
	if db.Server, err = db.Info(ctx); err != nil && !Answered(err) {
		return err
	}
	if v := db.Server.Version; v != "" && majorVersion(v) < 7 {
		return &VersionError{v}
	}
	if err := db.learnLua(ctx, o.Scripts[0]); err != nil {
		return err
	}
	if err := db.Load(ctx, o.Scripts...); err != nil {
		return err
	}
	conn := db.Shared.Conn()
	defer conn.Close()
	id, err := conn.ClientID(ctx).Result()
	db.NoUnblock = err != nil || id == 0
	db.NoBitfield = Answered(db.Shared.BitField(ctx, o.Probe, "GET", "u16", "#0").Err())
	return nil
}
