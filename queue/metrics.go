package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// histogramBounds are Sidekiq's buckets: bucket i counts the times strictly below
// bound i and not below the one before; the last has no bound (sidekiq-wire 11.2).
var histogramBounds = [...]int64{20, 30, 45, 65, 100, 150, 225, 335, 500, 750, 1100, 1700, 2500, 3800, 5750, 8500,
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

// FlushMetrics adds metrics by class to the keys that Sidekiq 8's metrics page
// reads. After an error they may have been added or not.
func (s *Store) FlushMetrics(ctx context.Context, byClass map[string]*ClassMetrics, now time.Time) error {
	if len(byClass) == 0 {
		return nil
	}
	now = now.UTC()
	minute := now.Format("j|060102|") + fmt.Sprintf("%d:%02d", now.Hour(), now.Minute())
	_, err := s.rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		for class, m := range byClass {
			for _, key := range []string{minute, minute[:len(minute)-1]} { // and its ten minutes
				p.HIncrBy(ctx, key, class+"|p", m.Processed)
				if m.Failed > 0 {
					p.HIncrBy(ctx, key, class+"|f", m.Failed)
				}
				if m.Millis > 0 || m.Processed > m.Failed {
					p.HIncrBy(ctx, key, class+"|ms", m.Millis)
				}
			}
			s.flushHistogram(ctx, p, class, m, now)
		}
		p.Expire(ctx, minute, minuteMetricsLife)
		p.Expire(ctx, minute[:len(minute)-1], tenMinuteLife)
		return nil
	})
	if err != nil {
		return fmt.Errorf("metrics: %w", err)
	}
	return nil
}

func (s *Store) flushHistogram(ctx context.Context, p redis.Pipeliner, class string, m *ClassMetrics, now time.Time) {
	args := []any{"OVERFLOW", "SAT"}
	for i, n := range m.Histogram {
		if n > 0 {
			args = append(args, "INCRBY", "u16", fmt.Sprintf("#%d", i), n)
		}
	}
	if s.noBitfield || len(args) == 2 {
		return
	}
	key := fmt.Sprintf("h|%s-%d-%d:%d", class, now.Day(), now.Hour(), now.Minute())
	p.BitField(ctx, key, args...)
	p.Expire(ctx, key, minuteMetricsLife)
}
