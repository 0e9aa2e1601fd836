package jobs_test

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/kyujobs/kyu/cli"
	"github.com/kyujobs/kyu/database"
	"github.com/kyujobs/kyu/jobs"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
)

// A program of your own can run these jobs beside other ones.
func ExampleNewServer() {
	app := cli.New("worker")
	var pg database.Config
	var config jobs.Config
	app.Configure = func(s *cli.Settings, _ worker.Config) {
		pg, config = database.ConfigFromEnv(s), jobs.ConfigFromEnv(s)
	}
	app.Open = func(ctx context.Context, b *cli.Boot) (func(), error) {
		db, err := database.Open(ctx, pg, b.Threads, b.Log)
		if err != nil {
			return nil, err
		}
		server, err := jobs.NewServer(config, db, b.Backend, b.Threads, b.Log)
		if err != nil {
			return nil, err
		}
		worker.Handle(b.Mux, "MailDeliveryWorker", server.Mail.Deliver)
		return func() { server.Close(); db.Close() }, nil
	}
	fmt.Println(app.Name)
	// Output: worker
}

// client stands for your own client, made by queue.NewClient(store).
var (
	client *queue.Client
	ctx    = context.Background()
)

// Push a delivery with its body and its inbox, as Mastodon does.
func ExampleDeliveries_Deliver() {
	client.Push(ctx, "ActivityPub::DeliveryWorker", []any{`{"type":"Create"}`, 1,
		"https://b.example/inbox", map[string]any{"synchronize_followers": true}},
		queue.Options{Queue: "push", Retry: queue.RetryMax(jobs.DeliveryRetries), NoDead: true})
}

// Push a webhook's event with the id of its row in the table webhooks.
func ExampleWebhooks_Deliver() {
	client.Push(ctx, "Webhooks::DeliveryWorker", []any{1, `{"event":"account.created"}`},
		queue.Options{Queue: "push"})
}

// A program without a queue can send a mail directly.
func ExampleMail_Send() {
	m := &jobs.Mail{Log: slog.New(slog.DiscardHandler)} // no Config: SMTP_SERVER is not set
	err := m.Send(context.Background(), jobs.Message{To: []string{"asa@b.example"},
		Subject: "Hello", Text: "Hello, Åsa"})
	fmt.Println(err)
	// Output: no mail server is configured: set SMTP_SERVER
}

// Push a mail: its job holds the whole message.
func ExampleMail_Deliver() {
	client.Push(ctx, "MailDeliveryWorker", []any{jobs.Message{To: []string{"asa@b.example"},
		Subject: "Hello", Text: "Hello, Åsa"}}, queue.Options{Queue: "mailers"})
}

// Push the fetch of a remote object.
func ExampleResources_Fetch() {
	client.Push(ctx, "FetchResourceWorker", []any{"https://b.example/notes/1"},
		queue.Options{Queue: "pull"})
}

// Push the preview of a link in status 100.
func ExamplePreviews_Preview() {
	client.Push(ctx, "LinkPreviewWorker", []any{100, "https://b.example/page"},
		queue.Options{Queue: "pull"})
}

// Push the distribution of a status: it pushes one job for each follower.
func ExampleFeeds_Distribute() {
	client.Push(ctx, "DistributionWorker", []any{100}, queue.Options{})
}

// Push status 100 into account 2's home feed.
func ExampleFeeds_Insert() {
	client.Push(ctx, "FeedInsertWorker", []any{100, 2, "home"}, queue.Options{})
}

// Without a configured Postgres the job returns an error that names the variables.
func ExampleNotifications_Notify() {
	n := &jobs.Notifications{} // no database.Database: DATABASE_URL is not set
	fmt.Println(n.Notify(context.Background(), jobs.LocalNotification{ReceiverID: 2, ActivityID: 5,
		ActivityType: "Mention", Type: "mention"}))
	// Output: no Postgres is configured: set DATABASE_URL, or DB_HOST and DB_NAME
}
