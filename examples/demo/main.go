// Command demo shows in less than a minute what Kyu does: a worker runs the jobs of four
// queues in strict order, a job that fails is retried, and the jobs of a worker that is
// killed run in another one. It runs bin/worker. The Redis is the one in REDIS_URL, or one
// in this process; Postgres is started for the demo, if it is installed; the web and mail
// servers are in this process.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/kyujobs/kyu/queue"
	goredis "github.com/redis/go-redis/v9"
)

func main() {
	if err := story(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// demo is shared by the three acts.
type demo struct {
	client  *queue.Client
	program string   // the path of bin/worker
	config  string   // the path of its configuration
	env     []string // its environment
	servers *others
	url     string // of Postgres; empty if it is not installed
	redis   *goredis.Client
	worker  *process
}

func story() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	url, stop, err := redis()
	if err != nil {
		return err
	}
	defer stop()
	store, err := queue.Open(ctx, queue.Config{URL: url})
	if err != nil {
		return err
	}
	defer store.Close()
	key, err := newKey()
	if err != nil {
		return err
	}
	servers, err := listen(&key.PublicKey)
	if err != nil {
		return err
	}
	defer servers.close()
	pg, stopPostgres, err := postgres(ctx, key)
	if err != nil {
		return err
	}
	defer stopPostgres()
	options, err := goredis.ParseURL(url)
	if err != nil {
		return err
	}
	d := &demo{client: queue.NewClient(store), servers: servers, url: pg,
		redis: goredis.NewClient(options)}
	defer d.redis.Close()
	clean, err := d.prepare(url)
	if err != nil {
		return err
	}
	defer clean()
	for _, act := range []func(context.Context) error{d.order, d.retry, d.kill} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	say("That was it. Next: `bin/worker --help`, `bin/workerctl --help`, and README.md.")
	return nil
}

// redis returns the URL of the Redis in REDIS_URL, or starts one in this process.
func redis() (url string, stop func(), err error) {
	if url := os.Getenv("REDIS_URL"); url != "" {
		say("Using the Redis in REDIS_URL. If another worker serves it, " +
			"it may take the demo's jobs.")
		return url, func() {}, nil
	}
	log.SetOutput(io.Discard) // miniredis's own log
	m, err := miniredis.Run()
	if err != nil {
		return "", nil, err
	}
	say("A Redis in memory is at " + m.Addr() + ".")
	return "redis://" + m.Addr(), m.Close, nil
}

// prepare writes the worker's configuration.
func (d *demo) prepare(redisURL string) (clean func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	d.program = filepath.Join(filepath.Dir(self), "worker")
	if _, err := os.Stat(d.program); err != nil {
		return nil, errors.New("there is no " + d.program + ": run `make demo`, which builds it")
	}
	dir, err := os.MkdirTemp("", "kyu-demo-")
	if err != nil {
		return nil, err
	}
	d.config = filepath.Join(dir, "worker.yml")
	text := "poll_interval_average: 1\n" // due retries are found within about a second
	host, port, _ := net.SplitHostPort(d.servers.smtp.Addr().String())
	d.env = []string{"REDIS_URL=" + redisURL, "DATABASE_URL=" + d.url, "DB_HOST=", "DB_NAME=",
		"DB_USER=", "LOCAL_DOMAIN=demo.example",
		"ALLOWED_PRIVATE_ADDRESSES=127.0.0.1", "SMTP_SERVER=" + host, "SMTP_PORT=" + port}
	return func() { os.RemoveAll(dir) }, os.WriteFile(d.config, []byte(text), 0o600)
}

func (d *demo) push(ctx context.Context, q, class string, args ...any) error {
	_, err := d.client.Push(ctx, class, args, queue.Options{Queue: q})
	return err
}

func (d *demo) mail(to string) map[string]any {
	return map[string]any{"to": []string{to}, "subject": "Hello", "text": "A mail of the demo."}
}

// job is a job of one queue.
type job struct {
	queue, class string
	args         []any
}

// work lists twelve jobs of a Mastodon-like server, the least important first.
func (d *demo) work() (list []job) {
	for i := range 3 {
		if d.url == "" { // mail needs no Postgres
			for _, q := range []string{"pull", "mailers", "push", "default"} {
				list = append(list,
					job{q, "MailDeliveryWorker", []any{d.mail(q + "@demo.example")}})
			}
			continue
		}
		pull := job{"pull", "FetchResourceWorker", []any{d.servers.url(fmt.Sprint("/notes/", i+1))}}
		list = append(list, pull,
			job{"mailers",
				"MailDeliveryWorker", []any{d.mail(fmt.Sprintf("user%d@demo.example", i+1))}},
			job{"push", "ActivityPub::DeliveryWorker", []any{`{"type":"Create"}`, 1,
				d.servers.url("/inbox")}},
			job{"default", "FeedInsertWorker", []any{100 + i, 2}})
	}
	return list
}

// order shows the strict order of queues, and the jobs' results.
func (d *demo) order(ctx context.Context) error {
	if d.url == "" {
		say("There is no Postgres on this machine (apt-get install postgresql): deliveries, " +
			"pages and feeds need one, so all jobs are mails.")
	}
	say("1. Twelve jobs for four queues: objects to fetch (pull), mails (mailers), deliveries to " +
		"another server (push), feeds (default).\n" +
		"   One worker with one thread takes them: default first, pull last, each queue first " +
		"in, first out.")
	for _, j := range d.work() {
		if err := d.push(ctx, j.queue, j.class, j.args...); err != nil {
			return err
		}
	}
	var err error
	if d.worker, err = d.start(ctx, "first", "-c", "1"); err != nil {
		return err
	}
	if err := d.worker.wait(ctx, "INFO: done", 12); err != nil {
		return err
	}
	return d.results(ctx)
}

// results prints the jobs' results.
func (d *demo) results(ctx context.Context) error {
	text := "   The results: " + d.servers.report()
	if d.url != "" {
		rows, err := stored(ctx, d.url)
		if err != nil {
			return err
		}
		text += fmt.Sprintf(",\n   %s, %d statuses in bob's home feed", rows,
			d.redis.ZCard(ctx, "feed:home:2").Val())
	}
	say(text + ".")
	return nil
}

// retry shows a failure and its retry.
func (d *demo) retry(ctx context.Context) error {
	if d.url == "" {
		return d.worker.stop()
	}
	say("2. The other server is busy (503, Retry-After: 1). The job is retried after that " +
		"second, with up to 10 s of jitter, as in Sidekiq.")
	d.servers.busy.Store(true)
	if err := d.push(ctx, "pull", "FetchResourceWorker", d.servers.url("/notes/4")); err != nil {
		return err
	}
	for _, text := range []string{"WARN: fail", "INFO: done"} {
		if err := d.worker.wait(ctx, text, 1); err != nil {
			return err
		}
	}
	return d.worker.stop()
}

// kill shows that a crash loses no job.
func (d *demo) kill(ctx context.Context) error {
	say("3. A second worker runs two jobs and is killed with kill -9. Sidekiq's fetch would " +
		"lose them.")
	// push has a lane for each server, which two of six threads may serve (docs/lanes.md).
	for range 2 {
		slow := job{"push", "ActivityPub::DeliveryWorker",
			[]any{`{"type":"Create"}`, 1, d.servers.url("/slow")}}
		if d.url == "" {
			slow = job{"push", "MailDeliveryWorker", []any{d.mail("slow@demo.example")}}
		}
		if err := d.push(ctx, slow.queue, slow.class, slow.args...); err != nil {
			return err
		}
	}
	second, err := d.start(ctx, "second", "-c", "6")
	if err != nil {
		return err
	}
	if err := second.wait(ctx, "INFO: start", 2); err != nil {
		return err
	}
	second.cmd.Process.Kill()
	second.cmd.Wait()
	say("   Killed. A third worker starts, finds that the second is dead, and puts its jobs back " +
		"into their queue, where they are taken next.")
	third, err := d.start(ctx, "third", "-c", "6")
	if err != nil {
		return err
	}
	if err := third.wait(ctx, "INFO: done", 2); err != nil {
		return err
	}
	return third.stop()
}

func say(text string) { fmt.Printf("\n%s\n", text) }
