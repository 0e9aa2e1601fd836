package dashboard_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

// form makes a form of names and values in turn.
func form(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

func TestSelected(t *testing.T) {
	f := newFixture(t)
	f.role = "operator"
	f.put("retry", "r", 10, later)
	f.put("dead", "d", 3, time.Now().Add(-time.Hour))
	f.enqueue("a", 3)
	t.Run("retries jobs, says it, and is in the audit", func(t *testing.T) {
		f := f.sub(t)
		to, page := f.post("/retries/selected", form("verb", "retry", "jid", "r1", "jid", "r2",
			"back", "filter=Job&page=2"))
		same(t, "next page", to, "/retries?filter=Job&page=2")
		f.has(page, "Retry now: 2 jobs.")
		f.size("retry", 8)
		f.audited("dashboard retries retry", "retry r1 r2 of retries")
		same(t, "queue", f.raw.LLen(t.Context(), "queue:a").Val(), 5)
	})
	t.Run("kills and deletes", func(t *testing.T) {
		f := f.sub(t)
		f.post("/retries/selected", form("verb", "kill", "jid", "r3"))
		f.post("/retries/selected", form("verb", "delete", "jid", "r4"))
		f.size("retry", 6)
		f.size("dead", 4)
	})
	t.Run("changes jobs of a queue", func(t *testing.T) {
		f := f.sub(t)
		_, page := f.post("/queues/a/selected", form("verb", "delete", "jid", "a1"))
		f.has(page, "Delete: 1 jobs. It can be undone")
		same(t, "queue", f.raw.LLen(t.Context(), "queue:a").Val(), 4)
		f.audited("dashboard the queue a delete", "a1")
	})
	t.Run("names jobs that are not there any more", func(t *testing.T) {
		f := f.sub(t)
		_, page := f.post("/retries/selected", form("verb", "delete", "jid", "r5", "jid", "gone"))
		f.has(page, "Delete: 1 jobs. Not found any more: gone.")
	})
	t.Run("goes back to the page of the job", func(t *testing.T) {
		f := f.sub(t)
		to, page := f.post("/retries/selected", form("verb", "delete", "jid", "r6", "job", "r6"))
		same(t, "next page", to, "/jobs/r6")
		f.has(page, "Deleted", "workerctl undo")
	})
}

func TestForm(t *testing.T) {
	f := newFixture(t)
	f.role = "operator"
	f.put("retry", "r", 4, later)
	t.Run("does nothing without a job", func(t *testing.T) {
		f := f.sub(t)
		_, page := f.post("/retries/selected", form("verb", "delete"))
		f.has(page, "No job was selected")
		f.size("retry", 4)
	})
	t.Run("refuses a verb that the place does not have", func(t *testing.T) {
		f := f.sub(t)
		for path, verb := range map[string]string{"/dead": "kill", "/retries": "forget",
			"/scheduled": "release"} {
			answer := f.send("POST", path+"/selected", form("verb", verb, "jid", "r1"))
			same(t, path, answer.StatusCode, http.StatusBadRequest)
		}
	})
	t.Run("leads to no page outside", func(t *testing.T) {
		f := f.sub(t)
		for _, back := range []string{"//evil.example", "https://evil.example/?a=b", "a\r\nb"} {
			to, _ := f.post("/retries/selected", form("verb", "delete", "back", back))
			if u, err := url.Parse(to); err != nil || u.Host != "" || u.Path != "/retries" {
				t.Errorf("%q leads to %q", back, to)
			}
		}
	})
	t.Run("shows its line once", func(t *testing.T) {
		f := f.sub(t)
		answer := f.send("POST", "/retries/selected", form("verb", "delete"))
		first := f.send("GET", "/retries", nil, answer.Cookies()...)
		f.has(body(first), "No job was selected")
		same(t, "age of the cookie", first.Cookies()[0].MaxAge, -1)
	})
}

var hidden = regexp.MustCompile(`name="as_of" value="(\d+)"`)

func TestMatching(t *testing.T) {
	f := newFixture(t)
	f.put("retry", "r", 30, later)
	t.Run("leaves jobs that came after the question", func(t *testing.T) {
		f := f.sub(t)
		page := f.get("/retries/confirm?verb=delete&filter=jid:r1*", 200)
		f.has(page, "11", "jid:r1*", "Jobs that came later stay.")
		asOf := hidden.FindStringSubmatch(page)[1]
		f.must(f.raw.ZAdd(t.Context(), "retry", z(later, payload("r1late", "Job", "a",
			time.Now().Add(time.Second), fields{"failed_at": float64(time.Now().
				Add(time.Second).Unix())}))).Err())
		_, done := f.post("/retries/matching", form("verb", "delete", "filter", "jid:r1*",
			"as_of", asOf))
		f.has(done, "Delete: 11 jobs.")
		f.size("retry", 20) // 19 others, and the late one
		f.has(f.get("/jobs/r1late", 200), "r1late")
		f.audited("dashboard retries delete", "11 jobs of retries, of the filter jid:r1*")
	})
	t.Run("wants the time of the question", func(t *testing.T) {
		f := f.sub(t)
		for _, asOf := range []string{"", "x", "99999999999999999"} {
			answer := f.send("POST", "/retries/matching", form("verb", "delete", "as_of", asOf))
			same(t, asOf, answer.StatusCode, http.StatusBadRequest)
		}
		f.size("retry", 20)
	})
	t.Run("refuses a wrong filter, and does not take it for all", func(t *testing.T) {
		f := f.sub(t)
		for _, path := range []string{"/retries/confirm?verb=delete&filter=x:y"} {
			f.get(path, 400)
		}
		answer := f.send("POST", "/retries/matching", form("verb", "delete", "filter", "x:y",
			"as_of", "1"))
		same(t, "status", answer.StatusCode, http.StatusBadRequest)
		f.size("retry", 20)
	})
}

func TestSteering(t *testing.T) {
	f := newFixture(t)
	f.fill()
	t.Run("pauses a queue, and ends the pause", func(t *testing.T) {
		f := f.sub(t)
		to, page := f.post("/queues/a/pause", nil)
		same(t, "next page", to, "/queues/a")
		f.has(page, "The queue a is paused.", "Resume the queue")
		same(t, "paused", f.raw.SIsMember(t.Context(), "paused", "a").Val(), true)
		f.audited("dashboard queue pause", "paused a")
		f.post("/queues/a/unpause", nil)
		same(t, "paused", f.raw.SIsMember(t.Context(), "paused", "a").Val(), false)
	})
	t.Run("refuses a queue that nobody knows", func(t *testing.T) {
		same(t, "status", f.send("POST", "/queues/nope/pause", nil).StatusCode, 404)
		same(t, "paused", f.raw.SIsMember(t.Context(), "paused", "nope").Val(), false)
	})
	t.Run("quiets and stops a process", func(t *testing.T) {
		f := f.sub(t)
		_, page := f.post("/processes/web1:1:abc/quiet", nil)
		f.has(page, "web1:1:abc was told to take no more jobs.")
		f.audited("dashboard quiet", "TSTP → web1:1:abc")
		f.post("/processes/web1:1:abc/stop", nil)
		got := f.raw.LRange(t.Context(), "web1:1:abc-signals", 0, -1).Val()
		same(t, "signals", strings.Join(got, " "), "TERM TSTP")
	})
	t.Run("refuses a process that is gone or ignores signals", func(t *testing.T) {
		f := f.sub(t)
		same(t, "gone", f.send("POST", "/processes/web1:2:x/stop", nil).StatusCode, 404)
		f.process("puma:1:x", fields{"hostname": "puma", "embedded": true}, "")
		same(t, "embedded", f.send("POST", "/processes/puma:1:x/stop", nil).StatusCode, 409)
	})
}

func TestOperations(t *testing.T) {
	f := newFixture(t)
	f.put("retry", "r", 5, later)
	id := func(f *fixture) string {
		list, err := f.in.Operations(f.Context(), 1)
		f.must(err)
		return list[0].ID
	}
	t.Run("a deletion can be undone", func(t *testing.T) {
		f := f.sub(t)
		f.post("/retries/selected", form("verb", "delete", "jid", "r0", "jid", "r1"))
		f.size("retry", 3)
		f.has(f.get("/operations", 200), "/operations/"+id(f)+"/undo")
		_, page := f.post("/operations/"+id(f)+"/undo", nil)
		f.has(page, "2 jobs are restored.")
		f.size("retry", 5)
		f.audited("dashboard undo", "restored 2 jobs")
	})
	t.Run("an undo of nothing says why", func(t *testing.T) {
		f := f.sub(t)
		_, page := f.post("/operations/"+id(f)+"/undo", nil)
		f.has(page, "the trash is empty")
	})
	t.Run("an interrupted one can be resumed or cancelled", func(t *testing.T) {
		f := f.sub(t)
		begin := func() {
			_, err := f.in.Begin(t.Context(), inspect.Request{Verb: queue.VerbKill, Set: "retry",
				By: "x", Host: "h"})
			f.must(err)
		}
		begin()
		f.has(f.get("/operations", 200), "interrupted", "/cancel", "/resume")
		_, page := f.post("/operations/"+id(f)+"/cancel", nil)
		f.has(page, "is cancelled")
		f.size("retry", 5)
		begin()
		f.post("/operations/"+id(f)+"/resume", nil)
		f.size("retry", 0)
		same(t, "resume of one that is done", f.send("POST", "/operations/"+id(f)+"/resume",
			nil).StatusCode, http.StatusConflict)
	})
	t.Run("one that does not exist is not found", func(t *testing.T) {
		for _, verb := range []string{"undo", "cancel", "resume"} {
			same(t, verb, f.send("POST", "/operations/nope/"+verb, nil).StatusCode, 404)
		}
	})
}

func TestClose(t *testing.T) {
	f := newFixture(t)
	const jobs = 150_000
	f.put("retry", "r", jobs, later)
	t.Run("interrupts an operation, which another dashboard ends", func(t *testing.T) {
		f := f.sub(t)
		asOf := hidden.FindStringSubmatch(f.get("/retries/confirm?verb=kill", 200))[1]
		f.d.SetPatience(0)
		to, page := f.post("/retries/matching", form("verb", "delete", "as_of", asOf))
		same(t, "next page", to, "/operations")
		f.has(page, "goes on in the background")
		var o *inspect.Operation
		testwait.Until(t, time.Minute, "the operation has changed jobs", func() bool {
			list, err := f.in.Operations(t.Context(), 1)
			f.must(err)
			if len(list) > 0 {
				o = list[0]
			}
			return o != nil && o.Changed > 0
		})
		f.has(f.get("/operations", 200), "running")
		f.d.Close()
		f.has(f.get("/operations", 200), "interrupted")
		same(t, "an act after Close", f.send("POST", "/retries/selected", form("verb", "delete",
			"jid", "r1")).StatusCode, http.StatusServiceUnavailable)
		f.d = f.open()
		f.d.SetPatience(0)
		f.post("/operations/"+o.ID+"/resume", nil)
		testwait.Until(t, time.Minute, "the operation ends", func() bool {
			o, err := f.in.Operation(t.Context(), o.ID)
			f.must(err)
			return o.State == queue.StateDone
		})
		f.size("retry", 0)
	})
}

func TestNew(t *testing.T) {
	t.Run("names everything that is wrong", func(t *testing.T) {
		_, err := dashboard.New(dashboard.Options{Base: "x", StreamURL: "x; script-src *",
			Origins: []string{"example.com"}})
		for _, want := range []string{"Store", "Access", `base "x"`, "stream URL", "origin"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("no %q in %v", want, err)
			}
		}
	})
}
