package queue

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/redis/go-redis/v9"
)

// The schemes of URLs that name one slot of a Redis Cluster, without TLS and with it.
const (
	clusterScheme    = "redis+cluster"
	clusterSchemeTLS = "rediss+cluster"
)

// clusterURL is a URL of one slot of a Redis Cluster:
// redis+cluster://[user:password@]host[:port][,host[:port]…]/?tag=NAME.
type clusterURL struct {
	redisdb.Cluster
	tls      bool
	username string
	password string
}

// tagOf is what a tag may be: it stands in braces in each key.
var tagOf = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,64}$`)

// inCluster reports whether a URL names one slot of a Redis Cluster.
func inCluster(raw string) bool {
	scheme, _, ok := strings.Cut(raw, "://")
	scheme = strings.ToLower(scheme)
	return ok && (scheme == clusterScheme || scheme == clusterSchemeTLS)
}

// parseClusterURL reads a URL of one slot. The errors name the remedy, and no password.
func parseClusterURL(raw string) (*clusterURL, error) {
	shown := env.MaskURL(raw)
	wrong := fmt.Errorf("the Redis URL %s is not understood: want "+
		"redis+cluster://[user:password@]host[:port],…/?tag=NAME, or rediss+cluster://… for TLS",
		shown)
	first, more, ok := env.CutHosts(raw)
	if !ok {
		return nil, wrong
	}
	u, err := url.Parse(first)
	if err != nil || u.Fragment != "" || u.Opaque != "" {
		return nil, wrong
	}
	c := &clusterURL{tls: strings.EqualFold(u.Scheme, clusterSchemeTLS),
		username: u.User.Username()}
	c.password, _ = u.User.Password()
	for _, host := range append([]string{u.Host}, more...) {
		seed, err := seedOf(host)
		if err != nil {
			return nil, wrong
		}
		c.Seeds = append(c.Seeds, seed)
	}
	if path := strings.Trim(u.Path, "/"); path != "" {
		return nil, fmt.Errorf("the Redis URL %s has the path /%s: a Redis Cluster has no "+
			"database numbers, so leave it out; two programs share a cluster by different tags",
			shown, path)
	}
	query := u.Query()
	c.Tag = query.Get("tag")
	for key := range query {
		if key != "tag" {
			return nil, fmt.Errorf("the Redis URL %s has the setting %s, and only tag=NAME may "+
				"stand behind the ?", shown, key)
		}
	}
	return c, c.checkTag(shown)
}

func (c *clusterURL) checkTag(shown string) error {
	switch {
	case c.Tag == "":
		return fmt.Errorf("the Redis URL %s has no tag: all keys of Kyu must be in one slot of "+
			"the cluster, which the tag names: add /?tag=NAME (workerctl shards plan proposes one)",
			shown)
	case strings.ContainsAny(c.Tag, "{}"):
		return fmt.Errorf("the Redis URL %s: the tag %q: write it without braces, which Kyu adds",
			shown, c.Tag)
	case !tagOf.MatchString(c.Tag):
		return fmt.Errorf("the Redis URL %s: the tag %q: want 1 to 64 of A-Z a-z 0-9 _ . : -",
			shown, c.Tag)
	}
	return nil
}

// seedOf returns host:port of a host that may lack its port.
func seedOf(host string) (string, error) {
	u, err := url.Parse("redis://" + host)
	if err != nil || u.Host != host || u.Hostname() == "" {
		return "", errors.New("no host")
	}
	port := cmp.Or(u.Port(), "6379")
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 {
		return "", errors.New("no port")
	}
	return net.JoinHostPort(u.Hostname(), port), nil
}

// options are those of go-redis for the first seed, without the settings of a Config.
func (c *clusterURL) options() *redis.Options {
	o := &redis.Options{Addr: c.Seeds[0], Username: c.username, Password: c.password}
	if c.tls {
		// without a name: each node is asked for the name under which it is called
		o.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	return o
}

// cluster returns the slot of a cluster that c names, or nil if c names a single Redis. The error
// says which settings exclude each other.
func (c *Config) cluster() (*clusterURL, error) {
	if !inCluster(c.URL) {
		return nil, nil
	}
	u, err := parseClusterURL(c.URL)
	if err != nil {
		return nil, err
	}
	const in = "the Redis URL %s names one slot of a Redis Cluster, and "
	switch shown := env.MaskURL(c.URL); {
	case c.Addr != "":
		return nil, fmt.Errorf(in+"%s is set too: leave it out, and name the nodes in the URL",
			shown, c.Addr)
	case c.DB != 0:
		return nil, fmt.Errorf(in+"the database number %d is set too: leave it out, because a "+
			"cluster has none", shown, c.DB)
	case c.Namespace != "":
		return nil, fmt.Errorf(in+"the namespace %s is set too: leave it out (REDIS_NAMESPACE, "+
			"SIDEKIQ_REDIS_NAMESPACE), because the tag is the beginning of all keys", shown,
			c.Namespace)
	case len(c.Sentinels) > 0 || c.SentinelMaster != "":
		return nil, fmt.Errorf(in+"Sentinels are set too: leave them out (REDIS_SENTINELS, "+
			"REDIS_SENTINEL_MASTER), because the nodes of a cluster watch each other", shown)
	}
	return u, nil
}

// keyspace returns the beginning of all keys.
func (c *Config) keyspace() redisdb.Keyspace {
	if u, _ := c.cluster(); u != nil {
		return redisdb.NewKeyspace("{" + u.Tag + "}")
	}
	return redisdb.NewKeyspace(c.Namespace)
}

// InCluster reports whether c names one slot of a Redis Cluster. Such a Redis holds queues only:
// see RedisFromEnv.
func (c *Config) InCluster() bool { return inCluster(c.URL) }
