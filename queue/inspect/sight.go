package inspect

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

// sight is what one look at Redis has found.
type sight struct {
	now       time.Time // by Redis's clock
	queues    []QueueInfo
	processes []Process // the live ones
	work      []Work
	owners    []owner
}

// owner is an owner of deliveries: a worker of Kyu that lives, or one whose jobs are not yet taken
// back. Ruby's processes are none.
type owner struct {
	queue.Lease
	queues   []string         // which it serves
	inflight map[string]int64 // its deliveries by queue
	landed   map[string]int64 // jobs that a doorbell has brought to it, by queue
}

// gone reports whether the lease is over. since is when it ended, or when another worker or the
// owner itself gave it up.
func (o *owner) gone() (since time.Time, over bool) {
	end, _ := strconv.ParseFloat(o.Score, 64) // negative if it was given up
	return time.UnixMilli(int64(math.Abs(end))), o.Ended || o.Fenced
}

// look reads the fleet in a few round trips, however large it is.
func (in *Inspector) look(ctx context.Context) (f sight, err error) {
	if f.now, err = in.rdb.Time(ctx).Result(); err != nil {
		return f, fmt.Errorf("time: %w", err)
	}
	if f.queues, err = in.Queues(ctx); err != nil {
		return f, err
	}
	if f.processes, err = in.Processes(ctx); err != nil {
		return f, err
	}
	if f.work, err = in.workOf(ctx, f.processes); err != nil {
		return f, err
	}
	f.owners, err = in.owners(ctx)
	return f, err
}

// owners returns all owners, with what they have.
func (in *Inspector) owners(ctx context.Context) ([]owner, error) {
	leases, err := in.store.Leases(ctx)
	if err != nil || len(leases) == 0 {
		return nil, err
	}
	pipe := in.rdb.Pipeline()
	records := make([]*redis.SliceCmd, len(leases))
	for i, l := range leases {
		records[i] = pipe.HMGet(ctx, in.ks.Owner(l.Identity), "queues")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("owners: %w", err)
	}
	list := make([]owner, len(leases))
	for i, l := range leases {
		list[i] = owner{Lease: l, inflight: map[string]int64{}, landed: map[string]int64{}}
		if names, _ := records[i].Val()[0].(string); names != "" {
			list[i].queues = strings.Split(names, "\n")
		}
	}
	return list, in.count(ctx, list)
}

// countPage is how many lengths one round trip reads.
const countPage = 1000

// count reads how many jobs owners have. A key of a wrong type holds none.
func (in *Inspector) count(ctx context.Context, list []owner) error {
	var reads []func(redis.Pipeliner) *redis.IntCmd
	var into []func(int64)
	for _, o := range list {
		for _, q := range o.queues {
			reads = append(reads, func(p redis.Pipeliner) *redis.IntCmd {
				return p.HLen(ctx, in.ks.Inflight(q, o.Identity))
			}, func(p redis.Pipeliner) *redis.IntCmd {
				return p.LLen(ctx, in.ks.Landing(q, o.Identity))
			})
			into = append(into, func(n int64) { o.inflight[q] = n },
				func(n int64) { o.landed[q] = n })
		}
	}
	for from := 0; from < len(reads); from += countPage {
		pipe := in.rdb.Pipeline()
		page := reads[from:min(from+countPage, len(reads))]
		replies := make([]*redis.IntCmd, len(page))
		for i, read := range page {
			replies[i] = read(pipe)
		}
		pipe.Exec(ctx) // the replies have the errors
		for i, reply := range replies {
			if err := reply.Err(); err != nil && !redisdb.IsWrongType(err) {
				return fmt.Errorf("in flight: %w", err)
			}
			into[from+i](reply.Val())
		}
	}
	return nil
}
