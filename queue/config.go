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
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// DefaultMaxPayload is the largest payload that a push accepts, in bytes.
const DefaultMaxPayload = 1 << 20

// DefaultMaxTaken is the largest payload that a worker reads, in bytes. Ruby's clients push any
// size.
const DefaultMaxTaken = 32 << 20

// Config says which Redis to use and how to write to it. The zero value is
// redis://localhost:6379/0.
type Config struct {
	// redis://, rediss:// or unix://; overridden field by field by what follows
	URL      string
	Network  string      // "tcp" or "unix"
	Addr     string      // host:port, or the path of a socket
	DB       int         // -1 or the zero value: as in URL
	Username string      //
	Password string      //
	TLS      *tls.Config // as in URL if nil
	// of a fleet of Sidekiq 6 with the redis-namespace gem: before every key, with a colon
	Namespace  string
	Metrics7   bool       // write metrics for Sidekiq 7's page too, beside those for Sidekiq 8's
	Timestamps Timestamps // of new payloads and of rewrites; Mirror if empty
	MaxPayload int        // bytes; DefaultMaxPayload if 0
	// bytes of a payload that is read; what is larger goes to the dead set as it is;
	// DefaultMaxTaken if 0
	MaxTaken int

	// host:port; then Sentinel says where the Redis is, and URL and Addr do not
	Sentinels        []string
	SentinelMaster   string // the name under which they watch it
	SentinelUsername string
	SentinelPassword string
	// a push is confirmed when so many replicas have it too, so that a failover does not lose
	// it; 0: none
	WaitReplicas int

	Capabilities []Capability // what other packages add to the life of jobs

	// connections for pushes and inspection; a worker's own calls and doorbells have
	// others; 10 if 0
	PoolSize int

	// Options may change what the fields above do not name: Dialer, DialTimeout, ClientName. The
	// promises of the runtime stand on the others, which are set after it: time-outs of replies,
	// retries, the protocol, the sizes of the pools. nil changes nothing
	Options func(*redis.Options)
	// Hooks are called around each command of each connection, doorbells included: they must not
	// hold it up, for the lease goes over them too
	Hooks []redis.Hook
}

// ConfigFromEnv reads the variables that Sidekiq and Mastodon use. The first of
// SIDEKIQ_REDIS_URL, the variable that REDIS_PROVIDER names, and REDIS_URL is
// the address; each of HOST, PORT, DB, USER and PASSWORD is then taken from
// SIDEKIQ_REDIS_x, else, without a URL, from REDIS_x. Problems go to r.
func ConfigFromEnv(r *env.Reader) Config {
	c := fromEnv(r, "redis", "SIDEKIQ_")
	c.setNamespace(r)
	c.WaitReplicas = r.Int("redis wait replicas", 0, 0, 100, "SIDEKIQ_REDIS_WAIT_REPLICAS",
		"REDIS_WAIT_REPLICAS")
	return c
}

// RedisFromEnv reads the address of another Redis of the same program, for a
// client of its own: with the prefix "" the one of REDIS_URL or REDIS_x, which holds
// a Mastodon-like server's feeds and counters; with "CACHE_" the cache's, where each
// field that CACHE_REDIS_x leaves out is that of the former. name is how
// --print-config calls it. Problems go to r.
func RedisFromEnv(r *env.Reader, name, prefix string) Config { return fromEnv(r, name, prefix) }

// FromEnvironment reads the process's own environment as ConfigFromEnv does, for programs that
// do without package cli. The error has all problems, one a line, each with its variable.
func FromEnvironment() (Config, error) {
	r := new(env.Reader)
	c := ConfigFromEnv(r)
	return c, r.Err()
}

// Redis is a plain client of that server with so many connections, for what is not
// queues. It connects when it is first used.
func (c *Config) Redis(connections int) (*redis.Client, error) {
	o, err := c.redisOptions()
	if err != nil {
		return nil, err
	}
	o.PoolSize, o.Protocol = connections, 2
	o.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return c.client(o), nil
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
	if n != 0 || err != nil || c.URL == "" || u.Scheme == "unix" {
		return
	}
	u.Path = "/0"
	query := u.Query()
	query.Del("db")
	u.RawQuery = query.Encode()
	c.URL = u.String()
}

// setSentinels reads Mastodon's variables: both SENTINELS and SENTINEL_MASTER must
// be there, and a URL comes first.
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

// setTLS reads a certificate authority and a client certificate, as PEM texts; the
// variable with _FILE names a file instead.
func (c *Config) setTLS(r *env.Reader, prefix string) {
	pem := func(field string) string { // beside a URL too, which cannot say it
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
	if c.URL != "" && !strings.HasPrefix(c.URL, "rediss://") {
		r.Problem("REDIS_TLS_* is set, but the URL %s does not ask for TLS: want rediss://",
			env.MaskURL(c.URL))
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

// client makes a client of o, through Sentinel if there are any.
func (c *Config) client(o *redis.Options) *redis.Client {
	client := c.connect(o)
	for _, h := range c.Hooks {
		client.AddHook(h)
	}
	return client
}

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
}

// where names the server in messages.
func (c *Config) where(o *redis.Options) string {
	if len(c.Sentinels) == 0 {
		return o.Addr
	}
	return c.SentinelMaster + " (by Sentinel: " + strings.Join(c.Sentinels, ", ") + ")"
}

// redisOptions are go-redis's options for c, with what the user changes in them.
func (c *Config) redisOptions() (*redis.Options, error) {
	o, err := c.options()
	if err == nil && c.Options != nil {
		c.Options(o)
	}
	return o, err
}

// options are go-redis's options for the fields of c.
func (c *Config) options() (*redis.Options, error) {
	o := &redis.Options{Addr: "localhost:6379"}
	if c.URL != "" {
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
		if o.TLSConfig != nil {
			name = o.TLSConfig.ServerName
		} else if host, _, err := net.SplitHostPort(o.Addr); err == nil {
			name = host
		}
		o.TLSConfig = c.TLS.Clone()
		o.TLSConfig.ServerName = cmp.Or(o.TLSConfig.ServerName, name)
	}
	return o, nil
}
