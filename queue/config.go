package queue

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// DefaultMaxPayload is the largest payload in bytes that a push accepts.
const DefaultMaxPayload = 1 << 20

// DefaultMaxTaken is the largest payload in bytes that a worker reads. Ruby's clients push payloads
// of any size.
const DefaultMaxTaken = 32 << 20

// Config says which Redis to use and how to write to it. The zero value is
// redis://localhost:6379/0.
type Config struct {
	// redis://, rediss:// or unix://, or one slot of a Redis Cluster:
	// redis+cluster://[user:password@]host[:port],…/?tag=NAME or rediss+cluster://. Then the keys
	// begin with {NAME}:, and Addr, DB, Namespace and Sentinels must be empty.
	URL string

	// These fields replace the part of URL that they name, unless they are zero.
	Network  string // "tcp" or "unix"
	Addr     string // host:port, or the path of a socket
	DB       int
	Username string
	Password string
	TLS      *tls.Config

	Namespace  string     // of Sidekiq 6 with the gem redis-namespace: a prefix of every key
	Metrics7   bool       // write metrics for Sidekiq 7's page too, not only for Sidekiq 8's
	Timestamps Timestamps // form of the times in payloads; Mirror if empty
	MaxPayload int        // largest payload of a push in bytes; DefaultMaxPayload if 0
	// MaxTaken is the largest payload in bytes that a worker reads; DefaultMaxTaken if 0. A job
	// with a larger one goes to the dead set unchanged.
	MaxTaken int

	// Sentinels are host:port of Sentinels, which know the address of the Redis. Then the addresses
	// in URL and Addr are not used.
	Sentinels        []string
	SentinelMaster   string // the Redis's name in the Sentinels
	SentinelUsername string
	SentinelPassword string
	// WaitReplicas is how many replicas must have a push before it is confirmed, so that a failover
	// does not lose it.
	WaitReplicas int

	Capabilities []Capability // add effects to the removal of jobs

	// PoolSize is the number of connections for pushes and inspection; 10 if 0. A worker's own
	// calls and doorbells use other connections.
	PoolSize int

	// Options, if not nil, may set options of go-redis that the fields above do not name: Dialer,
	// DialTimeout, ClientName. The time-outs of replies, the retries, the protocol and the sizes of
	// the pools are set after it, because the guarantees of the runtime depend on them.
	Options func(*redis.Options)
	// Hooks are called around each command of each connection, also of doorbells. They must be
	// quick, because they delay the lease too.
	Hooks []redis.Hook
}

// ConfigFromEnv returns the Config of the variables that Sidekiq and Mastodon use. The URL is in
// SIDEKIQ_REDIS_URL, else in the variable that REDIS_PROVIDER names, else in REDIS_URL. HOST, PORT,
// DB, USER and PASSWORD are then taken from SIDEKIQ_REDIS_x or, if there is no URL, from REDIS_x.
// It adds problems to r. It is for package cli; other programs use FromEnvironment.
func ConfigFromEnv(r *env.Reader) Config {
	c := fromEnv(r, "redis", "SIDEKIQ_")
	c.setNamespace(r)
	c.WaitReplicas = r.Int("redis wait replicas", 0, 0, 100, "SIDEKIQ_REDIS_WAIT_REPLICAS",
		"REDIS_WAIT_REPLICAS")
	return c
}

// RedisFromEnv returns the Config of another Redis of the same program. With the prefix "" it is
// the Redis of REDIS_URL or REDIS_x, which holds the feeds and counters of a server like Mastodon.
// With "CACHE_" it is the cache, and REDIS_x gives the fields that CACHE_REDIS_x leaves out. name
// is its name in --print-config. It adds problems to r. It is for the jobs of this module. One slot
// of a Redis Cluster is refused, because that data has no tag.
func RedisFromEnv(r *env.Reader, name, prefix string) Config {
	c := fromEnv(r, name, prefix)
	if c.InCluster() {
		r.Problem("%s: %s names one slot of a Redis Cluster, which can hold queues only: give "+
			"this data a Redis of its own in %sREDIS_URL, and name the queues' cluster in "+
			"SIDEKIQ_REDIS_URL", name, env.MaskURL(c.URL), prefix)
	}
	return c
}

// CacheFromEnv is RedisFromEnv for a Redis that is only looked at, and need not exist: it is nil if
// the variables name nothing but the cluster of the queues.
func CacheFromEnv(r *env.Reader, name, prefix string) *Config {
	if url, _ := r.Get(prefix+"REDIS_URL", "REDIS_URL"); inCluster(url) {
		return nil
	}
	c := fromEnv(r, name, prefix)
	return &c
}

// FromEnvironment returns the Config of the process's environment variables, by the rules of
// ConfigFromEnv. The error has all problems, one in each line, with the names of the variables.
func FromEnvironment() (Config, error) {
	r := new(env.Reader)
	c := ConfigFromEnv(r)
	return c, r.Err()
}

