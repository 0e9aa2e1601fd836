package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

// fleetOf is a terminal beside the fleet of the ten questions: a machine web1 with two workers of
// Kyu, and a machine web2 with one of Ruby. Their queue push is behind, mailers is paused, and no
// process serves scheduler.
func fleetOf(t *testing.T) *terminal {
	s := withRedis(t)
	s.queued("default", 2, time.Second)
	s.queued("mailers", 3, 25*time.Minute)
	s.queued("pull", 0, 0)
	s.queued("push", 240, 12*time.Minute)
	s.queued("scheduler", 3, 40*time.Minute)
	s.raw.SAdd(t.Context(), "paused", "mailers")
	s.worker("web1:4711:5f0c9a", 4, "push", work("1b7c", delivery, 91007, 14*time.Second),
		work("1b7d", delivery, 91008, 11*time.Second), work("1b7e", delivery, 91011, 8*time.Second),
		work("1b7f", "ActivityPub::ProcessingWorker", 7, 5*time.Second))
	s.worker("web1:4712:80b3d1", 5, "default", work("2c01", "FeedInsertWorker", 8, 2*time.Second))
	s.ruby(work("3d01", "LinkCrawlWorker", 110483, 2*time.Hour),
		work("3d02", "LinkCrawlWorker", 110521, 40*time.Second))
	s.ran(delivery, 41_000, 2_050, 320*time.Millisecond)
	s.ran("FeedInsertWorker", 88_000, 0, 9*time.Millisecond)
	s.ran("LinkCrawlWorker", 610, 12, 2400*time.Millisecond)
	for i, host := range []string{"example.social", "example.social", "example.org",
		"example.social"} {
		s.inSet("retry", fmt.Sprint("5e0", i), delivery, "https://"+host+"/inbox", time.Hour)
	}
	s.inSet("dead", "6f01", "LinkCrawlWorker", "https://gone.example/", -time.Hour)
	s.inSet("dead", "6f02", "LinkCrawlWorker", "https://gone.example/2", -time.Hour)
	s.ok("", "dead delete --filter host:gone.example --yes --as ada")
	s.ok("", "retries delete "+jidOf("5e02")+" --as grace")
	return s
}

const delivery = "ActivityPub::DeliveryWorker"

// jidOf is a JID of a usual length.
func jidOf(short string) string { return short + "c3d4e5f60718293a4b5f" }

// payload is a job that was pushed some time ago.
func payload(jid, class, queue string, arg any, waited time.Duration) string {
	at := time.Now().Add(-waited).UnixMilli()
	return fmt.Sprintf(`{"class":%q,"jid":%q,"queue":%q,"args":[%s],"retry":true,"created_at":%d,`+
		`"enqueued_at":%d}`, class, jid, queue, quoted(arg), at, at)
}

// quoted is a text or a number as JSON.
func quoted(arg any) string {
	if text, ok := arg.(string); ok {
		return fmt.Sprintf("%q", text)
	}
	return fmt.Sprint(arg)
}

// queued fills a queue. The next job to run is the oldest.
func (s *terminal) queued(queue string, jobs int, oldest time.Duration) {
	s.raw.SAdd(s.Context(), "queues", queue)
	for i := range jobs {
		waited := oldest * time.Duration(jobs-i) / time.Duration(jobs)
		s.raw.LPush(s.Context(), "queue:"+queue, payload(jidOf(fmt.Sprintf("%04x", 0xa000+i)),
			delivery, queue, 91_012+i, waited))
	}
}

// inSet puts a failed job into a set. Its time is so far from now.
func (s *terminal) inSet(set, jid, class, url string, due time.Duration) {
	raw := payload(jidOf(jid), class, "push", url, 2*time.Hour)
	raw = raw[:len(raw)-1] + `,"retry_count":4,"error_class":"Timeout","error_message":"read"}`
	s.raw.ZAdd(s.Context(), set, redis.Z{Score: float64(time.Now().Add(due).Unix()), Member: raw})
}

// work is a running job.
func work(jid, class string, arg any, since time.Duration) queue.WorkRecord {
	return queue.WorkRecord{TID: jid, Queue: "", RunAt: time.Now().Add(-since),
		Payload: payload(jidOf(jid), class, "", arg, since)}
}

// worker is a live worker of Kyu, with jobs that it runs.
func (s *terminal) worker(identity string, threads int, q string, jobs ...queue.WorkRecord) {
	s.Helper()
	o := s.redis.Store().Owner(identity)
	host := queue.Host{Name: identity[:4], Classes: []string{delivery}}
	err := o.Register(s.Context(), host, []string{q}, time.Minute)
	if err != nil {
		s.Fatal(err)
	}
	for i, w := range jobs {
		jobs[i].Queue = q
		s.raw.HSet(s.Context(), "kyu:{queue:"+q+"}:inflight:"+identity, i, w.Payload)
	}
	_, err = o.Publish(s.Context(), queue.ProcessRecord{Identity: identity, Hostname: identity[:4],
		Tag: "mastodon", Concurrency: threads, StartedAt: time.Now().Add(-26 * time.Hour),
		Turned: time.Now(), Work: jobs, Capsules: []queue.CapsuleRecord{{Name: "default",
			Concurrency: threads, Queues: []string{q}}}}, queue.Counts{}, time.Now())
	if err != nil {
		s.Fatal(err)
	}
}

// ruby is a live process of Sidekiq on web2, with jobs that it runs.
func (s *terminal) ruby(jobs ...queue.WorkRecord) {
	const identity = "web2:911:c2e4f6"
	s.raw.SAdd(s.Context(), "processes", identity)
	s.raw.HSet(s.Context(), identity, "info", `{"hostname":"web2","pid":911,"tag":"mastodon",`+
		`"concurrency":5,"queues":["pull"],"started_at":1}`, "busy", len(jobs), "beat",
		unix(time.Now()), "quiet", "false")
	for _, w := range jobs {
		s.raw.HSet(s.Context(), identity+":work", w.TID, fmt.Sprintf(
			`{"queue":"pull","run_at":%s,"payload":%q}`, unix(w.RunAt), w.Payload))
	}
}
