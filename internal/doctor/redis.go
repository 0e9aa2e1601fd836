package doctor

import (
	"context"
	"fmt"

	"github.com/kyujobs/kyu/internal/redisdb"
)

// Redis looks at the server that holds the queues.
func (e *Examination) Redis(ctx context.Context) {
	info, err := e.Store.DB().Info(ctx)
	if err != nil {
		e.bad(Warning, "redis", "allow +info to the user (docs/redis.md)",
			"its state cannot be read: %v", err)
		return
	}
	info.Snapshots = e.Store.DB().Snapshots(ctx)
	e.good("redis", "version %s at %s", info.Version, e.Store.Server().Addr)
	e.eviction(info)
	e.persistence(info)
	e.memory(info)
	e.cluster(ctx)
	if e.Cache != nil {
		e.cache(ctx, info.RunID)
	}
}

func (e *Examination) eviction(info redisdb.ServerInfo) {
	switch info.Policy {
	case "":
		e.bad(Warning, "redis", "check that maxmemory-policy is noeviction",
			"it does not say its eviction policy")
	case "noeviction":
		e.good("redis", "it does not evict")
	default:
		e.bad(Wrong, "redis", "CONFIG SET maxmemory-policy noeviction, and the same in "+
			"redis.conf; a cache that should be evicted belongs on a server of its own "+
			"(CACHE_REDIS_URL)",
			"it evicts (%s): when it is full, it deletes jobs without an error", info.Policy)
	}
}

func (e *Examination) persistence(info redisdb.ServerInfo) {
	switch {
	case info.AOF && info.AOFFailed:
		e.bad(Wrong, "redis", "look at its log and at the disk",
			"the last write of the append-only file failed")
	case info.AOF:
		e.good("redis", "it writes an append-only file: a crash costs at most a second of pushes")
	case info.Snapshots == "":
		e.bad(Wrong, "redis", "CONFIG SET appendonly yes, and the same in redis.conf",
			"it keeps nothing on disk: a restart of Redis loses all jobs")
	default:
		e.bad(Warning, "redis", "CONFIG SET appendonly yes, and the same in redis.conf",
			"it only makes snapshots (save %s): a crash loses the jobs since the last",
			info.Snapshots)
	}
}

func (e *Examination) memory(info redisdb.ServerInfo) {
	limit, of := info.MaxMemory, "maxmemory"
	if limit == 0 {
		limit, of = info.SystemMemory, "the machine's memory"
	}
	if limit == 0 {
		return
	}
	percent := info.UsedMemory * 100 / limit
	text := fmt.Sprintf("it uses %d MB, %d %% of %s", info.UsedMemory>>20, percent, of)
	switch {
	case percent >= 90:
		e.bad(Wrong, "redis", "give it more memory, or find the jobs that fill it: workerctl "+
			"queues, dead, retries", "%s: it will soon refuse pushes", text)
	case percent >= 70:
		e.bad(Warning, "redis", "give it more memory before it is full", "%s", text)
	default:
		e.good("redis", "%s", text)
	}
}

// cache compares the cache's server with that of the queues, whose run id is given.
func (e *Examination) cache(ctx context.Context, runID string) {
	other, err := e.Cache.Redis(1)
	if err != nil {
		e.bad(Wrong, "redis", "correct CACHE_REDIS_URL", "%v", err)
		return
	}
	defer other.Close()
	switch info, err := redisdb.Info(ctx, other); {
	case err != nil:
		e.bad(Warning, "redis", "check CACHE_REDIS_URL",
			"the cache's Redis does not answer: %v", err)
	case info.RunID == runID:
		e.bad(Warning, "redis", "give the cache a server of its own with maxmemory-policy "+
			"allkeys-lru, and set CACHE_REDIS_URL", "cache and queues share one server: neither "+
			"policy suits both")
	default:
		e.good("redis", "cache and queues are on servers of their own")
		e.cachePolicy(info)
	}
}

// cachePolicy looks whether the cache's server evicts: a full server that does not refuses writes.
func (e *Examination) cachePolicy(info redisdb.ServerInfo) {
	const evict = "CONFIG SET maxmemory-policy allkeys-lru there, and the same in redis.conf"
	switch {
	case info.MaxMemory == 0:
		e.bad(Warning, "redis", "set maxmemory there, and "+evict,
			"the cache's Redis has no limit of memory: it grows until the machine has none left")
	case info.Policy == "noeviction":
		e.bad(Warning, "redis", evict,
			"the cache's Redis does not evict: when it is full, it refuses writes")
	default:
		e.good("redis", "the cache's Redis evicts (%s)", info.Policy)
	}
}
