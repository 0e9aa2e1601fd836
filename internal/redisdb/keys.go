package redisdb

// The names of the sets that hold jobs outside queues (docs/wire.md 1), without the namespace.
const (
	KeySchedule = "schedule"
	KeyRetry    = "retry"
	KeyDead     = "dead"
)

// Keyspace is the prefix of every key: empty, or the namespace of a fleet that uses the
// redis-namespace gem of Sidekiq 6, with a colon. Members and values have no prefix
// (docs/wire.md 1). The methods return the names of keys.
type Keyspace string

// NewKeyspace returns the keyspace of a namespace, which has no colon; "" means no namespace.
func NewKeyspace(namespace string) Keyspace {
	if namespace == "" {
		return ""
	}
	return Keyspace(namespace + ":")
}

// Key is the key with that name in the keyspace.
func (k Keyspace) Key(name string) string { return string(k) + name }

// Queue is the list of a queue, which Sidekiq uses too.
func (k Keyspace) Queue(name string) string { return k.Key("queue:" + name) }

// QueuePrefixLen is the number of bytes before a queue's name in the key of its list.
func (k Keyspace) QueuePrefixLen() int { return len(k) + len("queue:") }

// Queues is the set of the queues' names.
func (k Keyspace) Queues() string { return k.Key("queues") }

// Schedule is the schedule set.
func (k Keyspace) Schedule() string { return k.Key(KeySchedule) }

// Retry is the retry set.
func (k Keyspace) Retry() string { return k.Key(KeyRetry) }

// Dead is the dead set.
func (k Keyspace) Dead() string { return k.Key(KeyDead) }

// Processes is the set of the identities of the processes that Sidekiq's web page shows.
func (k Keyspace) Processes() string { return k.Key("processes") }

// Paused is the set of the paused queues' names, as Sidekiq Pro keeps it.
func (k Keyspace) Paused() string { return k.Key("paused") }

// Processed is the counter of runs of jobs.
func (k Keyspace) Processed() string { return k.Key("stat:processed") }

// Failed is the counter of runs that failed.
func (k Keyspace) Failed() string { return k.Key("stat:failed") }

// Expired is the counter of jobs that were too late to run.
func (k Keyspace) Expired() string { return k.Key("kyu:stat:expired") }

// Leases is the sorted set of the owners' leases.
func (k Keyspace) Leases() string { return k.Key("kyu:leases") }

// ShardStates is the hash of the states of all shards: the same one in every shard.
func (k Keyspace) ShardStates() string { return k.Key("kyu:shards") }

// Moving is the hash of the jobs that are on their way to another shard.
func (k Keyspace) Moving() string { return k.Key("kyu:moving") }

// Moved is the marker of a page of jobs that came from another shard: a bit for each.
func (k Keyspace) Moved(page string) string { return k.Key("kyu:moved:" + page) }

// Held is the set of the classes that have held jobs.
func (k Keyspace) Held() string { return k.Key("kyu:held") }

// Metrics7 exists while metrics are also written in the form of Sidekiq 7.
func (k Keyspace) Metrics7() string { return k.Key("kyu:metrics7") }

// Inflight is the hash of an owner's deliveries of a queue. The tag in braces is the whole key of
// the queue's list, so a queue and its private keys share a slot of Redis Cluster.
func (k Keyspace) Inflight(queue, identity string) string {
	return k.Key("kyu:{" + k.Queue(queue) + "}:inflight:" + identity)
}

// Landing is the list to which the doorbell of an owner moves a job of a queue.
func (k Keyspace) Landing(queue, identity string) string {
	return k.Key("kyu:{" + k.Queue(queue) + "}:landing:" + identity)
}

// Owner is the record of an owner, a hash.
func (k Keyspace) Owner(identity string) string { return k.Key("kyu:owner:" + identity) }

// Runs has the last runs of a process, if somebody has asked for them.
func (k Keyspace) Runs(identity string) string { return k.Key("kyu:runs:" + identity) }

// Host is the set of the owners of a machine.
func (k Keyspace) Host(place string) string { return k.Key("kyu:host:" + place) }

// Pushed is the marker of an idempotent push.
func (k Keyspace) Pushed(jid string) string { return k.Key("kyu:pushed:" + jid) }

// Hold is the sorted set of the held jobs of a class.
func (k Keyspace) Hold(class string) string { return k.Key("kyu:hold:" + class) }

// Signals is the list of the signals for a process.
func (k Keyspace) Signals(identity string) string { return k.Key(identity + "-signals") }

// Iteration is the hash of an iterable job's position.
func (k Keyspace) Iteration(jid string) string { return k.Key("it-" + jid) }

// Operations is the sorted set of the ids of bulk operations, by the time when they began.
func (k Keyspace) Operations() string { return k.Key("kyu:ops") }

// Operation is the hash of a bulk operation.
func (k Keyspace) Operation(id string) string { return k.Key("kyu:op:" + id) }

// Trash holds the jobs that an operation deleted: a sorted set or a list, as their place was.
func (k Keyspace) Trash(id string) string { return k.Key("kyu:trash:" + id) }

// Sifts is the hash of the queues through which an operation goes: queue → id of the operation.
func (k Keyspace) Sifts() string { return k.Key("kyu:sifts") }

// Sifted is the list of the jobs of a queue that an operation has passed, and that stay.
func (k Keyspace) Sifted(queue string) string {
	return k.Key("kyu:{" + k.Queue(queue) + "}:sifted")
}

// Staged is the list of the jobs of a queue that an operation has chosen for another queue.
func (k Keyspace) Staged(queue string) string {
	return k.Key("kyu:{" + k.Queue(queue) + "}:staged")
}
