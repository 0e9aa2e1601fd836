package cron

import "github.com/kyujobs/kyu/queue"

// Home returns the shard that holds the state of a schedule, and gets its jobs: Config.Store is its
// Store. It follows from the name of the schedule and the names of the shards, so all processes
// with the same shards choose the same one, also while it is draining or away. While it is away,
// slots are missed (Misfire says what then happens), and no other shard pushes them.
func Home(s *queue.Shards, schedule Schedule) queue.Shard {
	return s.Home(ownerKey(schedule.name()))
}
