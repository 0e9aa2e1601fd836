package queue

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/redis/go-redis/v9"
)

// histogramBounds are Sidekiq's buckets: bucket i counts the times strictly below
// bound i and not below the one before; the last has no bound (docs/wire.md 11.2).
var histogramBounds = [...]int64{
	20, 30, 45, 65, 100, 150, 225, 335, 500, 750, 1100, 1700, 2500, 3800, 5750, 8500,
	13000, 20000, 30000, 45000, 65000, 100000, 150000, 225000, 335000}

// ClassMetrics is what a process measured of one class since its last flush.
type ClassMetrics struct {
	Processed, Failed int64
	Millis            int64 // of the successful runs
	Histogram         [len(histogramBounds) + 1]int64
}

// Add counts one run.
func (m *ClassMetrics) Add(elapsed time.Duration, failed bool) {
	m.Processed++
	if failed {
		m.Failed++
		return
	}
	ms := elapsed.Milliseconds()
	m.Millis += ms
	for i, bound := range histogramBounds {
		if ms < bound {
			m.Histogram[i]++
			return
		}
	}
	m.Histogram[len(histogramBounds)]++
}

// Merge adds what another has counted.
func (m *ClassMetrics) Merge(o *ClassMetrics) {
	m.Processed += o.Processed
	m.Failed += o.Failed
	m.Millis += o.Millis
	for i, n := range o.Histogram {
		m.Histogram[i] += n
	}
}

const (
	minuteMetricsLife = 8 * time.Hour
	tenMinuteLife     = 72 * time.Hour
)

// The keys of a minute, in UTC: Sidekiq 8 pads the minute of its hash and
// nothing else, Sidekiq 7 the day and the hour of its histogram and nothing else
// (docs/wire.md 11.2).
func minuteKey8(t time.Time) string {
	return t.Format("j|060102|") + fmt.Sprintf("%d:%02d", t.Hour(), t.Minute())
}

func tenMinuteKey8(t time.Time) string {
	key := minuteKey8(t)
	return key[:len(key)-1]
}

func minuteKey7(t time.Time) string {
	return t.Format("j|20060102|") + fmt.Sprintf("%d:%d", t.Hour(), t.Minute())
}

func histogramKey8(class string, t time.Time) string {
	return fmt.Sprintf("h|%s-%d-%d:%d", class, t.Day(), t.Hour(), t.Minute())
}

func histogramKey7(class string, t time.Time) string {
	return fmt.Sprintf("%s-%02d-%02d:%d", class, t.Day(), t.Hour(), t.Minute())
}

