// Package monitor shows over HTTP how a worker is: /livez, /readyz, and /metrics
// for Prometheus.
//
// Give a Monitor to worker.Config.Observer, tell it the Runner with Watch, and
// serve its Handler. Programs around package cli have all that behind --http.
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

// aliveWithin is how long ago the laziest of a live worker's loops has turned
// over. They turn every second or so; a Redis that hangs holds them for a few.
const aliveWithin = 30 * time.Second

// Monitor measures one worker. Safe for concurrent use.
type Monitor struct {
	registry *prometheus.Registry
	store    *queue.Store
	runner   atomic.Pointer[worker.Runner]

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

// seconds are the bounds of run and wait times: from a millisecond to an hour.
var seconds = []float64{.001, .005, .01, .05, .1, .5, 1, 5, 10, 30, 60, 300, 900, 3600}

// trips are the bounds of round trips to Redis.
var trips = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .05, .1, .5, 1, 3}

// New makes a Monitor. The queues of store are read when somebody scrapes.
func New(store *queue.Store) *Monitor {
	job := []string{"queue", "class"}
	m := &Monitor{registry: prometheus.NewRegistry(), store: store,
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kyu_jobs_total",
			Help: "Jobs that were taken from a queue, by what became of them."},
			append(job, "outcome")),
		ran: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "kyu_job_run_seconds",
			Help: "How long handlers ran.", Buckets: seconds}, job),
		waited: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "kyu_job_wait_seconds",
			Help:    "How long jobs lay in their queue before they were started.",
			Buckets: seconds}, job),
		fetches: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kyu_fetches_total",
			Help: "Round trips that asked for jobs: some brought jobs, others none, " +
				"others failed."}, []string{"result"}),
		fetchTime: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "kyu_fetch_seconds",
			Help: "How long a fetch took.", Buckets: trips}),
		fetched: prometheus.NewCounter(prometheus.CounterOpts{Name: "kyu_fetched_jobs_total",
			Help: "Jobs that fetches brought; those that came through a doorbell are not " +
				"among them."}),
		settleTime: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "kyu_settle_seconds",
			Help:    "How long it took to take a batch of finished jobs out of flight.",
			Buckets: trips}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "kyu_settle_batch_jobs",
			Help:    "Jobs in such a batch; under load a fetch takes them along instead.",
			Buckets: []float64{1, 2, 5, 10, 20, 50, 100}}),
		reclaimed: prometheus.NewCounter(prometheus.CounterOpts{Name: "kyu_reclaimed_jobs_total",
			Help: "Jobs of dead workers that this one put back into their queues."}),
		poisoned: prometheus.NewCounter(prometheus.CounterOpts{Name: "kyu_poisoned_jobs_total",
			Help: "Jobs of dead workers that went to the dead set, because workers kept dying " +
				"with them."}),
	}
	m.registry.MustRegister(m, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// own are the collectors of what the Monitor measures.
func (m *Monitor) own() []prometheus.Collector {
	return []prometheus.Collector{m.runs, m.ran, m.waited, m.fetches, m.fetchTime, m.fetched,
		m.settleTime, m.batches, m.reclaimed, m.poisoned, &process{m}, &fleet{m}}
}

// Describe and Collect make a Monitor a prometheus.Collector: a program that has a registry
// registers the Monitor there, and need not serve Handler.
func (m *Monitor) Describe(c chan<- *prometheus.Desc) {
	for _, one := range m.own() {
		one.Describe(c)
	}
}

// Collect gives the present figures; it asks Redis for the queues.
func (m *Monitor) Collect(c chan<- prometheus.Metric) {
	for _, one := range m.own() {
		one.Collect(c)
	}
}

// Registry takes further collectors, such as that of a pool of connections.
func (m *Monitor) Registry() prometheus.Registerer { return m.registry }

// Watch tells whose state is shown. Before it /livez is good and /readyz is not.
func (m *Monitor) Watch(r *worker.Runner) { m.runner.Store(r) }

// Ran counts a job.
func (m *Monitor) Ran(r worker.JobRun) {
	m.runs.WithLabelValues(r.Queue, r.Class, string(r.Outcome)).Inc()
	m.waited.WithLabelValues(r.Queue, r.Class).Observe(r.Waited.Seconds())
	m.ran.WithLabelValues(r.Queue, r.Class).Observe(r.Ran.Seconds())
}

// Fetched counts a fetch.
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

// Settled counts a batch. One that failed comes again.
func (m *Monitor) Settled(took time.Duration, jobs int, err error) {
	m.settleTime.Observe(took.Seconds())
	if err == nil {
		m.batches.Observe(float64(jobs))
	}
}

// Reclaimed counts dead workers' jobs.
func (m *Monitor) Reclaimed(requeued, poisoned int) {
	m.reclaimed.Add(float64(requeued))
	m.poisoned.Add(float64(poisoned))
}

// Handler serves /livez, /readyz and /metrics.
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

// answer says ok, or with status 503 what is wrong.
func answer(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, err)
		return
	}
	fmt.Fprintln(w, "ok")
}

// alive is nil while the loops turn over. A Redis that is away is no reason to
// kill a worker: it would come up no better.
func (m *Monitor) alive() error {
	r := m.runner.Load()
	if r == nil {
		return nil // starting
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

// ready is nil while the worker takes jobs.
func (m *Monitor) ready() error {
	r := m.runner.Load()
	if r == nil {
		return errors.New("starting")
	}
	s := r.Status()
	switch {
	case !s.Ready:
		return errors.New("starting: no beat, or no look into the queues yet")
	case s.Quiet:
		return errors.New("quiet: takes no more jobs")
	case s.LastErr != nil:
		return fmt.Errorf("redis does not serve us: %w", s.LastErr)
	}
	return m.alive()
}

// Serve answers requests on a listener until ctx ends.
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
