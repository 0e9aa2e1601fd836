package monitor

import (
	"context"
	"sync"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/prometheus/client_golang/prometheus"
)

// process collects the state of the worker.
type process struct{ *Monitor }

// gauge describes a metric that is read when it is scraped.
func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

var (
	threads = gauge("kyu_threads", "Threads of this worker.")
	busy    = gauge("kyu_threads_busy", "Threads that run a job.")
	stuck   = gauge("kyu_threads_stuck",
		"Threads whose handler runs on after its context ended.")
	ready       = gauge("kyu_ready", "1 while this worker takes jobs.")
	redisUp     = gauge("kyu_redis_up", "0 while Redis does not serve this worker.")
	redisErrors = gauge("kyu_redis_errors_total", "Calls to Redis that failed.")
	redisDown   = gauge("kyu_redis_outage_seconds_total",
		"Time for which Redis did not serve this worker.")
	stale = gauge("kyu_stale_settles_total", "Jobs that had been reclaimed by another worker "+
		"when they were finished here.")
)

// Describe is a method of prometheus.Collector.
func (p *process) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{threads, busy, stuck, ready, redisUp, redisErrors,
		redisDown, stale} {
		c <- d
	}
}

// Collect is a method of prometheus.Collector. It reads the Runner's state, if there is one.
func (p *process) Collect(c chan<- prometheus.Metric) {
	r := p.runner.Load()
	if r == nil {
		return
	}
	s := r.Status()
	for d, v := range map[*prometheus.Desc]float64{threads: float64(s.Threads),
		busy: float64(s.Busy), stuck: float64(s.Stuck),
		ready: one(p.Monitor.ready() == nil), redisUp: one(s.LastErr == nil)} {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
	for d, v := range map[*prometheus.Desc]float64{redisErrors: float64(s.Errors),
		redisDown: s.Down.Seconds(), stale: float64(s.Stale)} {
		c <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v)
	}
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// fleet collects the queues, sets and processes, which all workers share. Each worker shows
// the same values under names with "fleet": the maximum over workers is right, not the sum.
type fleet struct{ *Monitor }

var (
	length = gauge("kyu_fleet_queue_length", "Jobs that wait in a queue. All workers show the "+
		"same: max, not sum.", "queue")
	oldest = gauge("kyu_fleet_queue_oldest_seconds",
		"Age of the job that is next to run. Max, not sum.", "queue")
	paused = gauge("kyu_fleet_queue_paused",
		"1 if the queue is paused. Max, not sum.", "queue")
	parked = gauge("kyu_fleet_queue_parked", "Jobs of the queue that are parked in lanes, which "+
		"its length has too. Max, not sum.", "queue")
	sets = gauge("kyu_fleet_set_jobs", "Jobs in the retry, schedule and dead sets. "+
		"Max, not sum.", "set")
	processes = gauge("kyu_fleet_processes", "Live processes, Ruby's too. Max, not sum.")
)

// scrapeTimeout is the longest time for which a scrape waits for Redis.
const scrapeTimeout = 2 * time.Second

// Describe is a method of prometheus.Collector.
func (f *fleet) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{length, oldest, paused, parked, sets, processes} {
		c <- d
	}
}

// Collect is a method of prometheus.Collector. It reads all shards. What a shard that does not
// answer holds is missing, and kyu_redis_up is 0.
func (f *fleet) Collect(c chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	read := make([]*figures, len(f.stores))
	var calls sync.WaitGroup // ends before Collect returns
	for i, store := range f.stores {
		calls.Go(func() { read[i] = readFigures(ctx, store) })
	}
	calls.Wait()
	sum := figures{queues: map[string]inspect.QueueInfo{}}
	any := false
	for _, one := range read {
		if one != nil {
			any = true
			sum.add(one)
		}
	}
	if any {
		sum.send(c)
	}
}

// figures are those of one shard, or of all.
type figures struct {
	queues map[string]inspect.QueueInfo
	stats  inspect.Stats
}

// readFigures returns nil if the shard does not answer.
func readFigures(ctx context.Context, store *queue.Store) *figures {
	if !store.Connected() {
		return nil
	}
	queues, err := inspect.New(store).Queues(ctx)
	if err != nil {
		return nil
	}
	f := &figures{queues: map[string]inspect.QueueInfo{}}
	for _, q := range queues {
		f.queues[q.Name] = q
	}
	if f.stats, err = inspect.New(store).Stats(ctx); err != nil {
		return nil
	}
	return f
}

// add adds the figures of a shard. Each shard has a record of each process.
func (f *figures) add(g *figures) {
	for name, q := range g.queues {
		sum := f.queues[name]
		sum.Size, sum.Parked = sum.Size+q.Size, sum.Parked+q.Parked
		sum.Latency, sum.Paused = max(sum.Latency, q.Latency), sum.Paused || q.Paused
		f.queues[name] = sum
	}
	f.stats.Retries += g.stats.Retries
	f.stats.Scheduled += g.stats.Scheduled
	f.stats.Dead += g.stats.Dead
	f.stats.Processes = max(f.stats.Processes, g.stats.Processes)
}

func (f *figures) send(c chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for name, q := range f.queues {
		send(length, float64(q.Size), name)
		send(oldest, q.Latency, name)
		send(paused, one(q.Paused), name)
		send(parked, float64(q.Parked), name)
	}
	send(sets, float64(f.stats.Retries), "retry")
	send(sets, float64(f.stats.Scheduled), "schedule")
	send(sets, float64(f.stats.Dead), "dead")
	send(processes, float64(f.stats.Processes))
}
