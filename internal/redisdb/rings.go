package redisdb

import "time"

// Ring is a series of points in Redis, one for each slot of time, in a string of a fixed size. The
// point of a slot takes the place of the point that is a lap older.
type Ring struct {
	Name  string        // the last part of the key of a queue's ring
	Step  time.Duration // the length of a slot
	Slots int           // how many points there are
}

// PointBytes is the length of a point. It begins with the number of its slot: the time since 1970,
// divided by Step.
const PointBytes = 20

// QueueRings are the rings of every queue, the finest first. The last one is also the ring of a
// class.
var QueueRings = [...]Ring{
	{"10s", 10 * time.Second, 6 * 60 * 6},
	{"1m", time.Minute, 7 * 24 * 60},
	{"1h", time.Hour, 400 * 24},
}

// ClassRing is the ring of every class.
var ClassRing = QueueRings[len(QueueRings)-1]

// Span is the time of all slots together. A ring expires when nothing was written for so long.
func (r Ring) Span() time.Duration { return time.Duration(r.Slots) * r.Step }

// QueueHistory is a ring of a queue.
func (k Keyspace) QueueHistory(queue string, r Ring) string {
	return k.Key("kyu:{" + k.Queue(queue) + "}:history:" + r.Name)
}

// ClassHistory is the ring of a class.
func (k Keyspace) ClassHistory(class string) string { return k.Key("kyu:history:class:" + class) }

// HistoryClasses is the sorted set of the classes that have a ring, by the time when it was last
// written, in seconds since 1970.
func (k Keyspace) HistoryClasses() string { return k.Key("kyu:history:classes") }
