// Package monitor serves a worker's state over HTTP: /livez, /readyz, and /metrics for
// Prometheus.
//
// Set worker.Config.Observer to a Monitor, pass the Runner to Watch, and serve Handler or
// call Serve. Programs made with package cli do all of this with the flag --http.
package monitor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// aliveWithin is the time within which each loop of a live worker turns over. They turn
// over about every second; a Redis that does not answer delays them for a few seconds.
const aliveWithin = 30 * time.Second

// Monitor measures one worker. The methods may be called from many goroutines.
type Monitor struct {
	registry *prometheus.Registry
	stores   []*queue.Store
	runner   atomic.Pointer[worker.Runner] // written by Watch, read by requests and scrapes

	runs       *prometheus.CounterVec
	ran        *prometheus.HistogramVec
	waited     *prometheus.HistogramVec
	fetches    *prometheus.CounterVec
	fetchTime  prometheus.Histogram
	fetched    prometheus.Counter
	settleTime prometheus.Histogram
	batches    prometheus.Histogram
	reclaimed  prometheus.Counter
	poisoned   prometheus.Counter
}

// seconds are the histogram's bounds for run and wait times: a millisecond to an hour.
var seconds = []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10, 30, 60, 300, 900, 3600}

// trips are the histogram's bounds for round trips to Redis, in seconds.
var trips = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .05, .1, .5, 1, 3}

// New makes a Monitor. Each scrape reads the queues and sets from the stores, one for each shard,
// and adds them up.
func New(stores ...*queue.Store) *Monitor {
	job := []string{"queue", "class"}
	m := &Monitor{registry: prometheus.NewRegistry(), stores: stores,
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kyu_jobs_total",
			Help: "Jobs that were taken from a queue, by outcome."},
			append(job, "outcome")),
		ran: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "kyu_job_run_seconds",
			Help: "How long handlers ran.", Buckets: seconds}, job),
		waited: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "kyu_job_wait_seconds",
			Help:    "How long jobs waited in their queue before they were started.",
			Buckets: seconds}, job),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kyu_fetches_total",
			Help: "Round trips that asked for jobs, by result: jobs, empty or error."},
			[]string{"result"}),
		fetchTime: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "kyu_fetch_seconds",
			Help: "How long a fetch took.", Buckets: trips}),
		fetched: prometheus.NewCounter(prometheus.CounterOpts{Name: "kyu_fetched_jobs_total",
			Help: "Jobs that fetches returned, without those that a doorbell delivered."}),
		settleTime: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "kyu_settle_seconds",
			Help:    "How long it took to settle a batch of jobs.",
			Buckets: trips}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "kyu_settle_batch_jobs",
			Help:    "Jobs in a batch of settled jobs, without those that a fetch settled.",
			Buckets: []float64{1, 2, 5, 10, 20, 50, 100}}),
		reclaimed: prometheus.NewCounter(prometheus.CounterOpts{Name: "kyu_reclaimed_jobs_total",
			Help: "Jobs of dead workers that this worker put back into their queues."}),
		poisoned: prometheus.NewCounter(prometheus.CounterOpts{Name: "kyu_poisoned_jobs_total",
			Help: "Jobs of dead workers that this worker moved to the dead set, because " +
				"workers died again and again while they ran."}),
	}
	m.registry.MustRegister(m, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// own lists the collectors of the Monitor's metrics.
func (m *Monitor) own() []prometheus.Collector {
	return []prometheus.Collector{m.runs, m.ran, m.waited, m.fetches, m.fetchTime, m.fetched,
		m.settleTime, m.batches, m.reclaimed, m.poisoned, &process{m}, &fleet{m}}
}

// Describe is a method of prometheus.Collector. A program with its own registry can
// register the Monitor there instead of serving Handler.
func (m *Monitor) Describe(c chan<- *prometheus.Desc) {
	for _, one := range m.own() {
		one.Describe(c)
	}
}

// Collect is a method of prometheus.Collector. It reads the queues and sets from Redis.
func (m *Monitor) Collect(c chan<- prometheus.Metric) {
	for _, one := range m.own() {
		one.Collect(c)
	}
}

// Registry is the registry behind /metrics. Register further collectors there.
func (m *Monitor) Registry() prometheus.Registerer { return m.registry }

// Watch sets the Runner whose state is shown. Until then /livez answers 200 and /readyz 503.
func (m *Monitor) Watch(r *worker.Runner) { m.runner.Store(r) }

// Ran counts a job; see worker.Observer.
func (m *Monitor) Ran(r worker.JobRun) {
	m.runs.WithLabelValues(r.Queue, r.Class, string(r.Outcome)).Inc()
	m.waited.WithLabelValues(r.Queue, r.Class).Observe(r.Waited.Seconds())
	m.ran.WithLabelValues(r.Queue, r.Class).Observe(r.Ran.Seconds())
}

// Fetched counts a fetch; see worker.Observer.
func (m *Monitor) Fetched(took time.Duration, jobs int, err error) {
	result := "jobs"
	switch {
	case err != nil:
		result = "error"
	case jobs == 0:
		result = "empty"
	}
	m.fetches.WithLabelValues(result).Inc()
	if took > 0 {
		m.fetchTime.Observe(took.Seconds())
	}
	m.fetched.Add(float64(jobs))
}

// Settled counts a batch of settled jobs; see worker.Observer. A batch that failed is sent
// again, so its jobs are not counted yet.
func (m *Monitor) Settled(took time.Duration, jobs int, err error) {
	m.settleTime.Observe(took.Seconds())
	if err == nil {
		m.batches.Observe(float64(jobs))
	}
}

// Reclaimed counts the jobs of dead workers; see worker.Observer.
func (m *Monitor) Reclaimed(requeued, poisoned int) {
	m.reclaimed.Add(float64(requeued))
	m.poisoned.Add(float64(poisoned))
}

// Handler serves /livez, /readyz and /metrics. The first two answer 200 with "ok", or 503
// with the reason.
func (m *Monitor) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, m.alive())
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, m.ready())
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry,
		promhttp.HandlerOpts{Timeout: 10 * time.Second}))
	return mux
}

// answer writes "ok" or, with status 503, the error.
func answer(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, err)
		return
	}
	fmt.Fprintln(w, "ok")
}

// alive returns an error if a loop has not turned over for too long. While Redis is away
// it returns nil, because a restart of the worker would not help.
func (m *Monitor) alive() error {
	r := m.runner.Load()
	if r == nil {
		return nil // the worker is starting
	}
	select {
	case <-r.Running():
	default:
		return nil
	}
	if ago := time.Since(r.Turned()); ago > aliveWithin {
		return fmt.Errorf("a loop has not turned over for %v", ago.Round(time.Second))
	}
	return nil
}

// ready returns an error, with the reason, while the worker takes no jobs.
func (m *Monitor) ready() error {
	r := m.runner.Load()
	if r == nil {
		return errors.New("starting")
	}
	s := r.Status()
	switch {
	case !s.Ready:
		return errors.New("starting: no heartbeat or no fetch has succeeded yet")
	case s.Quiet:
		return errors.New("quiet: takes no more jobs")
	case s.LastErr != nil:
		return fmt.Errorf("redis does not serve us: %w", s.LastErr)
	}
	return m.alive()
}

// Serve answers requests on l until ctx ends, then closes l and returns nil. It returns an
// error if l fails.
func (m *Monitor) Serve(ctx context.Context, l *Listener) error {
	s := &http.Server{Handler: m.Handler(), ReadHeaderTimeout: 5 * time.Second,
		WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	if err := s.Serve(l.Listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("http: %w", err)
	}
	return nil
}
