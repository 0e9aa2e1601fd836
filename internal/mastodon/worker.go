// Package mastodon is the worker of a Mastodon-like server as a program: the command line of
// package cli, and the jobs of package jobs on Redis and Postgres.
package mastodon

import (
	"context"
	"sync"

	"github.com/kyujobs/kyu/capability/lanes"
	"github.com/kyujobs/kyu/capability/outbox"
	"github.com/kyujobs/kyu/cli"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/jobs"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
)

// Worker is the program that cmd/worker runs. A main that needs more than that replaces Open
// or Adjust, before it calls Main, with a function that calls the one of New and then adds to
// it: test/kit/testworker adds the jobs of the tests.
type Worker struct {
	*cli.App
	Database *database.Database // set by Open; nil if no Postgres is configured
	Jobs     *jobs.Server       // set by Open
	Outbox   *outbox.Relay      // set by Open; nil without Postgres, and with OUTBOX=false

	postgres database.Config
	config   jobs.Config
	noOutbox bool
}

// New makes the program. name is how it calls itself in logs and errors.
func New(name string) *Worker {
	w := &Worker{App: cli.New(name)}
	w.Configure = func(s *cli.Settings, c worker.Config) {
		w.postgres, w.config = database.ConfigFromEnv(s), jobs.ConfigFromEnv(s)
		if w.postgres.URL != "" {
			w.noOutbox = !s.Bool("postgres outbox", true, "OUTBOX")
		}
		if w.config.MailErr != nil && serves(c, mailQueue) {
			s.Problem("%w", w.config.MailErr)
		}
	}
	w.Open, w.Adjust, w.Lanes = w.open, w.adjust, hostLanes
	return w
}

// Needs are what a worker takes.
type Needs struct {
	Threads     int
	Connections int // the most that it opens to the Postgres of DATABASE_URL
}

// Check does what cli.App.Check does, with the settings of Postgres and of the jobs.
func (w *Worker) Check(root string, args []string) (Needs, error) {
	c, err := w.App.Check(root, args)
	return Needs{c.Threads(), max(w.postgres.Pool, c.Threads())}, err
}

// hostLanes gives each server to which push sends a lane, which may hold a quarter of the threads,
// so that a slow one delays nobody else. Ruby's processes know no lanes: beside them there are
// none.
func hostLanes(c worker.Config) map[string]lanes.Rule {
	key, err := lanes.ParseKey("args.2|host") // the inbox of ActivityPub::DeliveryWorker
	if err != nil {
		panic(err)
	}
	return map[string]lanes.Rule{"push": {Key: key, Max: max(2, c.Threads()/4)}}
}

// mailQueue is the queue of the jobs that send mail. A worker that does not serve it starts
// although the settings of mail are wrong.
const mailQueue = "mailers"

// serves reports whether a worker serves a queue.
func serves(c worker.Config, name string) bool {
	for _, capsule := range c.Capsules {
		for _, q := range capsule.Queues {
			if q.Name == name {
				return true
			}
		}
	}
	return false
}

// open connects Postgres and the Redis servers, and registers the handlers.
func (w *Worker) open(ctx context.Context, b *cli.Boot) (closer func(), err error) {
	if w.Database, err = database.Open(ctx, w.postgres, b.Threads, b.Log); err != nil {
		return nil, err
	}
	if b.Dev != "" { // the one Redis that is embedded holds feeds and cache too
		w.config.Redis = queue.Config{URL: b.Dev}
		w.config.Cache = w.config.Redis
	}
	if w.Jobs, err = jobs.NewServer(w.config, w.Database, b.Backend, b.Threads, b.Log); err != nil {
		w.Database.Close()
		return nil, err
	}
	if err := w.Jobs.Ping(ctx); err != nil { // not every queue needs them
		b.Log.Warn("the Redis of feeds and counters, or that of the cache, does not answer: jobs "+
			"that need it will fail and be retried; check REDIS_URL and CACHE_REDIS_URL",
			"err", err)
	}
	if w.Database != nil {
		b.Metrics.MustRegister(&collector{w.Database})
		b.Mux.Use(w.begin)
		w.openOutbox(b)
	}
	register(b.Mux, w.Jobs)
	stop := w.watch(ctx)
	return func() {
		stop()
		w.Jobs.Close()
		w.Database.Close()
	}, nil
}

// openOutbox makes the relay of the outbox.
func (w *Worker) openOutbox(b *cli.Boot) {
	if w.noOutbox {
		return
	}
	w.Outbox = outbox.New(outbox.Config{Pool: w.Database.Pool(), Store: b.Backend, Logger: b.Log})
	b.Metrics.MustRegister(&outboxCollector{w.Outbox})
}

// watch lets the database look at its replicas, and the relay move rows, until stop is called.
func (w *Worker) watch(ctx context.Context) (stop func()) {
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var loops sync.WaitGroup // which end with watching, in stop
	loops.Go(func() { w.Database.Run(watching) })
	if w.Outbox != nil {
		loops.Go(func() { w.Outbox.Run(watching) })
	}
	return func() {
		cancel()
		loops.Wait()
	}
}

// begin makes each run of a job a unit of work for the database.
func (w *Worker) begin(next worker.Handler) worker.Handler {
	return func(ctx context.Context, j *queue.Job) error {
		return next(w.Database.Begin(ctx, j), j)
	}
}

// adjust notes the size of the pool, for workerctl doctor.
func (w *Worker) adjust(c *worker.Config) {
	if w.Database != nil {
		c.Pool = int(w.Database.Pool().Config().MaxConns)
	}
}

// register sets the handlers, with the retries that their classes have in Mastodon.
func register(m *worker.Mux, s *jobs.Server) {
	worker.Handle(m, "LocalNotificationWorker", s.Notifications.Notify)
	worker.Handle(m, "DistributionWorker", s.Feeds.Distribute)
	worker.Handle(m, "FeedInsertWorker", s.Feeds.Insert)

	deliver := worker.Options{Retry: queue.RetryMax(jobs.DeliveryRetries), NoDead: true,
		RetryDelay: jobs.DeliveryDelay}
	worker.Handle(m, "ActivityPub::DeliveryWorker", s.Deliveries.Deliver, deliver)
	deliver.Retry = queue.RetryMax(jobs.LowPriorityDeliveryRetries)
	worker.Handle(m, "ActivityPub::LowPriorityDeliveryWorker", s.Deliveries.Deliver, deliver)
	worker.Handle(m, "Webhooks::DeliveryWorker", s.Webhooks.Deliver, worker.Options{
		Retry: queue.RetryMax(jobs.WebhookRetries), NoDead: true, RetryDelay: jobs.DeliveryDelay})

	worker.Handle(m, "MailDeliveryWorker", s.Mail.Deliver)

	fetch := worker.Options{Retry: queue.RetryMax(jobs.FetchRetries), NoDead: true}
	worker.Handle(m, "FetchResourceWorker", s.Resources.Fetch, fetch)
	worker.Handle(m, "LinkPreviewWorker", s.Previews.Preview, fetch)
}
