// Command worker runs the jobs of a Mastodon-like server's four queues: default,
// push, mailers and pull.
package main

import (
	"context"
	"os"

	"github.com/kyujobs/kyu/cli"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/internal/testjobs"
	"github.com/kyujobs/kyu/jobs"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
)

func main() {
	p := program{App: cli.New("worker")}
	p.testJobs = p.Flags.Bool("test-jobs", false, "also run the classes Test::*, for load and "+
		"fault tests")
	p.Configure = func(s *cli.Settings, _ int) {
		p.database, p.jobs = database.ConfigFromEnv(s), jobs.ConfigFromEnv(s)
	}
	p.Open = p.open
	p.Adjust = p.adjust
	p.Main()
}

// program is the worker of this repository.
type program struct {
	*cli.App
	testJobs *bool
	database database.Config
	jobs     jobs.Config
	db       *database.Database
}

// open connects what the jobs need.
func (p *program) open(ctx context.Context, b *cli.Boot) (closer func(), err error) {
	if p.db, err = database.Open(ctx, p.database, b.Threads, b.Log); err != nil {
		return nil, err
	}
	if b.Dev != "" { // everything is in the one Redis that is embedded
		p.jobs.Redis = queue.Config{URL: b.Dev}
		p.jobs.Cache = p.jobs.Redis
	}
	threads := b.Threads
	if *p.testJobs && os.Getenv("TEST_NO_BREAKERS") != "" {
		threads = 0
	}
	server, err := jobs.NewServer(p.jobs, p.db, b.Store, threads, b.Log)
	if err != nil {
		p.db.Close()
		return nil, err
	}
	if err := server.Ping(ctx); err != nil { // not every queue needs them
		b.Log.Warn("the Redis of feeds and counters, or that of the cache, does not answer: jobs "+
			"that need it will fail and be retried; check REDIS_URL and CACHE_REDIS_URL",
			"err", err)
	}
	if p.db != nil {
		b.Metrics.MustRegister(&collector{p.db})
		b.Mux.Use(p.begin)
	}
	register(b.Mux, server)
	if *p.testJobs {
		if os.Getenv("TEST_NO_JITTER") != "" {
			server.Previews.Jitter = -1
		}
		testjobs.Register(b.Mux, p.db, b.Store)
	}
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	watched := make(chan struct{})
	go func() { // ends with watching, in closer
		defer close(watched)
		p.db.Run(watching)
	}()
	return func() {
		stop()
		<-watched
		server.Close()
		p.db.Close()
	}, nil
}

// begin makes each run a unit of work for the database.
func (p *program) begin(next worker.Handler) worker.Handler {
	return func(ctx context.Context, j *queue.Job) error { return next(p.db.Begin(ctx, j), j) }
}

func (p *program) adjust(c *worker.Config) {
	if p.db != nil {
		c.Pool = int(p.db.Pool().Config().MaxConns)
	}
	if *p.testJobs {
		testjobs.Configure(c)
	}
}

// register sets the handlers, with the retries that the classes have in Mastodon.
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
