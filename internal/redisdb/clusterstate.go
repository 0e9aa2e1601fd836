package redisdb

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// ClusterState says how one slot of a cluster is served.
type ClusterState struct {
	Tag          string
	Slot         int
	Owner        string // the address of its master
	Replicas     int    // of that master
	FullCoverage string // cluster-require-full-coverage: yes, no or "" if it is not known
	NodeTimeout  int64  // milliseconds; 0: not known
	MinReplicas  int64  // min-replicas-to-write; -1: not known
}

// ClusterState asks how the slot is served. It is nil if the server is no cluster. The settings of
// the server are not known to a user without CONFIG, and each refusal is in the server's ACL LOG.
func (db *DB) ClusterState(ctx context.Context) (*ClusterState, error) {
	c := db.options.Cluster
	if c == nil {
		return nil, nil
	}
	reply, err := db.Shared.Do(ctx, "CLUSTER", "SLOTS").Slice()
	if err != nil {
		return nil, fmt.Errorf("cluster slots: %w", err)
	}
	list, err := readSlots(reply, "")
	if err != nil {
		return nil, err
	}
	s := &ClusterState{Tag: c.Tag, Slot: c.Slot(), MinReplicas: -1}
	for _, r := range list {
		if r.First <= s.Slot && s.Slot <= r.Last && len(r.Nodes) > 0 {
			s.Owner, s.Replicas = r.Nodes[0].Addr, len(r.Nodes)-1
		}
	}
	s.FullCoverage = db.setting(ctx, "cluster-require-full-coverage")
	s.NodeTimeout, _ = strconv.ParseInt(db.setting(ctx, "cluster-node-timeout"), 10, 64)
	if n, err := strconv.ParseInt(db.setting(ctx, "min-replicas-to-write"), 10, 64); err == nil {
		s.MinReplicas = n
	}
	return s, nil
}

func (db *DB) setting(ctx context.Context, name string) string {
	all, err := db.Shared.ConfigGet(ctx, name).Result()
	if err != nil {
		return ""
	}
	return all[name]
}

// ClusterSlots asks the seeds of a cluster who has which slots. o says how to log in.
func ClusterSlots(ctx context.Context, seeds []string, o *redis.Options) ([]SlotRange, error) {
	if o.Dialer == nil {
		o.Dialer = redis.NewDialer(o)
	}
	s := newSlot(Cluster{Seeds: seeds}, o, func(string) {})
	var last error
	for _, seed := range s.order() {
		list, err := s.ask(ctx, seed)
		if err == nil {
			return list, nil
		}
		last = explain(err, seed, o.TLSConfig != nil)
	}
	return nil, last
}
