// Package redisdb connects to one Redis: it opens the connections, names the keys, runs the scripts
// and classifies the errors. It does not read jobs.
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
// lease, so the doorbells of a process that stopped are down before its jobs are reclaimed.
const BellTimeout = 5 * time.Second

// replyTimeout is how long Redis may send nothing after any other command.
const replyTimeout = 3 * time.Second

// ownConnections is the size of the pool for the runtime's own calls. All loops of a process
// together use fewer, because each has one call under way. So no loop waits for a connection.
const ownConnections = 512

// bellConnections is the size of the pool for doorbells. Each doorbell has a connection, which is
// opened when the doorbell is first hung.
const bellConnections = 1024

// Options say how to connect.
type Options struct {
	Redis       *redis.Options                      // the address, and the caller's settings
	Connect     func(*redis.Options) *redis.Client  // makes a client, directly or by Sentinel
	Addr        string                              // names the server in messages
	Connections int                                 // size of the shared pool; 10 if 0
	MaxReply    int                                 // the most bytes of a job that a doorbell reads
	Scripts     []*Script                           // all scripts that will run
	Probe       string                              // a key that nothing else uses
	Sent        func(command []byte) (point string) // names the failpoint of a command, or ""
	Cluster     *Cluster                            // nil: the server is no cluster
}

// DB is one Redis. It is safe for concurrent use, and its fields do not change. Its clients send
// each command once: a command that is sent again could run twice.
type DB struct {
	Shared *redis.Client // for pushes and inspection
	Own    *redis.Client // for the runtime's own calls: a lease never waits for users' pushes
	Bells  *redis.Client // for doorbells: its reads wait as long as a doorbell hangs
	Addr   string
	Server ServerInfo // from when the DB was opened

	NoUnblock  bool // no CLIENT ID or CLIENT UNBLOCK: doorbells come down only by their time-out
	NoBitfield bool // no BITFIELD
	plainLua   bool // no script flags

	options Options // of New
}

// New returns a DB that has not connected yet. Before anything else is done with it, Connect must
// have succeeded, or Close ends it.
func New(o Options) *DB {
	all := &links{silence: replyTimeout, open: map[*link]bool{}}
	var home *slot
	base := o.Redis
	if base.Dialer == nil {
		base.Dialer = redis.NewDialer(base)
	}
	if o.Cluster != nil {
		home = newSlot(*o.Cluster, base, all.stale)
	}
	safe(base, o.Sent, all)
	if home != nil {
		base.Dialer = home.dial(base.Dialer)
	}
	base.PoolSize = cmp.Or(o.Connections, 10)
	own, bells := *base, *base
	own.PoolSize = ownConnections
	bells.ReadTimeout = BellTimeout + replyTimeout
	bells.PoolSize = bellConnections
	bells.Dialer = limitReplies(base.Dialer, o.MaxReply)

	redis.SetLogger(noLog{})
	db := &DB{Shared: o.Connect(base), Own: o.Connect(&own), Bells: o.Connect(&bells), Addr: o.Addr,
		options: o}
	if home != nil {
		for _, c := range []*redis.Client{db.Shared, db.Own, db.Bells} {
			c.AddHook(home) // behind the caller's hooks, which see each command once
		}
	}
	return db
}

// SlotClient returns a client of the node that has the slot of a cluster, for other data than
// queues. connect makes a client of o.
func SlotClient(c Cluster, o *redis.Options,
	connect func(*redis.Options) *redis.Client) *redis.Client {
	if o.Dialer == nil {
		o.Dialer = redis.NewDialer(o)
	}
	all := &links{silence: replyTimeout, open: map[*link]bool{}}
	home := newSlot(c, o, all.stale)
	o.Dialer = home.dial(all.dial(o.Dialer))
	client := connect(o)
	client.AddHook(home)
	return client
}

// Connect connects, finds out which commands the server has, and loads the scripts. After an error
// it can be called again. The error says how to correct a wrong address, password or version.
func (db *DB) Connect(ctx context.Context) error {
	o := &db.options
	if err := db.probe(ctx, o); err != nil {
		return explain(err, o.Addr, o.Redis.TLSConfig != nil)
	}
	return nil
}

// safe sets the options on which the guarantees depend: a call is sent once and ends in time, and a
// connection on which Redis is silent is closed.
func safe(o *redis.Options, sent func([]byte) string, all *links) {
	if failpoint.Enabled {
		dial := o.Dialer
		o.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dial(ctx, network, addr)
			return failpoint.Conn(conn, sent), err
		}
	}
	o.Dialer = all.dial(o.Dialer)
	o.MaxRetries = -1
	o.DialerRetries = 1
	o.DialTimeout = cmp.Or(o.DialTimeout, 2*time.Second)
	o.ReadTimeout, o.WriteTimeout = replyTimeout, replyTimeout
	o.ContextTimeoutEnabled = true
	o.Protocol = 2
	o.MaintNotificationsConfig = noNotifications()
}

func noNotifications() *maintnotifications.Config {
	return &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
}

// noLog drops what go-redis logs: its errors say the same.
type noLog struct{}

func (noLog) Printf(context.Context, string, ...any) {}

// Close closes all connections.
func (db *DB) Close() error {
	return errors.Join(db.Bells.Close(), db.Own.Close(), db.Shared.Close())
}

// probe finds out the server's version and which commands it lacks: a managed server or an embedded
// one may forbid INFO or CLIENT.
func (db *DB) probe(ctx context.Context, o *Options) error {
	if err := db.Shared.Ping(ctx).Err(); err != nil {
		return err
	}
	var err error
	if db.Server, err = db.Info(ctx); err != nil && !Answered(err) {
		return err
	}
	if v := db.Server.Version; v != "" && majorVersion(v) < 7 {
		return &versionError{v}
	}
	if db.Server.Cluster && o.Cluster == nil {
		return errCluster
	}
	if err := db.probeLua(ctx, o.Scripts[0]); err != nil {
		return err
	}
	if err := db.Load(ctx, o.Scripts...); err != nil {
		return err
	}
	if db.NoUnblock, err = db.lacksUnblock(ctx); err != nil {
		return err
	}
	err = db.Shared.BitField(ctx, o.Probe, "GET", "u16", "#0").Err()
	if Elsewhere(err) && o.Cluster == nil {
		return errCluster // it hides INFO
	}
	db.NoBitfield = Answered(err)
	return nil
}

// lacksUnblock finds out whether the server lacks CLIENT ID or CLIENT UNBLOCK. Some managed and
// compatible servers have only the first. The connection that is to be unblocked waits for nothing.
func (db *DB) lacksUnblock(ctx context.Context) (bool, error) {
	conn := db.Shared.Conn()
	defer conn.Close()
	id, err := conn.ClientID(ctx).Result()
	if err == nil && id > 0 {
		err = conn.ClientUnblock(ctx, id).Err()
	}
	if err != nil && !Answered(err) {
		return false, err
	}
	return err != nil || id == 0, nil
}