// Redis returns a client of the same server for other data than queues, with a pool of the given
// number of connections. It connects when it is first used. The error says that URL is wrong.
func (c *Config) Redis(connections int) (*redis.Client, error) {
	o, err := c.redisOptions()
	if err != nil {
		return nil, err
	}
	o.PoolSize, o.Protocol = connections, 2
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	if slot := c.slot(); slot != nil {
		return redisdb.SlotClient(*slot, o, c.client), nil
	}
	return c.client(o), nil
}

// slot returns the slot of a cluster that c names, or nil.
func (c *Config) slot() *redisdb.Cluster {
	u, err := c.cluster()
	if u == nil || err != nil {
		return nil
	}
	return &u.Cluster
}

func fromEnv(r *env.Reader, name, prefix string) Config {
	c := Config{URL: redisURL(r, name, prefix)}
	part := func(field string) string {
		var keys []string
		if prefix != "" {
			keys = append(keys, prefix+"REDIS_"+field)
		}
		if c.URL == "" {
			keys = append(keys, "REDIS_"+field)
		}
		v, source := r.Get(keys...)
		if source != "" {
			shown := v
			if strings.HasSuffix(field, "PASSWORD") {
				shown = env.Mask(v)
			}
			r.Note(name+" "+field, shown, source)
		}
		return v
	}
	host, port := part("HOST"), part("PORT")
	if host != "" || port != "" {
		c.setAddr(r, host, port)
	}
	if db := part("DB"); db != "" {
		n, err := strconv.Atoi(db)
		if err != nil || n < 0 {
			r.Problem("%sREDIS_DB=%q: want a database number from 0", prefix, db)
		}
		c.setDB(n)
	}
	c.Username, c.Password = part("USER"), part("PASSWORD")
	c.setSentinels(r, part)
	c.setTLS(r, prefix)
	if _, err := c.options(); err != nil {
		r.Problem("%w", err)
	}
	return c
}

func redisURL(r *env.Reader, name, prefix string) string {
	var keys []string
	if prefix != "" {
		keys = append(keys, prefix+"REDIS_URL")
	}
	if provider, _ := r.Get("REDIS_PROVIDER"); provider != "" && prefix == "SIDEKIQ_" {
		if v, _ := r.Get(provider); v == "" {
			r.Problem("REDIS_PROVIDER=%q names a variable that is not set: it must be the name "+
				"of the variable that holds the URL", env.MaskURL(provider))
		}
		keys = append(keys, provider)
	}
	url, source := r.Get(append(keys, "REDIS_URL")...)
	switch {
	case url != "":
		r.Note(name, env.MaskURL(url), source)
	default:
		r.Note(name, "redis://localhost:6379/0", "default")
	}
	return url
}

func (c *Config) setAddr(r *env.Reader, host, port string) {
	base, err := (&Config{URL: c.URL}).options()
	if err != nil {
		return // reported with the URL
	}
	if host != "" && host[0] == '/' {
		c.Network, c.Addr = "unix", host
		return
	}
	h, p, _ := net.SplitHostPort(base.Addr)
	if host != "" {
		h = strings.Trim(host, "[]") // an IPv6 address may stand in brackets
	}
	if port != "" {
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
			r.Problem("REDIS_PORT=%q: want a port from 1 to 65535", port)
		}
		p = port
	}
	c.Network, c.Addr = "tcp", net.JoinHostPort(h, p)
}

// setDB sets the number of the database. The field DB cannot say 0 against a URL that says another,
// so that goes into the URL.
func (c *Config) setDB(n int) {
	c.DB = n
	u, err := url.Parse(c.URL)
	if n != 0 || err != nil || c.URL == "" || u.Scheme == "unix" || inCluster(c.URL) {
		return
	}
	u.Path = "/0"
	query := u.Query()
	query.Del("db")
	u.RawQuery = query.Encode()
	c.URL = u.String()
}

// setSentinels reads Mastodon's variables. SENTINELS and SENTINEL_MASTER must both be set. With a
// URL none of them is used.
func (c *Config) setSentinels(r *env.Reader, part func(string) string) {
	list, master := part("SENTINELS"), part("SENTINEL_MASTER")
	port := part("SENTINEL_PORT")
	user, password := part("SENTINEL_USERNAME"), part("SENTINEL_PASSWORD")
	if c.URL != "" || (list == "" && master == "") {
		return
	}
	if list == "" || master == "" {
		r.Problem("REDIS_SENTINELS=%q and REDIS_SENTINEL_MASTER=%q: set both, or neither",
			list, master)
		return
	}
	for _, addr := range strings.Split(list, ",") {
		addr = strings.TrimSpace(addr)
		if _, _, err := net.SplitHostPort(addr); err != nil {
			addr = net.JoinHostPort(strings.Trim(addr, "[]"), cmp.Or(port, "26379"))
		}
		c.Sentinels = append(c.Sentinels, addr)
	}
	c.SentinelMaster = master
	c.SentinelUsername, c.SentinelPassword = cmp.Or(user, c.Username), cmp.Or(password, c.Password)
}

