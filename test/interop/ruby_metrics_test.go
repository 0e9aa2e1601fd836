package interop

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/harness"
)

func testC15History(k *kase) {
	w := k.worker("-c", "1")
	for i := range 10 {
		class := "Test::NoOp"
		if i >= 7 {
			class = "Test::Fail"
		}
		k.Push(class, []any{"x"}, queue.Options{})
	}
	k.Until(10*time.Second, "all jobs have run",
		func() bool { return k.Waiting()+k.InFlight() == 0 && k.Card("retry") == 3 })
	w.Stop()
	var history [][]int
	k.ruby.Do(&history, `h = Sidekiq::Stats::History.new(1); [h.processed.values, h.failed.values]`)
	k.Equal("processed, failed", history, "[[10] [3]]")
	const years = 5 * 365 * 24 * time.Hour
	k.kept("stat:processed:"+time.Now().UTC().Format(time.DateOnly), years-1000*time.Second, years)
}

// layout says in which keys a version keeps metrics (docs/wire.md 11.2).
type layout struct {
	minute    func(t time.Time) string // the counts of a minute
	histogram func(t time.Time) string // of Test::Sleep
}

var layouts = map[int]layout{
	7: {func(t time.Time) string {
		return fmt.Sprintf("j|%s|%d:%d", t.Format("20060102"), t.Hour(), t.Minute())
	}, func(t time.Time) string {
		return fmt.Sprintf("Test::Sleep-%02d-%02d:%d", t.Day(), t.Hour(), t.Minute())
	}},
	8: {func(t time.Time) string {
		return fmt.Sprintf("j|%s|%d:%02d", t.Format("060102"), t.Hour(), t.Minute())
	}, func(t time.Time) string {
		return fmt.Sprintf("h|Test::Sleep-%d-%d:%d", t.Day(), t.Hour(), t.Minute())
	}},
}

func testC16Metrics(k *kase) {
	w := k.worker("-c", "1", "--sidekiq7-metrics")
	for range 5 {
		k.Push("Test::Sleep", []any{25}, queue.Options{})
	}
	k.Push("Test::Fail", []any{"x"}, queue.Options{})
	k.Push("Test::Fail", []any{"x"}, queue.Options{})
	k.Until(10*time.Second, "all jobs have run",
		func() bool { return k.Waiting()+k.InFlight() == 0 })
	stopped := time.Now().UTC()
	w.Stop()
	// The metrics are in one minute: that of the stop, or the one before or after it.
	minute, histogram := "", ""
	for _, t := range []time.Time{stopped.Add(-time.Minute), stopped, stopped.Add(time.Minute)} {
		if key := layouts[k.v].minute(t); k.Raw.Exists(k.Context(), key).Val() == 1 {
			minute, histogram = key, layouts[k.v].histogram(t)
		}
	}
	h := k.Raw.HGetAll(k.Context(), minute).Val()
	k.Equal("counts", []string{h["Test::Sleep|p"], h["Test::Sleep|f"], h["Test::Fail|p"],
		h["Test::Fail|f"], h["Test::Fail|ms"]}, "[5  2 2 ]")
	ms, err := strconv.Atoi(h["Test::Sleep|ms"])
	k.Must(err)
	harness.Between(k, "milliseconds", ms, 125, 5000)
	k.Equal("runs in the histogram", k.histogramSum(histogram), 5)
	k.kept(minute, 8*time.Hour-time.Minute, 8*time.Hour)
	k.kept(histogram, 8*time.Hour-time.Minute, 8*time.Hour)
	if k.v == 8 { // 8 also counts by ten minutes
		k.kept(minute[:len(minute)-1], 72*time.Hour-time.Minute, 72*time.Hour)
	}
	if k.real {
		var runs [][]int
		k.ruby.Do(&runs, `require "sidekiq/metrics/query"
			r = Sidekiq::Metrics::Query.new.top_jobs.job_results
			%w(Test::Sleep Test::Fail).map { |c| r[c].totals.values_at("p", "f").map(&:to_i) }`)
		k.Equal("runs and failures in Ruby", runs, "[[5 0] [2 2]]")
		k.ruby.Shows("/metrics", "Test::Sleep", "Test::Fail")
		k.ruby.Shows("/metrics/Test::Sleep", "Test::Sleep")
	}
}

// histogramSum is the number of runs in a histogram of 26 buckets.
func (k *kase) histogramSum(key string) (sum int64) {
	k.Helper()
	for i := range 26 {
		n, err := k.Raw.Do(k.Context(), "BITFIELD_RO", key, "GET", "u16",
			fmt.Sprintf("#%d", i)).Int64Slice()
		k.Must(err)
		sum += n[0]
	}
	return sum
}

func testC17Deploys(k *kase) {
	k.OK("marked: v1", "deploy", "v1")
	k.OK("already", "deploy", "v1")
	keys := k.Raw.Keys(k.Context(), "*-marks").Val()
	if len(keys) != 1 || !regexp.MustCompile(`^\d{8}-marks$`).MatchString(keys[0]) {
		k.Fatalf("marks %v", keys)
	}
	marks := k.Raw.HGetAll(k.Context(), keys[0]).Val()
	k.Equal("marks", len(marks), 1)
	for at, label := range marks {
		if !regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:00Z$`).MatchString(at) {
			k.Errorf("mark at %q", at)
		}
		k.Equal("label", label, "v1")
	}
	k.kept(keys[0], 89*24*time.Hour, 90*24*time.Hour)
	k.kept("deploylock-v1", time.Second, time.Minute)
	k.OK("v1", "deploys")
	if k.real {
		var labels []string
		k.ruby.Do(&labels, `require "sidekiq/deploy"; Sidekiq::Deploy.new.fetch.values`)
		k.Equal("labels in Ruby", labels, "[v1]")
	}
}
