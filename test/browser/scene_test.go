package browser

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/redis/go-redis/v9"
)

// scene is a Redis with the jobs of a small Mastodon server, for pictures.
type scene struct {
	*harness.Site
	now time.Time
}

type fields = map[string]any

// prepare fills the Redis.
func (s scene) prepare() {
	s.Helper()
	ctx := s.Context()
	for i, waiting := range []struct {
		queue, class string
		jobs         int
		age          time.Duration
	}{{"default", "FeedInsertWorker", 214, 3 * time.Second},
		{"push", "ActivityPub::DeliveryWorker", 1830, 48 * time.Second},
		{"mailers", "ActionMailer::MailDeliveryJob", 3, time.Second},
		{"pull", "LinkCrawlWorker", 5210, 19 * time.Minute},
		{"scheduler", "Scheduler::VacuumScheduler", 0, 0}} {
		s.Must(s.Raw.SAdd(ctx, "queues", waiting.queue).Err())
		for n := range waiting.jobs { // the oldest first
			age := waiting.age * time.Duration(waiting.jobs-n) / time.Duration(waiting.jobs)
			s.Must(s.Raw.LPush(ctx, "queue:"+waiting.queue, s.payload(waiting.class, waiting.queue,
				10_000*i+n, age, nil)).Err())
		}
	}
	for i, host := range []string{"jobs-1", "jobs-2", "jobs-3"} {
		s.process(i, host)
	}
	s.fail("retry", 64, 40*time.Minute)
	s.fail("dead", 27, -30*time.Hour)
	for n := range 12 {
		at := s.now.Add(time.Duration(n+1) * 11 * time.Minute)
		s.Must(s.Raw.ZAdd(ctx, "schedule", redis.Z{Score: float64(at.Unix()), Member: s.payload(
			"PollExpirationNotifyWorker", "default", 70_000+n, time.Hour, nil)}).Err())
	}
	for i := range 30 {
		day := s.now.AddDate(0, 0, -i).Format("2006-01-02")
		runs := 900_000 + 310_000*(i*i%7)
		s.Must(s.Raw.Set(ctx, "stat:processed:"+day, runs, 0).Err())
		s.Must(s.Raw.Set(ctx, "stat:failed:"+day, runs/90*(1+i%3), 0).Err())
	}
	s.Must(s.Raw.MSet(ctx, "stat:processed", 61_204_871, "stat:failed", 803_114).Err())
}

// jid is the JID of the nth job.
func jid(n int) string { return fmt.Sprintf("8d1f3a5c%016x", uint64(n)*0x9e3779b97f4a7c15) }

// payload is a job that was pushed some time ago. n makes its JID and its arguments.
func (s scene) payload(class, queue string, n int, age time.Duration, more fields) string {
	s.Helper()
	at := float64(s.now.Add(-age).UnixMilli()) / 1000
	all := fields{"jid": jid(n), "class": class,
		"queue": queue, "args": []any{114_000_000 + n, fields{"priority": n % 3}}, "retry": 16,
		"created_at": at, "enqueued_at": at}
	for key, value := range more {
		all[key] = value
	}
	b, err := json.Marshal(all)
	s.Must(err)
	return string(b)
}

// fail puts deliveries that have failed into a set.
func (s scene) fail(key string, n int, first time.Duration) {
	s.Helper()
	for i := range n {
		host := fmt.Sprintf("social-%d.example", i%9)
		kinds := []fields{{"error_class": "HTTP::ConnectTimeoutError",
			"error_message": "connect timed out after 10 seconds on https://" + host + "/inbox"},
			{"error_class": "Mastodon::UnexpectedResponseError",
				"error_message": "https://" + host + "/inbox returned code 503"},
			{"error_class": "OpenSSL::SSL::SSLError",
				"error_message": "certificate verify failed (certificate has expired)"}}
		more := fields{"retry_count": i % 8, "failed_at": float64(s.now.Add(-2 * time.Hour).Unix()),
			"args": []any{fmt.Sprintf(`{"type":"Create","id":"https://example.com/ada/%d"}`,
				114_000_000+i), 17, "https://" + host + "/inbox"},
			"error_backtrace": []string{
				"app/workers/activitypub/delivery_worker.rb:47:in `perform'",
				"app/lib/request.rb:86:in `perform'"}}
		for k, v := range kinds[i%3] {
			more[k] = v
		}
		at := s.now.Add(first + time.Duration(i)*97*time.Second)
		s.Must(s.Raw.ZAdd(s.Context(), key, redis.Z{Score: float64(at.Unix()), Member: s.payload(
			"ActivityPub::DeliveryWorker", "push", 90_000+i, 3*time.Hour, more)}).Err())
	}
}

// process writes the record of a process and of the jobs that it runs.
func (s scene) process(i int, host string) {
	s.Helper()
	identity := fmt.Sprintf("%s:%d:%012x", host, 811+i, 0xfeed+i)
	info, err := json.Marshal(fields{"hostname": host, "pid": 811 + i, "tag": "mastodon",
		"concurrency": 25, "queues": []string{"default", "push", "mailers", "pull",
			"scheduler"}, "labels": []string{},
		"version": "8.1.0", "started_at": s.now.Add(-50 * time.Hour).Unix(), "identity": identity})
	s.Must(err)
	s.Must(s.Raw.SAdd(s.Context(), "processes", identity).Err())
	s.Must(s.Raw.HSet(s.Context(), identity, "info", info, "busy", 8, "beat", s.now.Unix(),
		"quiet", "false", "rss", 412_000+i*9000, "rtt_us", 230).Err())
	for n := range 8 {
		run, err := json.Marshal(fields{"queue": "push", "run_at": s.now.Unix() - int64(n),
			"payload": s.payload("ActivityPub::DeliveryWorker", "push", 1000*i+n, time.Minute,
				nil)})
		s.Must(err)
		s.Must(s.Raw.HSet(s.Context(), identity+":work", fmt.Sprintf("t%d", n), run).Err())
	}
}