// setTLS reads a certificate authority and a client certificate, in PEM. A variable that ends with
// _FILE names a file instead.
func (c *Config) setTLS(r *env.Reader, prefix string) {
	pem := func(field string) string { // also with a URL, which cannot hold certificates
		v, source := r.Get(prefix+"REDIS_TLS_"+field, "REDIS_TLS_"+field)
		if source != "" {
			r.Note("redis TLS "+field, env.Mask(v), source)
		}
		return v
	}
	ca, cert, key := pem("CA"), pem("CERT"), pem("KEY")
	if ca == "" && cert == "" && key == "" {
		return
	}
	if c.URL != "" && !strings.HasPrefix(c.URL, "rediss://") &&
		!strings.HasPrefix(c.URL, clusterSchemeTLS+"://") {
		r.Problem("REDIS_TLS_* is set, but the URL %s does not ask for TLS: want rediss:// or "+
			"rediss+cluster://", env.MaskURL(c.URL))
		return
	}
	c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	if ca != "" {
		c.TLS.RootCAs = x509.NewCertPool()
		if !c.TLS.RootCAs.AppendCertsFromPEM([]byte(ca)) {
			r.Problem("REDIS_TLS_CA: no PEM certificate in it; REDIS_TLS_CA_FILE names a file " +
				"that holds one")
		}
	}
	if cert == "" && key == "" {
		return
	}
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		r.Problem("REDIS_TLS_CERT and REDIS_TLS_KEY: %w; both must be PEM and belong together; "+
			"with _FILE they name files", err)
	}
	c.TLS.Certificates = []tls.Certificate{pair}
}

// client returns a client with the hooks of c.
func (c *Config) client(o *redis.Options) *redis.Client {
	client := c.connect(o)
	for _, h := range c.Hooks {
		client.AddHook(h)
	}
	return client
}

// connect returns a client for o, by Sentinel if there are Sentinels.
func (c *Config) connect(o *redis.Options) *redis.Client {
	if len(c.Sentinels) == 0 {
		return redis.NewClient(o)
	}
	return redis.NewFailoverClient(&redis.FailoverOptions{
		MasterName: c.SentinelMaster, SentinelAddrs: c.Sentinels,
		SentinelUsername: c.SentinelUsername, SentinelPassword: c.SentinelPassword,
		ClientName: o.ClientName, Username: o.Username, Password: o.Password, DB: o.DB,
		Dialer: o.Dialer, TLSConfig: o.TLSConfig, Protocol: o.Protocol, PoolSize: o.PoolSize,
		MaxRetries: o.MaxRetries, DialerRetries: o.DialerRetries, DialTimeout: o.DialTimeout,
		ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout,
		ContextTimeoutEnabled: o.ContextTimeoutEnabled})
}

func (c *Config) setNamespace(r *env.Reader) {
	name, source := r.Get("SIDEKIQ_REDIS_NAMESPACE", "REDIS_NAMESPACE")
	if source == "" {
		return
	}
	if !envelope.ValidName(name) {
		r.Problem("%s=%q: want 1 to 128 of A-Z a-z 0-9 _ . : -", source, name)
	}
	r.Note("redis namespace", name, source)
	c.Namespace = name
	if _, err := c.cluster(); err != nil {
		r.Problem("%w", err)
	}
}

// where returns the name of the server for messages.
func (c *Config) where(o *redis.Options) string {
	if u, _ := c.cluster(); u != nil {
		return fmt.Sprintf("%s (slot of the tag %s)", strings.Join(u.Seeds, ", "), u.Tag)
	}
	if len(c.Sentinels) == 0 {
		return o.Addr
	}
	return c.SentinelMaster + " (by Sentinel: " + strings.Join(c.Sentinels, ", ") + ")"
}

// redisOptions returns the options of go-redis for c, after c.Options has changed them.
func (c *Config) redisOptions() (*redis.Options, error) {
	o, err := c.options()
	if err == nil && c.Options != nil {
		c.Options(o)
	}
	return o, err
}

// options returns the options of go-redis for the fields of c.
func (c *Config) options() (*redis.Options, error) {
	o := &redis.Options{Addr: "localhost:6379"}
	slot, err := c.cluster()
	if err != nil {
		return nil, err
	}
	if slot != nil {
		o = slot.options()
	} else if c.URL != "" {
		parsed, err := redis.ParseURL(c.URL)
		if err != nil {
			return nil, fmt.Errorf("the Redis URL %s is not understood: want "+
				"redis://[user:password@]host[:port][/db], rediss://… or unix:///path",
				env.MaskURL(c.URL))
		}
		o = parsed
	}
	if c.Addr != "" {
		o.Network, o.Addr = c.Network, c.Addr
	}
	if c.DB > 0 {
		o.DB = c.DB
	}
	if c.Username != "" {
		o.Username = c.Username
	}
	if c.Password != "" {
		o.Password = c.Password
	}
	if c.TLS != nil {
		name := ""
		if slot != nil {
			name = c.TLS.ServerName // else that of each node
		} else if o.TLSConfig != nil {
			name = o.TLSConfig.ServerName
		} else if host, _, err := net.SplitHostPort(o.Addr); err == nil {
			name = host
		}
		o.TLSConfig = c.TLS.Clone()
		o.TLSConfig.ServerName = cmp.Or(o.TLSConfig.ServerName, name)
	}
	return o, nil
}
