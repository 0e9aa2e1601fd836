// Command worker runs the jobs of a Mastodon-like server's four queues: default,
// push, mailers and pull.
package main

import (
	"context"

	"github.com/kyujobs/kyu/cli"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/internal/testjobs"
	"github.com/kyujobs/kyu/jobs"
	"github.com/kyujobs/kyu/worker"
)

func main() {
	app := cli.New("worker")
	testJobs := app.Flags.Bool("test-jobs", false, "also run the classes Test::*, for load and fault tests")
	var config database.Config
	app.Configure = func(s *cli.Settings, _ int) { config = database.ConfigFromEnv(s) }
	app.Open = func(ctx context.Context, b *cli.Boot) (func(), error) {
		db, err := database.Open(ctx, config, b.Threads, b.Log)
		if err != nil {
			return nil, err
		}
		if primary, err := db.Primary(); err == nil {
			b.Metrics.MustRegister(&pool{primary})
		}
		notifications := &jobs.Notifications{DB: db}
		worker.Handle(b.Mux, "LocalNotificationWorker", notifications.Notify)
		if *testJobs {
			testjobs.Register(b.Mux, db)
		}
		return db.Close, nil
	}
	app.Adjust = func(c *worker.Config) {
		if *testJobs {
			c.Observer = testjobs.NewObserver()
		}
	}
	app.Main()
}
