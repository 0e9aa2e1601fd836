package queue

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/internal/redisdb"
)

// PlannedShard is a shard that does not exist yet: a tag, whose slot is on a master that has few
// shards.
type PlannedShard struct {
	Name   string `json:"name"`
	Tag    string `json:"tag"`
	Slot   int    `json:"slot"`
	Master string `json:"master"` // host:port
	URL    string `json:"url"`    // with *** for a password
}

// ClusterFromEnv returns the Config of a cluster whose tag is not chosen yet. raw is the URL of any
// node, or of the cluster; the certificates are those of the queues' Redis. It adds problems to r.
func ClusterFromEnv(r *env.Reader, raw string) Config {
	c := Config{}
	var err error
	if c.URL, err = withTag(raw, "any"); err != nil {
		r.Problem("%w", err)
		return c
	}
	c.setTLS(r, "SIDEKIQ_")
	if _, err := c.options(); err != nil {
		r.Problem("%w", err)
	}
	return c
}

// withTag returns the URL of one slot of the cluster that a URL names. A database number and
// another tag are left out.
func withTag(raw, tag string) (string, error) {
	first, more, ok := env.CutHosts(raw)
	u, err := url.Parse(first)
	if !ok || err != nil {
		return "", fmt.Errorf("the URL %s is not understood: want that of a node, such as "+
			"redis://host:6379", env.MaskURL(raw))
	}
	switch strings.ToLower(u.Scheme) {
	case "redis", clusterScheme:
		u.Scheme = clusterScheme
	case "rediss", clusterSchemeTLS:
		u.Scheme = clusterSchemeTLS
	default:
		return "", fmt.Errorf("the URL %s: want redis://, rediss://, redis+cluster:// or "+
			"rediss+cluster://", env.MaskURL(raw))
	}
	user := ""
	if u.User != nil {
		user = u.User.String() + "@"
	}
	return u.Scheme + "://" + user + strings.Join(append([]string{u.Host}, more...), ",") +
		"/?tag=" + url.QueryEscape(tag), nil
}

// PlanShards proposes the tags of n shards of the cluster, spread over its masters.
func PlanShards(ctx context.Context, c Config, n int) ([]PlannedShard, error) {
	u, err := c.cluster()
	if err != nil {
		return nil, err
	}
	o, err := c.redisOptions()
	if err != nil {
		return nil, err
	}
	ranges, err := redisdb.ClusterSlots(ctx, u.Seeds, o)
	if err != nil {
		return nil, err
	}
	list, err := planShards(ranges, n)
	for i := range list {
		p := &list[i]
		if p.URL, err = withTag(c.URL, p.Tag); err != nil {
			return nil, err
		}
		p.URL = env.MaskURL(p.URL)
	}
	return list, err
}

// mostTags is how many tags are tried. Each hits a given master with a probability of its share of
// the slots.
const mostTags = 10_000

// planShards chooses n tags: each time the first of kyu0, kyu1, … that is on one of the masters
// with the fewest shards.
func planShards(ranges []redisdb.SlotRange, n int) (list []PlannedShard, err error) {
	shards := map[string]int{} // by master
	for _, r := range ranges {
		if len(r.Nodes) > 0 {
			shards[r.Nodes[0].Addr] = 0
		}
	}
	if len(shards) == 0 {
		return nil, fmt.Errorf("no master of the cluster has slots: assign them (redis-cli " +
			"--cluster create, or --cluster fix)")
	}
	used := map[string]bool{}
	for len(list) < n {
		p, ok := nextShard(ranges, shards, used)
		if !ok {
			return nil, fmt.Errorf("none of %d tags is on the master with the fewest shards: give "+
				"each master more slots (redis-cli --cluster rebalance)", mostTags)
		}
		used[p.Tag] = true
		shards[p.Master]++
		p.Name = shardName(len(list))
		list = append(list, p)
	}
	return list, nil
}

func nextShard(ranges []redisdb.SlotRange, shards map[string]int,
	used map[string]bool) (p PlannedShard, ok bool) {
	fewest := slices.Min(slices.Collect(maps.Values(shards)))
	for i := range mostTags {
		tag := "kyu" + strconv.Itoa(i)
		if used[tag] {
			continue
		}
		slot := redisdb.SlotOf(tag)
		for _, r := range ranges {
			if r.First <= slot && slot <= r.Last && len(r.Nodes) > 0 &&
				shards[r.Nodes[0].Addr] == fewest {
				return PlannedShard{Tag: tag, Slot: slot, Master: r.Nodes[0].Addr}, true
			}
		}
	}
	return p, false
}

// shardName returns the names a to z, and after these s27, s28 and so on.
func shardName(i int) string {
	if i < 26 {
		return string(rune('a' + i))
	}
	return "s" + strconv.Itoa(i+1)
}

// URLVariable is the variable that has the URL of the shard.
func (p *PlannedShard) URLVariable() string { return shardVariables(p.Name) + "URL" }
