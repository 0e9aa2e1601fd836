package queue

import "strings"

// Sidekiq's keys (sidekiq-wire section 4) and our own, which start with "kyu:".
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
)

func queueKey(name string) string { return "queue:" + name }

// The tag in braces is the whole key of the public list, so that a queue and
// its private keys share a Redis Cluster slot.
func inflightKey(queue, identity string) string {
	return "kyu:{queue:" + queue + "}:inflight:" + identity
}

func landingKey(queue, identity string) string {
	return "kyu:{queue:" + queue + "}:landing:" + identity
}

func ownerKey(identity string) string   { return "kyu:owner:" + identity }
func recoveredKey(jid string) string    { return "kyu:recovered:" + jid }
func pushedKey(jid string) string       { return "kyu:pushed:" + jid }
func signalsKey(identity string) string { return identity + "-signals" }

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
