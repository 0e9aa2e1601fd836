package redistest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/redis/go-redis/v9"
)

// Places lists where the jobs are, such as "queue:a=2 inflight=1 retry=1".
func Places(ctx context.Context, raw *redis.Client) string {
	var out []string
	keys := raw.Keys(ctx, "*").Val()
	slices.Sort(keys)
	inflight := int64(0)
	for _, key := range keys {
		switch {
		case strings.HasPrefix(key, "queue:"):
			out = append(out, fmt.Sprintf("%s=%d", key, raw.LLen(ctx, key).Val()))
		case strings.Contains(key, ":inflight:"):
			inflight += raw.HLen(ctx, key).Val()
		case strings.Contains(key, ":landing:"):
			inflight += raw.LLen(ctx, key).Val()
		case key == "retry", key == "schedule", key == "dead", strings.HasPrefix(key, "kyu:hold:"):
			out = append(out, fmt.Sprintf("%s=%d", key, raw.ZCard(ctx, key).Val()))
		}
	}
	if inflight > 0 {
		out = append(out, fmt.Sprintf("inflight=%d", inflight))
	}
	return strings.Join(out, " ")
}
