package inspect

import (
	"context"
	"fmt"
	"strconv"
	"time"
)

// Stats are the numbers of the whole fleet.
type Stats struct {
	Processed      int64   `json:"processed"` // runs since the beginning, with those that failed
	Failed         int64   `json:"failed"`
	Expired        int64   `json:"expired"`  // jobs that were too late to run; not in Processed
	Enqueued       int64   `json:"enqueued"` // jobs in all queues, with those in lanes
	Parked         int64   `json:"parked"`   // of Enqueued, those in lanes
	Scheduled      int64   `json:"scheduled"`
	Retries        int64   `json:"retries"`
	Dead           int64   `json:"dead"`
	Processes      int64   `json:"processes"`
	Busy           int     `json:"busy"`                    // running jobs
	DefaultLatency float64 `json:"default_latency_seconds"` // of the queue "default", in seconds
}

// Stats reads the numbers.
func (in *Inspector) Stats(ctx context.Context) (st Stats, err error) {
	if st, err = in.Totals(ctx); err != nil {
		return st, err
	}
	queues, err := in.Queues(ctx)
	if err != nil {
		return st, err
	}
	for _, q := range queues {
		st.Enqueued += q.Size
		st.Parked += q.Parked
		if q.Name == "default" {
			st.DefaultLatency = q.Latency
		}
	}
	live, err := in.Processes(ctx)
	for _, p := range live {
		st.Busy += p.Busy
	}
	return st, err
}

// Totals reads the numbers that Redis keeps ready. Enqueued, Parked, Busy and DefaultLatency are 0:
// they are sums over the queues and processes. It costs five commands.
func (in *Inspector) Totals(ctx context.Context) (st Stats, err error) {
	pipe := in.rdb.Pipeline()
	runs := pipe.MGet(ctx, in.ks.Processed(), in.ks.Failed(), in.ks.Expired())
	scheduled, retries, dead := pipe.ZCard(ctx, in.ks.Schedule()),
		pipe.ZCard(ctx, in.ks.Retry()), pipe.ZCard(ctx, in.ks.Dead())
	processes := pipe.SCard(ctx, in.ks.Processes())
	if _, err := pipe.Exec(ctx); err != nil {
		return st, fmt.Errorf("stats: %w", err)
	}
	return Stats{Processed: count(runs.Val()[0]), Failed: count(runs.Val()[1]),
		Expired: count(runs.Val()[2]), Scheduled: scheduled.Val(), Retries: retries.Val(),
		Dead: dead.Val(), Processes: processes.Val()}, nil
}

// count reads a number that MGET returned, or 0 for none.
func count(v any) int64 {
	text, _ := v.(string)
	n, _ := strconv.ParseInt(text, 10, 64)
	return n
}

// Day has the numbers of runs on a day, in UTC.
type Day struct {
	Date      string `json:"date"`      // 2026-11-22
	Processed int64  `json:"processed"` // with those that failed
	Failed    int64  `json:"failed"`
	Expired   int64  `json:"expired"` // not in Processed
}

// History returns the last days, today first. days is 1 to 1825: the numbers are kept for five
// years.
func (in *Inspector) History(ctx context.Context, days int) ([]Day, error) {
	if days < 1 || days > 5*365 {
		return nil, fmt.Errorf("history: %d days: want 1 to %d", days, 5*365)
	}
	list := make([]Day, days)
	keys := make([]string, 0, 3*days)
	for i := range list {
		list[i].Date = time.Now().UTC().AddDate(0, 0, -i).Format(time.DateOnly)
		keys = append(keys, in.ks.Processed()+":"+list[i].Date,
			in.ks.Failed()+":"+list[i].Date, in.ks.Expired()+":"+list[i].Date)
	}
	values, err := in.rdb.MGet(ctx, keys...).Result()
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	for i := range list {
		list[i].Processed, list[i].Failed = count(values[3*i]), count(values[3*i+1])
		list[i].Expired = count(values[3*i+2])
	}
	return list, nil
}
