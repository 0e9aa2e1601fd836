package queue

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/redis/go-redis/v9"
)

// histogramBounds are the upper bounds of Sidekiq's buckets, in milliseconds. Bucket i counts the
// times that are below bound i and not below bound i-1. The last bucket has no bound
// (docs/wire.md 11.2).
var histogramBounds = [...]int64{
	20, 30, 45, 65, 100, 150, 225, 335, 500, 750, 1100, 1700, 2500, 3800, 5750, 8500,
	13000, 20000, 30000, 45000, 65000, 100000, 150000, 225000, 335000}

// ClassMetrics are the runs of one class in a process since its last flush. It is for package
// worker.
type ClassMetrics struct {
	Processed, Failed int64 // runs; Processed includes those that failed
	Millis            int64 // of the successful runs together
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

// Merge adds the numbers of o.
func (m *ClassMetrics) Merge(o *ClassMetrics) {
	m.Processed += o.Processed
	m.Failed += o.Failed
	m.Millis += o.Millis
	for i, n := range o.Histogram {
		m.Histogram[i] += n
	}
}

const (
	// MetricsByMinute is how long the metrics of a minute are kept.
	MetricsByMinute = 8 * time.Hour
	// MetricsByTenMinutes is how long the metrics of ten minutes are kept.
	MetricsByTenMinutes = 72 * time.Hour
)

// FlushMetrics adds metrics by class to the keys that Sidekiq 8's metrics page reads and, with
// Config.Metrics7, to those of Sidekiq 7's page. After an error they may have been added or not. It
// is no error if a key of a wrong type refuses its part: the other keys have theirs, and a
// repetition would count it twice.
func (s *Store) FlushMetrics(ctx context.Context, byClass map[string]*ClassMetrics,
	now time.Time) error {
	if len(byClass) == 0 {
		return nil
	}
	now = now.UTC()
	life := map[string]time.Duration{s.ks.Minute8(now): MetricsByMinute,
		s.ks.TenMinutes8(now): MetricsByTenMinutes}
	if s.metrics7 {
		life[s.ks.Minute7(now)] = MetricsByMinute
	}
	replies, err := s.db.Own.Pipelined(ctx, func(p redis.Pipeliner) error {
		for key, ttl := range life {
			for class, m := range byClass {
				m.addTo(ctx, p, key, class)
			}
			p.Expire(ctx, key, ttl)
		}
		for class, m := range byClass {
			s.flushHistogram(ctx, p, s.ks.Histogram8(class, now), m)
			if s.metrics7 {
				s.flushHistogram(ctx, p, s.ks.Histogram7(class, now), m)
			}
		}
		if s.metrics7 {
			p.Set(ctx, s.ks.Metrics7(), 1, MetricsByMinute)
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
	p.Expire(ctx, s.ks.Key(key), MetricsByMinute)
}

// HistogramBounds returns the upper bounds of the buckets of a histogram, in milliseconds. A bucket
// counts the runs that took less than its bound. The last bucket has no bound.
func HistogramBounds() []int64 { return slices.Clone(histogramBounds[:]) }
