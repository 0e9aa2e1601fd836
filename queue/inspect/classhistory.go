package inspect

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

// ClassPoint is what the runs of a class in a slot of time were.
type ClassPoint struct {
	At        time.Time // the beginning of the slot
	Processed int64     // runs, with those that failed
	Failed    int64
	Millis    int64 // of the successful runs together
}

// ClassHistory returns the runs of a class in the time d before now, at most MaxHistory, the oldest
// first, and the length of their slots: a minute up to 8 hours and ten minutes up to 72 hours, from
// the metrics, which Ruby's processes write too; or else an hour, from what Kyu's workers wrote. A
// slot without runs has no point. The slot of the newest point may not have ended.
func (in *Inspector) ClassHistory(ctx context.Context, class string,
	d time.Duration) (points []ClassPoint, step time.Duration, err error) {
	switch {
	case d <= 0 || d > MaxHistory:
		return nil, 0, fmt.Errorf("history: %v: want more than 0 and at most %v", d, MaxHistory)
	case d <= MaxMetrics:
		return in.classMetrics(ctx, class, d, time.Now().UTC())
	}
	ring := redisdb.ClassRing
	n := int((d + ring.Step - 1) / ring.Step)
	_, found, err := in.readRings(ctx, ring, n, in.ks.ClassHistory(class))
	if err != nil {
		return nil, 0, err
	}
	for _, dot := range found[0].dots {
		v := dot.numbers
		points = append(points, ClassPoint{At: found[0].at(dot.slot), Processed: int64(v[0]),
			Failed: int64(v[1]), Millis: int64(v[2])<<32 | int64(v[3])})
	}
	return points, ring.Step, nil
}

// ClassesWithHistory returns the classes that have a history, by name.
func (in *Inspector) ClassesWithHistory(ctx context.Context) ([]string, error) {
	names, err := in.rdb.ZRange(ctx, in.ks.HistoryClasses(), 0, -1).Result()
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	slices.Sort(names)
	return names, nil
}

// classMetrics reads the runs of a class from the metrics.
func (in *Inspector) classMetrics(ctx context.Context, class string, d time.Duration,
	now time.Time) (points []ClassPoint, step time.Duration, err error) {
	step = time.Minute
	keys := []func(time.Time) string{in.ks.Minute8, in.ks.Minute7}
	if d > queue.MetricsByMinute {
		step, keys = 10*time.Minute, []func(time.Time) string{in.ks.TenMinutes8}
	}
	fields := []string{class + "|p", class + "|f", class + "|ms"}
	pipe := in.rdb.Pipeline()
	twice := pipe.Exists(ctx, in.ks.Metrics7())
	var slots [][]*redis.SliceCmd
	first := now.Add(-d).Truncate(step)
	for t := first; !t.After(now); t = t.Add(step) {
		var slot []*redis.SliceCmd
		for _, key := range keys {
			slot = append(slot, pipe.HMGet(ctx, key(t), fields...))
		}
		slots = append(slots, slot)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, 0, fmt.Errorf("history: %w", err)
	}
	for i, slot := range slots {
		var sum [3]int64
		for _, layout := range slot {
			for j, v := range layout.Val() {
				text, _ := v.(string)
				n, _ := strconv.ParseInt(text, 10, 64)
				sum[j] = bothLayouts(sum[j], n, twice.Val() == 1)
			}
		}
		if sum[0] > 0 {
			points = append(points, ClassPoint{At: first.Add(time.Duration(i) * step),
				Processed: sum[0], Failed: sum[1], Millis: sum[2]})
		}
	}
	return points, step, nil
}
