package inspect

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

const (
	deployLock = time.Minute         // how long the same label marks no second deploy
	marksLife  = 90 * 24 * time.Hour // how long marks are kept
)

// Mark is a deploy on Sidekiq's metrics page.
type Mark struct {
	At    time.Time `json:"at"` // to the minute
	Label string    `json:"label"`
}

// MarkDeploy marks a deploy on the metrics page. made is false if the same label was marked less
// than a minute ago, so every machine of a fleet may mark the same deploy (docs/wire.md 11.3). The
// error is a *queue.InvalidError if the label is empty.
func (in *Inspector) MarkDeploy(ctx context.Context, label string,
	at time.Time) (made bool, err error) {
	if strings.TrimSpace(label) == "" {
		return false, &queue.InvalidError{Field: "label",
			Reason: "a deploy needs a label, such as a commit"}
	}
	at = at.UTC().Truncate(time.Minute)
	stamp := at.Format(time.RFC3339)
	made, err = in.rdb.SetNX(ctx, in.ks.Key("deploylock-"+label), stamp, deployLock).Result()
	if err != nil || !made {
		return false, wrapDeploy(err)
	}
	_, err = in.rdb.TxPipelined(ctx, func(p redis.Pipeliner) error {
		key := in.marksKey(at)
		p.HSetNX(ctx, key, stamp, label)
		p.Expire(ctx, key, marksLife)
		return nil
	})
	return err == nil, wrapDeploy(err)
}

// wrapDeploy says that an error is about deploys.
func wrapDeploy(err error) error {
	if err != nil {
		return fmt.Errorf("deploy: %w", err)
	}
	return nil
}

// marksKey returns the key of the marks of a day.
func (in *Inspector) marksKey(day time.Time) string {
	return in.ks.Key(day.UTC().Format("20060102") + "-marks")
}

// Marks returns the deploys of the last days, 1 to 90, the oldest first.
func (in *Inspector) Marks(ctx context.Context, days int, now time.Time) ([]Mark, error) {
	if days < 1 || days > 90 {
		return nil, fmt.Errorf("deploy: %d days: want 1 to 90", days)
	}
	var list []Mark
	for i := range days {
		h, err := in.rdb.HGetAll(ctx, in.marksKey(now.AddDate(0, 0, -i))).Result()
		if err != nil {
			return nil, wrapDeploy(err)
		}
		for stamp, label := range h {
			if at, err := time.Parse(time.RFC3339, stamp); err == nil {
				list = append(list, Mark{at, label})
			}
		}
	}
	slices.SortFunc(list, func(a, b Mark) int { return a.At.Compare(b.At) })
	return list, nil
}
