package pages

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// batch is how many jobs a command writes.
const batch = 1000

// fill writes jobs like those of a Mastodon server into a Redis: deliveries to 1,000 hosts that
// have failed, and a queue of link previews.
func fill(ctx context.Context, raw *redis.Client, retries, queued int) error {
	now := time.Now().Unix()
	if err := raw.SAdd(ctx, "queues", "pull", "default").Err(); err != nil {
		return err
	}
	for n := 0; n < retries; n += batch {
		page := make([]redis.Z, 0, batch)
		for i := n; i < min(n+batch, retries); i++ {
			page = append(page, redis.Z{Score: float64(now + 600 + int64(i%86400)),
				Member: failed(i, now)})
		}
		if err := raw.ZAdd(ctx, "retry", page...).Err(); err != nil {
			return err
		}
	}
	for n := 0; n < queued; n += batch {
		page := make([]any, 0, batch)
		for i := n; i < min(n+batch, queued); i++ {
			page = append(page, waiting(i, now))
		}
		if err := raw.LPush(ctx, "queue:pull", page...).Err(); err != nil {
			return err
		}
	}
	return raw.ZAdd(ctx, "dead", redis.Z{Score: float64(now), Member: failed(retries, now)}).Err()
}

// jid is the JID of the nth job.
func jid(n int) string { return fmt.Sprintf("%024x", n) }

// failed is a delivery that has failed.
func failed(n int, now int64) string {
	return fmt.Sprintf(`{"class":"ActivityPub::DeliveryWorker","args":["{\"type\":\"Create\"}",%d,`+
		`"https://host%d.example/inbox"],"retry":16,"queue":"push","jid":"%s","created_at":%d.25,`+
		`"enqueued_at":%d.5,"error_message":"host%d.example returned code 503","error_class":`+
		`"Mastodon::UnexpectedResponseError","failed_at":%d.5,"retry_count":%d}`,
		n, n%1000, jid(n), now-7200, now-7199, n%1000, now-7000, n%10)
}

// waiting is a link preview that waits in a queue.
func waiting(n int, now int64) string {
	return fmt.Sprintf(`{"class":"LinkCrawlWorker","args":[%d],"retry":0,"queue":"pull",`+
		`"jid":"%s","created_at":%d.25,"enqueued_at":%d.25}`, n, jid(1<<40+n), now-3600, now-3600)
}
