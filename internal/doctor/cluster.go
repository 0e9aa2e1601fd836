package doctor

import (
	"context"
	"fmt"

	"github.com/kyujobs/kyu/internal/redisdb"
)

// The node timeouts, in milliseconds, between which doctor is content.
const (
	shortNodeTimeout = 1000
	longNodeTimeout  = 15_000 // Redis's default
)

// cluster looks at the slot that holds the queues, if they are in a cluster.
func (e *Examination) cluster(ctx context.Context) {
	s, err := e.Store.DB().ClusterState(ctx)
	switch {
	case err != nil:
		e.bad(Warning, "redis", "allow +cluster|slots to the user (docs/redis.md)",
			"it does not say who has the slot: %v", err)
	case s != nil:
		e.slot(s)
		e.failover(s)
		e.replication(s, e.Store.WaitReplicas())
	}
}

// slot looks at the master of the slot, and its replicas.
func (e *Examination) slot(s *redisdb.ClusterState) {
	text := fmt.Sprintf("the tag %s is slot %d of the cluster, which %s has", s.Tag, s.Slot,
		s.Owner)
	if s.Replicas == 0 {
		e.bad(Wrong, "redis", "redis-cli --cluster add-node NEW:PORT "+s.Owner+" --cluster-slave",
			"%s, without a replica: when it dies, all jobs wait for its return", text)
		return
	}
	e.good("redis", "%s, with %d replicas", text, s.Replicas)
}

// failover looks at the settings that decide how a cluster goes on when a master dies.
func (e *Examination) failover(s *redisdb.ClusterState) {
	const check = "allow +config|get to doctor's user, or ask on the server: CONFIG GET cluster-*"
	switch s.FullCoverage {
	case "":
		e.bad(Warning, "redis", check, "it does not say its settings of the cluster")
		return
	case "yes":
		e.bad(Warning, "redis", "CONFIG SET cluster-require-full-coverage no on all nodes, and "+
			"the same in redis.conf", "cluster-require-full-coverage is yes: when another master "+
			"dies without a replica, the queues stop too")
	default:
		e.good("redis", "the queues go on when other slots are not served")
	}
	switch ms := s.NodeTimeout; {
	case ms == 0:
	case ms < shortNodeTimeout:
		e.bad(Warning, "redis", "CONFIG SET cluster-node-timeout 5000 on all nodes",
			"cluster-node-timeout is %d ms: a long script or a move of a long list already "+
				"causes a failover", ms)
	case ms > longNodeTimeout:
		e.bad(Warning, "redis", "CONFIG SET cluster-node-timeout 5000 on all nodes",
			"cluster-node-timeout is %d ms: when the master dies, no job runs for longer than "+
				"that", ms)
	default:
		e.good("redis", "when the master dies, no job runs for about %d s", ms/1000+2)
	}
}

// replication looks whether pushes can be lost by a failover. wait is REDIS_WAIT_REPLICAS.
func (e *Examination) replication(s *redisdb.ClusterState, wait int) {
	switch {
	case wait > s.Replicas:
		e.bad(Wrong, "redis", fmt.Sprintf("REDIS_WAIT_REPLICAS=%d, or more replicas", s.Replicas),
			"pushes wait for %d replicas, and the master has %d: no push is confirmed", wait,
			s.Replicas)
	case wait > 0:
		e.good("redis", "a push is confirmed when %d replicas have it", wait)
	default:
		e.bad(Warning, "redis", "REDIS_WAIT_REPLICAS=1 for the processes that push",
			"a push is confirmed before a replica has it: a failover may lose the last pushes")
	}
	if s.MinReplicas == 0 && wait == 0 {
		e.bad(Warning, "redis", "CONFIG SET min-replicas-to-write 1 on all nodes",
			"min-replicas-to-write is 0: a master that is cut off from its replicas confirms "+
				"pushes that are lost afterwards")
	}
}
