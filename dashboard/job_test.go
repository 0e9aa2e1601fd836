package dashboard_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/dashboard"
	"github.com/redis/go-redis/v9"
)

// secret is a job with hidden values in its arguments and in a field.
func secret(jid string) string {
	return payload(jid, "Mail", "a", time.Now().Add(-time.Hour), fields{
		"args":      []any{"ada", fields{"password": "hunter2", "n": 7}},
		"api_token": "hunter2"})
}

func TestRedact(t *testing.T) {
	f := newFixture(t)
	f.must(f.raw.SAdd(t.Context(), "queues", "a").Err())
	f.must(f.raw.LPush(t.Context(), "queue:a", secret("q1")).Err())
	f.must(f.raw.ZAdd(t.Context(), "retry", z(later, secret("r1"))).Err())
	f.process("web1:1:abc", fields{"hostname": "web1", "concurrency": 5, "queues": []string{"a"}},
		secret("w1"))
	for _, role := range []string{"viewer", "operator", "admin"} {
		for _, path := range []string{"/queues/a", "/retries", "/retries?filter=hunter2", "/busy",
			"/processes/web1:1:abc", "/jobs/r1", "/jobs/q1", "/jobs/w1"} {
			t.Run(path+" hides values from "+role, func(t *testing.T) {
				f := f.sub(t)
				f.role = role
				for _, page := range []string{f.get(path, 200), f.get("/api/v1"+path, 200)} {
					f.lacks(strings.ReplaceAll(page, "filter=hunter2", ""), `:"hunter2`,
						`hunter2\"`, "hunter2&#34;")
					if !strings.Contains(page, "[hidden]") {
						t.Error("the page does not say that a value is hidden")
					}
				}
			})
		}
	}
	t.Run("an admin can see them, and the audit says so", func(t *testing.T) {
		f := f.sub(t)
		f.has(f.get("/jobs/r1", 200), "Values of keys that look secret are hidden",
			"/jobs/r1?hidden=show")
		page := f.get("/jobs/r1?hidden=show", 200)
		f.has(page, `{"n":7,"password":"hunter2"}`, "api_token")
		f.lacks(page, "hidden=show\"", "[hidden]")
		f.audited("dashboard show", "r1")
	})
	t.Run("others cannot", func(t *testing.T) {
		f := f.sub(t)
		f.role = "operator"
		f.lacks(f.get("/jobs/r1", 200), "hidden=show")
		f.lacks(f.get("/jobs/r1?hidden=show", 403), "hunter2")
		f.lacks(f.get("/api/v1/jobs/r1?hidden=show", 403), "hunter2")
	})
	t.Run("names can be chosen", func(t *testing.T) {
		f := f.sub(t)
		f.d = f.open(func(o *dashboard.Options) { o.Redact = []string{"n"} })
		f.has(f.get("/retries", 200), `{"n":"[hidden]","password":"hunter2"}`)
		f.d = f.open(func(o *dashboard.Options) { o.Redact = []string{} })
		f.has(f.get("/retries", 200), `{"n":7,"password":"hunter2"}`)
	})
	t.Run("an encrypted argument is shown to nobody", func(t *testing.T) {
		f := f.sub(t)
		f.must(f.raw.ZAdd(t.Context(), "retry", z(later, payload("e1", "Job", "a", time.Now(),
			fields{"encrypt": true, "args": []any{1, "BAhJIg=="}}))).Err())
		f.has(f.get("/jobs/e1", 200), `[1,"[encrypted data]"]`)
	})
}

