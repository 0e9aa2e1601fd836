package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/dashboard/access"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/kyujobs/kyu/test/kit/pgtest"
	"github.com/kyujobs/kyu/test/kit/redistest"
)

// fleet is a dashboard, and what it shows: jobs in all places, processes, operations, locks.
type fleet struct {
	*harness.Site
	url      string // of the dashboard, without a slash at its end
	signIn   string // of one that asks for a password
	identity string // of a worker that runs jobs
}

// long is a text that a narrow page has to break.
var long = "https://" + strings.Repeat("social.example.", 20) + "com/inbox 届きませんでした"

const schedule = `entries:
  nightly report:
    cron: "H 3 * * *"
    class: Test::NoOp
    description: For the morning meeting.
  trends:
    every: 30m
    class: Test::NoOp
`

// newFleet starts workers and dashboards on a Redis of their own, and waits until every place holds
// something.
func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{Site: harness.New(t)}
	f.startWorkers()
	f.pushJobs()
	f.Until(30*time.Second, "jobs are in all places", func() bool {
		places := redistest.Places(f.Context(), f.Raw)
		for _, want := range []string{"dead=3", "inflight=2", "kyu:hold:Reports::Yearly=2",
			"queue:pull=61", "queue:push=1", "retry=40", "schedule=31"} {
			if !strings.Contains(places, want) {
				return false
			}
		}
		return true
	})
	f.act()
	postgres := pgtest.Start(t)
	pgtest.Exec(t, postgres, "CREATE TABLE statuses AS SELECT generate_series(1, 1000) AS id")
	f.url = f.dashboard("--database-url", postgres)
	users := filepath.Join(f.Dir, "users")
	line, err := access.HashLine("ada", access.Viewer, "correct horse")
	f.Must(err)
	f.Must(os.WriteFile(users, []byte(line+"\n"), 0o600))
	f.signIn = f.dashboard("--users", users)
	return f
}

// startWorkers starts a worker, and writes the record of a Ruby process with long names.
func (f *fleet) startWorkers() {
	f.Helper()
	file := filepath.Join(f.Dir, "schedule.yml")
	f.Must(os.WriteFile(file, []byte(schedule), 0o600))
	w := f.Worker("-q", "default", "-q", "mailers", "-c", "5", "-g", "web", "--unknown", "hold",
		"--schedule", file)
	f.identity = w.Identity()
	info, err := json.Marshal(map[string]any{"hostname": strings.Repeat("sidekiq-", 12) + "1",
		"pid": 7, "tag": "mastodon", "concurrency": 25, "queues": []string{"default", "ingress"},
		"labels": []string{"reliable"}, "version": "8.1.0", "started_at": time.Now().Unix()})
	f.Must(err)
	ruby := strings.Repeat("sidekiq-", 12) + "1:7:0123456789ab"
	f.Must(f.Raw.SAdd(f.Context(), "processes", ruby).Err())
	f.Must(f.Raw.HSet(f.Context(), ruby, "info", info, "busy", 0, "beat", time.Now().Unix(),
		"quiet", "true", "rss", 512_000).Err())
}

// pushJobs pushes jobs which end in each of the places.
func (f *fleet) pushJobs() {
	f.Helper()
	for i := range 40 {
		f.Push("Test::Fail", []any{fmt.Sprint("no answer from ", long)},
			queue.Options{JID: fmt.Sprint("retried", i), Backtrace: 20, Tags: []string{"slow"}})
	}
	for i := range 3 {
		f.Push("Test::Fail", []any{"配信できません"}, queue.Options{JID: fmt.Sprint("dead", i),
			Retry: queue.RetryMax(0)})
	}
	for i := range 2 {
		f.Push("Test::Sleep", []any{600_000}, queue.Options{JID: fmt.Sprint("busy", i)})
		f.Push("Reports::Yearly", []any{2020 + i}, queue.Options{Queue: "mailers"})
	}
	for i := range 60 {
		f.Push("Feed::Rebuild", []any{i, map[string]any{"url": long}},
			queue.Options{Queue: "pull", JID: fmt.Sprint("waiting", i)})
	}
	for i := range 31 {
		f.Push("Test::NoOp", []any{i}, queue.Options{JID: fmt.Sprint("scheduled", i),
			At: time.Now().Add(time.Hour)})
	}
	f.Push("Test::NoOp", nil, queue.Options{Queue: "push"})
	_, err := f.Client.Push(unique.With(f.Context(), unique.Lock{Kind: unique.UntilDone,
		For: time.Hour}), "Feed::Rebuild", []any{"once"}, queue.Options{Queue: "pull"})
	f.Must(err)
}

// act makes operations and entries of the audit, by workerctl.
func (f *fleet) act() {
	f.Helper()
	f.OK("", "queue", "push", "--pause", "--as", "ada")
	f.OK("", "lanes", "set", "push", "key=args.0|host,max=8", "--force", "--as", "ada")
	f.OK("", "lanes", "close", "push", "social.example", "--for", "1h", "--as", "ada")
	f.OK("", "retries", "delete", "retried0", "--as", "ada")
	f.OK("", "retries", "kill", "--filter", "jid:retried1", "--yes", "--as", "大輔")
	f.OK("", "deploy", "v1.2.3")
}

// dashboard starts a dashboard, and returns its URL.
func (f *fleet) dashboard(args ...string) string {
	f.Helper()
	address := fmt.Sprintf("127.0.0.1:%d", redistest.FreePort(f))
	d := f.Start(harness.Program("dashboard"), append([]string{"--listen", address}, args...)...)
	f.Until(10*time.Second, "the dashboard serves", func() bool {
		return d.Says("Serving the dashboard")
	})
	return "http://" + address
}

// inspector reads the fleet.
func (f *fleet) inspector() *inspect.Inspector { return inspect.New(f.Store) }
