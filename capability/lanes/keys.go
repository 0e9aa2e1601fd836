package lanes

import (
	"github.com/kyujobs/kyu/internal/redisdb"
)

// keyQueues is the set of the queues that have a rule.
const keyQueues = "kyu:lanes"

// ruleKey is the hash of a queue's rule. It has the tag of the queue's list.
func ruleKey(queue string) string { return "kyu:{queue:" + queue + "}:lanes" }

// words are the keys that lua/common.lua describes.
func words(name, identity string) (keys, args []string) {
	rule := ruleKey(name)
	return []string{rule, rule + ":ready", rule + ":full", rule + ":wait", rule + ":past",
		rule + ":busy", rule + ":tat", rule + ":in:" + identity, rule + ":bell",
		"queue:" + name, rule + ":arrived"}, nil
}

// callKeys are the same keys with the namespace, and others behind them.
func callKeys(ks redisdb.Keyspace, name string, others ...string) (keys []string) {
	list, _ := words(name, "")
	for _, k := range append(list, others...) {
		keys = append(keys, ks.Key(k))
	}
	return keys
}

// leaseKey is the lease of the process that sifts a queue.
func leaseKey(queue string) string { return ruleKey(queue) + ":sift" }

// arrivedKey is the list to which a doorbell moves a job.
func arrivedKey(queue string) string { return ruleKey(queue) + ":arrived" }

// laneKey is the list of a lane's jobs.
func laneKey(queue, lane string) string { return ruleKey(queue) + ":lane:" + lane }

// bells are the keys of the two doorbells of a queue: the list to which the first moves a job, and
// the list that the second waits for.
func bells(queue string) (arrived, ready string) {
	return arrivedKey(queue), ruleKey(queue) + ":bell"
}

// waits are keys of which one exists while a job may run.
func waits(queue string) []string {
	return []string{arrivedKey(queue), ruleKey(queue) + ":ready"}
}
