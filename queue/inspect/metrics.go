package inspect

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

const (
	// MaxMetrics is how far back Metrics goes.
	MaxMetrics = queue.MetricsByTenMinutes
	// MaxHistogram is how far back Histogram goes.
	MaxHistogram = queue.MetricsByMinute
)

// Metrics returns the sums, by class, of the metrics of all processes, Ruby's too, in the time d
// before now, at most MaxMetrics. The class with the most run time is first. Up to 8 hours, it
// reads the keys of minutes, of Sidekiq 7 and of Sidekiq 8. For a longer time it reads the keys of
// ten minutes, which only Sidekiq 8 and Kyu write.
func (in *Inspector) Metrics(ctx context.Context, d time.Duration,
	now time.Time) ([]ClassTotals, error) {
	if d <= 0 || d > MaxMetrics {
		return nil, fmt.Errorf("metrics: %v: want more than 0 and at most %v", d, MaxMetrics)
	}
	now = now.UTC()
	step, keys := time.Minute, []func(time.Time) string{in.ks.Minute8, in.ks.Minute7}
	if d > queue.MetricsByMinute {
		step, keys = 10*time.Minute, []func(time.Time) string{in.ks.TenMinutes8}
	}
	pipe := in.rdb.Pipeline()
	twice := pipe.Exists(ctx, in.ks.Metrics7())
	var slots [][]*redis.MapStringStringCmd
	for t := now.Truncate(step); t.After(now.Add(-d - step)); t = t.Add(-step) {
		var slot []*redis.MapStringStringCmd
		for _, key := range keys {
			slot = append(slot, pipe.HGetAll(ctx, key(t)))
		}
		slots = append(slots, slot)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	totals := map[string]*ClassTotals{}
	for _, slot := range slots {
		fields := map[string]int64{}
		for _, layout := range slot {
			for field, text := range layout.Val() {
				n, _ := strconv.ParseInt(text, 10, 64)
				fields[field] = bothLayouts(fields[field], n, twice.Val() == 1)
			}
		}
		for field, n := range fields {
			addTotal(totals, field, n)
		}
	}
	list := make([]ClassTotals, 0, len(totals))
	for _, t := range totals {
		list = append(list, *t)
	}
	slices.SortFunc(list, func(a, b ClassTotals) int {
		return cmp.Or(cmp.Compare(b.Millis, a.Millis), cmp.Compare(a.Class, b.Class))
	})
	return list, nil
}

// bothLayouts returns the number of a minute from those in the layouts of Sidekiq 7 and 8. A
// process of Sidekiq writes in one of the layouts, so it is their sum. If twice is true, workers of
// Kyu have written the same numbers in both layouts, which count once.
func bothLayouts(a, b int64, twice bool) int64 {
	if twice {
		return max(a, b)
	}
	return a + b
}

// ClassTotals are the sums of a class.
type ClassTotals struct {
	Class     string `json:"class"`
	Processed int64  `json:"processed"` // runs, with those that failed
	Failed    int64  `json:"failed"`
	Millis    int64  `json:"ms"` // of the successful runs together
}

// addTotal adds a field such as "OkJob|p".
func addTotal(totals map[string]*ClassTotals, field string, n int64) {
	i := strings.LastIndexByte(field, '|')
	if i < 0 {
		return
	}
	class := field[:i]
	t := totals[class]
	if t == nil {
		t = &ClassTotals{Class: class}
		totals[class] = t
	}
	switch field[i+1:] {
	case "p":
		t.Processed += n
	case "f":
		t.Failed += n
	case "ms":
		t.Millis += n
	}
}

// Histogram returns how many runs of a class there were in the time d before now, at most
// MaxHistogram, in all processes, by run time. The buckets are those of queue.HistogramBounds. All
// are 0 if the server has no BITFIELD.
func (in *Inspector) Histogram(ctx context.Context, class string, d time.Duration,
	now time.Time) ([]int64, error) {
	if d <= 0 || d > MaxHistogram {
		return nil, fmt.Errorf("histogram: %v: want more than 0 and at most %v", d, MaxHistogram)
	}
	sum := make([]int64, len(queue.HistogramBounds())+1)
	if in.db.NoBitfield {
		return sum, nil
	}
	var buckets []any // BITFIELD_RO's GETs, as go-redis wants them: type, offset
	for i := range sum {
		buckets = append(buckets, "u16", fmt.Sprintf("#%d", i))
	}
	now = now.UTC()
	pipe := in.rdb.Pipeline()
	twice := pipe.Exists(ctx, in.ks.Metrics7())
	var minutes [][2]*redis.IntSliceCmd
	from := now.Add(-d - time.Minute)
	for t := now.Truncate(time.Minute); t.After(from); t = t.Add(-time.Minute) {
		minutes = append(minutes, [2]*redis.IntSliceCmd{
			pipe.BitFieldRO(ctx, in.ks.Histogram8(class, t), buckets...),
			pipe.BitFieldRO(ctx, in.ks.Histogram7(class, t), buckets...)})
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("histogram: %w", err)
	}
	for _, m := range minutes {
		a, b := m[0].Val(), m[1].Val()
		for i := range sum {
			sum[i] += bothLayouts(a[i], b[i], twice.Val() == 1)
		}
	}
	return sum, nil
}
