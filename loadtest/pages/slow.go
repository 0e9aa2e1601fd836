package pages

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// watchSlow makes Redis note calls that take longer than a millisecond.
func watchSlow(ctx context.Context, raw *redis.Client) error {
	for _, command := range [][]any{{"CONFIG", "SET", "slowlog-log-slower-than", 1000},
		{"CONFIG", "SET", "slowlog-max-len", 100_000}, {"SLOWLOG", "RESET"}} {
		if err := raw.Do(ctx, command...).Err(); err != nil {
			return err
		}
	}
	return nil
}

// slowest is the longest call since watchSlow, in words.
func slowest(ctx context.Context, raw *redis.Client) (string, error) {
	calls, err := raw.SlowLogGet(ctx, -1).Result()
	longest := redis.SlowLog{}
	for _, call := range calls {
		if call.Duration > longest.Duration {
			longest = call
		}
	}
	if longest.Duration == 0 {
		return "at most 1 ms", err
	}
	name := fmt.Sprint(longest.Args[:min(len(longest.Args), 2)])
	return fmt.Sprintf("%.1f ms, %.80s", float64(longest.Duration)/float64(time.Millisecond),
		name), err
}
