package queue

import "strings"

// Sidekiq's keys (docs/wire.md 1) and our own, which start with "kyu:".
// docs/redis.md lists them all.
const (
	keyQueues    = "queues"
	keySchedule  = "schedule"
	keyRetry     = "retry"
	keyDead      = "dead"
	keyProcesses = "processes"
	keyPaused    = "paused"
	keyProcessed = "stat:processed"
	keyFailed    = "stat:failed"
	keyLeases    = "kyu:leases"
	keyHeld      = "kyu:held"
	keyMetrics7  = "kyu:metrics7"
)

// keyspace is what every key begins with: nothing, or the namespace of a fleet
// that uses the redis-namespace gem of Sidekiq 6, with its colon. Members and
// values carry no prefix (docs/wire.md 1).
type keyspace string

func newKeyspace(namespace string) keyspace {
	if namespace == "" {
		return ""
	}
	return keyspace(namespace + ":")
}

func (k keyspace) key(name string) string   { return string(k) + name }
func (k keyspace) queue(name string) string { return k.key("queue:" + name) }

// queuePrefixLen is the length of what comes before a queue's name in its key.
func (k keyspace) queuePrefixLen() int { return len(k) + len("queue:") }

// The tag in braces is the whole key of the public list, so that a queue and
// its private keys share a Redis Cluster slot.
func (k keyspace) inflight(queue, identity string) string {
	return k.key("kyu:{" + k.queue(queue) + "}:inflight:" + identity)
}

func (k keyspace) landing(queue, identity string) string {
	return k.key("kyu:{" + k.queue(queue) + "}:landing:" + identity)
}

func (k keyspace) owner(identity string) string   { return k.key("kyu:owner:" + identity) }
func (k keyspace) host(place string) string       { return k.key("kyu:host:" + place) }
func (k keyspace) pushed(jid string) string       { return k.key("kyu:pushed:" + jid) }
func (k keyspace) hold(class string) string       { return k.key("kyu:hold:" + class) }
func (k keyspace) signals(identity string) string { return k.key(identity + "-signals") }
func (k keyspace) iteration(jid string) string    { return k.key("it-" + jid) }

// ValidName reports whether s may name a queue or a class:
// [A-Za-z0-9_.:-]{1,128}. Anything else breaks a key, a page of the web UI or a
// metrics field.
func ValidName(s string) bool {
	if len(s) == 0 || len(s) > 128 {
		return false
	}
	for _, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case strings.IndexByte("_.:-", c) >= 0:
		default:
			return false
		}
	}
	return true
}