func TestTimeline(t *testing.T) {
	f := newFixture(t)
	now := time.Now()
	at := func(ago time.Duration) float64 { return float64(now.Add(-ago).Unix()) }
	timeline := func(t *testing.T, jid string) (whats []string) {
		t.Helper()
		var p struct{ Timeline []struct{ What string } }
		f.must(json.Unmarshal([]byte(f.sub(t).get("/api/v1/jobs/"+jid, 200)), &p))
		for _, m := range p.Timeline {
			whats = append(whats, m.What)
		}
		return whats
	}
	is := func(t *testing.T, jid, want string) {
		t.Helper()
		same(t, "timeline", strings.Join(timeline(t, jid), " "), want)
	}
	t.Run("of a job that is retried", func(t *testing.T) {
		f.must(f.raw.ZAdd(t.Context(), "retry", z(later, payload("r", "Job", "a",
			now.Add(-time.Hour), fields{"enqueued_at": at(50 * time.Minute), "retry_count": 1,
				"failed_at": at(40 * time.Minute), "retried_at": at(10 * time.Minute)}))).Err())
		is(t, "r", "created enqueued failed failed_again retry")
		f.sub(t).has(f.get("/jobs/r", 200), "failed for the first time", "next attempt")
	})
	t.Run("of a job that runs", func(t *testing.T) {
		f.process("web1:1:abc", fields{"hostname": "web1", "queues": []string{"a"}},
			payload("w", "Job", "a", now.Add(-time.Hour), nil))
		is(t, "w", "created enqueued started")
	})
	t.Run("of a job that was deleted", func(t *testing.T) {
		f.must(f.raw.ZAdd(t.Context(), "dead", z(now, payload("d", "Job", "a",
			now.Add(-time.Hour), nil))).Err())
		f.post("/dead/selected", url.Values{"verb": {"delete"}, "jid": {"d"}})
		is(t, "d", "created enqueued deleted")
		f.sub(t).has(f.get("/jobs/d", 200), "by ada")
	})
}

func TestJobLocks(t *testing.T) {
	f := newFixture(t)
	digest := "uniquejobs:abc"
	f.must(f.raw.ZAdd(t.Context(), "schedule", z(later, payload("waits", "Job", "a", time.Now(),
		fields{"lock": "until_executed", "lock_digest": digest}))).Err())
	f.must(f.raw.HSet(t.Context(), digest+":LOCKED", "holder", "1.5").Err())
	f.must(f.raw.ZAdd(t.Context(), "uniquejobs:digests", redis.Z{Score: 1, Member: digest}).Err())
	f.has(f.get("/jobs/waits", 200), "job holder holds its lock "+digest, "workerctl job holder")
}

func TestLocate(t *testing.T) {
	f := newFixture(t)
	f.enqueue("a", 3)
	f.put("retry", "r", 20_000, later)
	f.put("dead", "d", 1, time.Now())
	f.d.SetSearchTime(time.Nanosecond)
	t.Run("a search that takes long says how far it came, and goes on", func(t *testing.T) {
		f := f.sub(t)
		page := f.get("/jobs/d0", 202)
		f.has(page, "Looking for the job d0", "0 jobs were looked at, of about 20,004",
			"/jobs/d0?after=0.0.0.0.")
		f.d.SetSearchTime(time.Minute)
		f.has(f.get("/jobs/d0?after=0.0.0.0.", 200), "Job d0")
		f.has(f.get("/jobs/d0?after=20003.0.6.0.", 200), "Job d0")
	})
	t.Run("programs go on too", func(t *testing.T) {
		f := f.sub(t)
		f.d.SetSearchTime(time.Nanosecond)
		var p struct{ JID, After string }
		f.must(json.Unmarshal([]byte(f.get("/api/v1/jobs/d0", 202)), &p))
		f.d.SetSearchTime(time.Minute)
		f.has(f.get("/api/v1/jobs/d0?after="+p.After, 200), "d0")
	})
	t.Run("a job that is nowhere is not found", func(t *testing.T) {
		f.sub(t).get("/jobs/nope?after=20003.1.7.0.", 404)
	})
	t.Run("refuses what no search has given", func(t *testing.T) {
		f.sub(t).has(f.get("/jobs/d0?after=x", 400), "want one that a search has given")
	})
}
