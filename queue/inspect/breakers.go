package inspect

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

// Breaker is what the workers know about a host that failed lately.
type Breaker struct {
	Host     string    `json:"host"`
	Failures int       `json:"failures"` // in a row
	State    string    `json:"state"`    // see the constants
	Until    time.Time `json:"until,omitzero"`
	Pause    float64   `json:"pause_seconds"` // for which it was last opened
	Days     int64     `json:"failed_days"`   // on which deliveries failed; 0 if not known
}

// The states of a breaker.
const (
	BreakerClosed  = "closed"  // too few failures: requests go
	BreakerOpen    = "open"    // nothing is sent before Until
	BreakerProbing = "probing" // one request tries the host
	BreakerDue     = "due"     // the next request tries the host
)

// mostBreakers is how many breakers Breakers reads.
const mostBreakers = 1000

// Breakers returns the hosts that failed in the last two hours, those that failed last first, 1,000
// at most, and how many there are. rdb is the Redis of package jobs.
func Breakers(ctx context.Context, rdb redis.Cmdable) (list []Breaker, all int64, err error) {
	now, err := rdb.Time(ctx).Result()
	if err != nil {
		return nil, 0, fmt.Errorf("breakers: %w", err)
	}
	ms := strconv.FormatInt(now.UnixMilli(), 10)
	all, err = rdb.ZCount(ctx, queue.KeyBreakers, ms, "+inf").Result()
	if redisdb.Moved(err) { // a cluster of queues, where package jobs keeps nothing
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("breakers: %w", err)
	}
	hosts, err := rdb.ZRevRangeByScore(ctx, queue.KeyBreakers,
		&redis.ZRangeBy{Min: ms, Max: "+inf", Count: mostBreakers}).Result()
	if err != nil || len(hosts) == 0 {
		return nil, all, err
	}
	pipe := rdb.Pipeline()
	rows, days := make([]*redis.SliceCmd, len(hosts)), make([]*redis.IntCmd, len(hosts))
	for i, host := range hosts {
		rows[i] = pipe.HMGet(ctx, queue.BreakerKey(host), "failures", "until", "cool", "probe")
		days[i] = pipe.SCard(ctx, queue.FailureDaysKey(host))
	}
	pipe.Exec(ctx) // the commands have the errors
	for i, row := range rows {
		if err := row.Err(); err != nil && !redisdb.Rejected(err) {
			return nil, 0, fmt.Errorf("breakers: %w", err)
		}
		if b, known := newBreaker(hosts[i], row.Val(), now); known {
			b.Days = days[i].Val() // 0 if the user may not read it
			list = append(list, b)
		}
	}
	return list, all, nil
}

// newBreaker reads the hash of a breaker. known is false if the host has answered meanwhile.
func newBreaker(host string, row []any, now time.Time) (b Breaker, known bool) {
	n := func(i int) int64 {
		if i >= len(row) {
			return 0
		}
		text, _ := row[i].(string)
		n, _ := strconv.ParseInt(text, 10, 64)
		return n
	}
	b = Breaker{Host: host, Failures: int(n(0)), State: BreakerClosed, Pause: float64(n(2)) / 1000}
	if n(1) == 0 {
		return b, b.Failures > 0
	}
	b.Until = time.UnixMilli(n(1))
	switch {
	case !b.Until.After(now):
		b.State = BreakerDue
	case n(3) > 0:
		b.State = BreakerProbing
	default:
		b.State = BreakerOpen
	}
	return b, true
}
