package queue

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/internal/redisdb"
)

// ShardConfig says where a shard is.
type ShardConfig struct {
	Name   string // of the operator's choice; "" if there is only one Redis
	Config Config
}

// Shard is a whole keyspace of queues, retries, leases and everything else, on a Redis of its own
// or in one slot of a Redis Cluster. A job stays in its shard until it is done, dead or discarded.
type Shard struct {
	Name  string
	Store *Store
}

// Shards are the shards of a program, in the order of KYU_SHARDS. Safe for concurrent use.
type Shards struct {
	list []Shard // does not change
}

// nameOfShard is what a shard may be called: the name is a part of the names of variables.
var nameOfShard = regexp.MustCompile(`^[a-z][a-z0-9]{0,31}(-[a-z0-9]+)*$`)

// maxShards is the most shards of a program. Each worker has connections to all of them.
const maxShards = 32

// ShardsFromEnv returns the shards of the environment's variables: KYU_SHARDS has their names, and
// KYU_SHARD_NAME_URL the URL of each, with the name in capitals and _ for -. Without KYU_SHARDS
// there is one shard, of ConfigFromEnv, without a name. It adds problems to r. It is for package
// cli; other programs use ShardsFromEnvironment.
func ShardsFromEnv(r *env.Reader) []ShardConfig {
	text, source := r.Get("KYU_SHARDS")
	if source == "" {
		return []ShardConfig{{Config: ConfigFromEnv(r)}}
	}
	names := strings.FieldsFunc(text, func(c rune) bool { return c == ' ' || c == ',' })
	r.Note("shards", strings.Join(names, " "), source)
	if len(names) == 0 || len(names) > maxShards {
		r.Problem("KYU_SHARDS=%q: want 1 to %d names, separated by spaces", text, maxShards)
	}
	var list []ShardConfig
	seen, places := map[string]bool{}, map[string]string{}
	for _, name := range names {
		if !nameOfShard.MatchString(name) || seen[name] {
			r.Problem("KYU_SHARDS: the name %q: want different names of a-z, 0-9 and -, "+
				"such as \"a b\"", name)
			continue
		}
		seen[name] = true
		s := ShardConfig{name, shardFromEnv(r, name)}
		for _, where := range s.Config.places() {
			if other, twice := places[where]; twice && other != name {
				r.Problem("the shards %s and %s are the same place, %s: give each a Redis, a "+
					"database number or a tag of its own", other, name, where)
				break
			}
			places[where] = name
		}
		list = append(list, s)
	}
	return list
}

// ShardsFromEnvironment returns the shards of the process's environment variables, by the rules of
// ShardsFromEnv. The error has all problems, one in each line, with the names of the variables.
func ShardsFromEnvironment() ([]ShardConfig, error) {
	r := new(env.Reader)
	list := ShardsFromEnv(r)
	return list, r.Err()
}

// shardVariables returns the beginning of the names of a shard's variables.
func shardVariables(name string) string {
	return "KYU_SHARD_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_")) + "_"
}

func shardFromEnv(r *env.Reader, name string) Config {
	variables := shardVariables(name)
	url, source := r.Get(variables + "URL")
	if source == "" {
		r.Problem("%sURL is not set: it must be the URL of the shard %s, such as "+
			"redis://host:6379/0", variables, name)
		return Config{}
	}
	r.Note("shard "+name, env.MaskURL(url), source)
	c := Config{URL: url}
	c.setTLS(r, variables)
	if _, err := c.options(); err != nil {
		r.Problem("%sURL: %w", variables, err)
	}
	c.setNamespace(r)
	c.WaitReplicas = r.Int("redis wait replicas", 0, 0, 100, "SIDEKIQ_REDIS_WAIT_REPLICAS",
		"REDIS_WAIT_REPLICAS")
	return c
}

// places names the keyspace of c: once for each seed of a cluster. Two shards must not share one.
// It is empty if c is wrong.
func (c *Config) places() (list []string) {
	o, err := c.options()
	if err != nil {
		return nil
	}
	if u, _ := c.cluster(); u != nil {
		for _, seed := range u.Seeds {
			list = append(list, fmt.Sprintf("%s with the tag %s", seed, u.Tag))
		}
		return list
	}
	return []string{fmt.Sprintf("%s/%d %s", o.Addr, o.DB, c.Namespace)}
}

// NewShards returns the shards of a program, which have not connected yet. The error names the
// settings that are wrong.
func NewShards(list []ShardConfig) (*Shards, error) {
	s := new(Shards)
	var problems []error
	for _, c := range list {
		store, err := NewStore(c.Config)
		if err != nil {
			problems = append(problems, c.explain(err))
			continue
		}
		s.list = append(s.list, Shard{c.Name, store})
	}
	if err := errors.Join(problems...); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// OneShard returns the Shards of a program with one Redis, whose Store is connected already. The
// shard has no name.
func OneShard(s *Store) *Shards { return &Shards{list: []Shard{{Store: s}}} }

func (c *ShardConfig) explain(err error) error { return Shard{Name: c.Name}.explain(err) }

// explain puts the name of the shard before an error, if it has a name.
func (s Shard) explain(err error) error {
	if s.Name == "" || err == nil {
		return err
	}
	return fmt.Errorf("shard %s: %w", s.Name, err)
}

// Connect connects all shards at once, each as Store.Connect does. One that cannot be reached, or
// still loads its data, is left for later if another one is connected: Away then names it. The
// error joins all others, such as a wrong password, and has all if no shard can be reached.
func (s *Shards) Connect(ctx context.Context) error {
	errs := make([]error, len(s.list))
	var g sync.WaitGroup // ends before Connect returns
	for i, shard := range s.list {
		if !shard.Store.Connected() {
			g.Go(func() { errs[i] = shard.explain(shard.Store.Connect(ctx)) })
		}
	}
	g.Wait()
	any := false
	for _, shard := range s.list {
		any = any || shard.Store.Connected()
	}
	var wrong []error
	for _, err := range errs {
		if err != nil && !(any && away(err)) {
			wrong = append(wrong, err)
		}
	}
	return errors.Join(wrong...)
}

// away reports whether an error of Store.Connect means that the Redis may come back without a
// change of the settings.
func away(err error) bool { return !redisdb.Settled(err) }

// Away lists the shards that are not connected.
func (s *Shards) Away() (names []string) {
	for _, shard := range s.list {
		if !shard.Store.Connected() {
			names = append(names, shard.Name)
		}
	}
	return names
}

// List returns all shards, in the order of KYU_SHARDS. The caller does not change it.
func (s *Shards) List() []Shard { return s.list }

// Get returns the shard with that name.
func (s *Shards) Get(name string) (Shard, bool) {
	for _, shard := range s.list {
		if shard.Name == name {
			return shard, true
		}
	}
	return Shard{}, false
}

// Close closes the connections of all shards.
func (s *Shards) Close() error {
	var errs []error
	for _, shard := range s.list {
		errs = append(errs, shard.Store.Close())
	}
	return errors.Join(errs...)
}