// FlushMetrics adds metrics by class to the keys that Sidekiq 8's metrics page
// reads, and, with Metrics7, to those of Sidekiq 7's. After an error they may have
// been added or not. What a key of the wrong type refuses is given up: to add all again
// would count twice in the others.
func (s *Store) FlushMetrics(ctx context.Context, byClass map[string]*ClassMetrics,
	now time.Time) error {
	if len(byClass) == 0 {
		return nil
	}
	now = now.UTC()
	life := map[string]time.Duration{minuteKey8(now): minuteMetricsLife,
		tenMinuteKey8(now): tenMinuteLife}
	if s.metrics7 {
		life[minuteKey7(now)] = minuteMetricsLife
	}
	replies, err := s.db.Own.Pipelined(ctx, func(p redis.Pipeliner) error {
		for key, ttl := range life {
			key = s.ks.Key(key)
			for class, m := range byClass {
				m.addTo(ctx, p, key, class)
			}
			p.Expire(ctx, key, ttl)
		}
		for class, m := range byClass {
			s.flushHistogram(ctx, p, histogramKey8(class, now), m)
			if s.metrics7 {
				s.flushHistogram(ctx, p, histogramKey7(class, now), m)
			}
		}
		if s.metrics7 {
			p.Set(ctx, s.ks.Metrics7(), 1, minuteMetricsLife)
		}
		return nil
	})
	if len(replies) == 0 && err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	for _, reply := range replies {
		err := reply.Err()
		if err == nil || redisdb.IsWrongType(err) || redis.HasErrorPrefix(err, "ERR hash value") {
			continue
		}
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

func (m *ClassMetrics) addTo(ctx context.Context, p redis.Pipeliner, key, class string) {
	p.HIncrBy(ctx, key, class+"|p", m.Processed)
	if m.Failed > 0 {
		p.HIncrBy(ctx, key, class+"|f", m.Failed)
	}
	if m.Processed > m.Failed {
		p.HIncrBy(ctx, key, class+"|ms", m.Millis)
	}
}

func (s *Store) flushHistogram(ctx context.Context, p redis.Pipeliner, key string,
	m *ClassMetrics) {
	args := []any{"OVERFLOW", "SAT"}
	for i, n := range m.Histogram {
		if n > 0 {
			args = append(args, "INCRBY", "u16", fmt.Sprintf("#%d", i), n)
		}
	}
	if s.db.NoBitfield || len(args) == 2 {
		return
	}
	p.BitField(ctx, s.ks.Key(key), args...)
	p.Expire(ctx, s.ks.Key(key), minuteMetricsLife)
}

// How far back Metrics and Histogram go.
const (
	MaxMetrics   = tenMinuteLife
	MaxHistogram = minuteMetricsLife
)

// Metrics sums what all processes, Ruby's too, measured by class in the time d before now, the
// class with the most run time first. Up to 8 hours it is read by the minute in both layouts, of
// Sidekiq 7 and 8. Up to MaxMetrics it is read by ten minutes, which only Sidekiq 8 and Kyu write.
func (s *Store) Metrics(ctx context.Context, d time.Duration,
	now time.Time) ([]ClassTotals, error) {
	if d <= 0 || d > MaxMetrics {
		return nil, fmt.Errorf("metrics: %v: want more than 0 and at most %v", d, MaxMetrics)
	}
	now = now.UTC()
	step, keys := time.Minute, []func(time.Time) string{minuteKey8, minuteKey7}
	if d > minuteMetricsLife {
		step, keys = 10*time.Minute, []func(time.Time) string{tenMinuteKey8}
	}
	pipe := s.db.Shared.Pipeline()
	twice := pipe.Exists(ctx, s.ks.Metrics7())
	var slots [][]*redis.MapStringStringCmd
	for t := now.Truncate(step); t.After(now.Add(-d - step)); t = t.Add(-step) {
		var slot []*redis.MapStringStringCmd
		for _, key := range keys {
			slot = append(slot, pipe.HGetAll(ctx, s.ks.Key(key(t))))
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

// bothLayouts is what one minute's figures in the two layouts amount to. A
// process of Sidekiq 7 or 8 writes in one of them, so they add up; but if workers
// of ours wrote the same in both, they count once.
func bothLayouts(a, b int64, twice bool) int64 {
	if twice {
		return max(a, b)
	}
	return a + b
}

// ClassTotals are the sums of one class.
type ClassTotals struct {
	Class     string `json:"class"`
	Processed int64  `json:"processed"` // failures included
	Failed    int64  `json:"failed"`
	Millis    int64  `json:"ms"` // of the successful runs
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

// HistogramBounds are the upper bounds of the buckets of a Histogram, in
// milliseconds; a run lies strictly below its bound. The last bucket has none.
func HistogramBounds() []int64 { return slices.Clone(histogramBounds[:]) }

// Histogram sums the run times of a class in the time d before now, at most 8
// hours, over all processes, in the buckets of HistogramBounds.
func (s *Store) Histogram(ctx context.Context, class string, d time.Duration,
	now time.Time) ([]int64, error) {
	if d <= 0 || d > MaxHistogram {
		return nil, fmt.Errorf("histogram: %v: want more than 0 and at most %v", d, MaxHistogram)
	}
	sum := make([]int64, len(histogramBounds)+1)
	if s.db.NoBitfield {
		return sum, nil
	}
	var buckets []any // BITFIELD_RO's GETs, as go-redis wants them: type, offset
	for i := range sum {
		buckets = append(buckets, "u16", fmt.Sprintf("#%d", i))
	}
	now = now.UTC()
	pipe := s.db.Shared.Pipeline()
	twice := pipe.Exists(ctx, s.ks.Metrics7())
	var minutes [][2]*redis.IntSliceCmd
	from := now.Add(-d - time.Minute)
	for t := now.Truncate(time.Minute); t.After(from); t = t.Add(-time.Minute) {
		minutes = append(minutes, [2]*redis.IntSliceCmd{
			pipe.BitFieldRO(ctx, s.ks.Key(histogramKey8(class, t)), buckets...),
			pipe.BitFieldRO(ctx, s.ks.Key(histogramKey7(class, t)), buckets...)})
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
