package redisdb

// The names of the sets that hold jobs outside queues (docs/wire.md 1), without the namespace.
const (
	KeySchedule = "schedule"
	KeyRetry    = "retry"
	KeyDead     = "dead"
)

// Keyspace is what every key begins with: nothing, or the namespace of a fleet that uses the
// redis-namespace gem of Sidekiq 6, with its colon. Members and values carry no prefix
// (docs/wire.md 1). Its methods name the keys.
type Keyspace string

// NewKeyspace is the keyspace of a namespace, which is given without the colon; "" is none.
func NewKeyspace(namespace string) Keyspace {
	if namespace == "" {
		return ""
	}
	return Keyspace(namespace + ":")
}

// Key is a key of a name without the namespace.
func (k Keyspace) Key(name string) string { return string(k) + name }

// Queue is the public list of a queue.
func (k Keyspace) Queue(name string) string { return k.Key("queue:" + name) }

// QueuePrefixLen is the length of what comes before a queue's name in its key.
func (k Keyspace) QueuePrefixLen() int { return len(k) + len("queue:") }

// Queues is the set of the queues' names.
func (k Keyspace) Queues() string { return k.Key("queues") }

// Schedule is the schedule set.
func (k Keyspace) Schedule() string { return k.Key(KeySchedule) }

// Retry is the retry set.
func (k Keyspace) Retry() string { return k.Key(KeyRetry) }

// Dead is the dead set.
func (k Keyspace) Dead() string { return k.Key(KeyDead) }

// Processes is the set of the identities of the processes that the web page shows.
func (k Keyspace) Processes() string { return k.Key("processes") }

// Paused is the set of the paused queues' names, as Sidekiq Pro keeps it.
func (k Keyspace) Paused() string { return k.Key("paused") }

// Processed counts the runs of jobs.
func (k Keyspace) Processed() string { return k.Key("stat:processed") }

// Failed counts the runs that have failed.
func (k Keyspace) Failed() string { return k.Key("stat:failed") }

// Leases is the sorted set of the owners' leases.
func (k Keyspace) Leases() string { return k.Key("kyu:leases") }

// Held is the set of the classes of which jobs are held.
func (k Keyspace) Held() string { return k.Key("kyu:held") }

// Metrics7 marks that metrics are also written in the form of Sidekiq 7.
func (k Keyspace) Metrics7() string { return k.Key("kyu:metrics7") }

// Inflight is the hash of an owner's deliveries of a queue. The tag in braces is the whole key of
// the public list: a queue and its private keys share a slot of Redis Cluster.
func (k Keyspace) Inflight(queue, identity string) string {
	return k.Key("kyu:{" + k.Queue(queue) + "}:inflight:" + identity)
}

// Landing is the list in which a doorbell of an owner drops a job of a queue.
func (k Keyspace) Landing(queue, identity string) string {
	return k.Key("kyu:{" + k.Queue(queue) + "}:landing:" + identity)
}

// Owner is the hash that describes an owner.
func (k Keyspace) Owner(identity string) string { return k.Key("kyu:owner:" + identity) }

// Host is the set of the owners of one machine.
func (k Keyspace) Host(place string) string { return k.Key("kyu:host:" + place) }

// Pushed marks an idempotent push.
func (k Keyspace) Pushed(jid string) string { return k.Key("kyu:pushed:" + jid) }

// Hold is the sorted set of the jobs of a class that are held.
func (k Keyspace) Hold(class string) string { return k.Key("kyu:hold:" + class) }

// Signals is the list of the signals that a process is to take.
func (k Keyspace) Signals(identity string) string { return k.Key(identity + "-signals") }

// Iteration is the hash of an iterable job's place.
func (k Keyspace) Iteration(jid string) string { return k.Key("it-" + jid) }
