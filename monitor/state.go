package monitor

import (
	"context"
	"time"

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

// Collect is a method of prometheus.Collector. It reads Redis. If Redis does not answer, the
// fleet's metrics are missing, and kyu_redis_up is 0.
func (f *fleet) Collect(c chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout)
	defer cancel()
	queues, err := inspect.New(f.store).Queues(ctx)
	if err != nil {
		return
	}
	st, err := inspect.New(f.store).Stats(ctx)
	if err != nil {
		return
	}
	send := func(d *prometheus.Desc, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, q := range queues {
		send(length, float64(q.Size), q.Name)
		send(oldest, q.Latency, q.Name)
		send(paused, one(q.Paused), q.Name)
		send(parked, float64(q.Parked), q.Name)
	}
	send(sets, float64(st.Retries), "retry")
	send(sets, float64(st.Scheduled), "schedule")
	send(sets, float64(st.Dead), "dead")
	send(processes, float64(st.Processes))
}
