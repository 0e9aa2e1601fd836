package dashboard_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/redis/go-redis/v9"
)

// later is when jobs of tests are due.
var later = time.Now().Add(24*time.Hour - time.Minute)

// fill puts something into every place.
func (f *fixture) fill() {
	f.enqueue("a", 3)
	f.put("retry", "r", 30, later)
	f.put("schedule", "s", 2, later)
	f.put("dead", "d", 2, time.Now().Add(-time.Hour))
	f.put("kyu:hold:New::Worker", "h", 2, time.Now().Add(-time.Hour))
	f.must(f.raw.SAdd(f.Context(), "kyu:held", "New::Worker").Err())
	f.process("web1:1:abc", fields{"hostname": "web1", "pid": 1, "tag": "server", "version": "8.0",
		"concurrency": 25, "queues": []string{"a"}, "labels": []string{"fast"},
		"started_at": time.Now().Unix() - 60},
		payload("run0", "Running::Job", "a", time.Now(), nil))
	f.must(f.in.Record(f.Context(), inspect.Act{By: "grace", Host: "h", Command: "retries kill",
		What: "kill r99"}))
	o, err := f.in.Begin(f.Context(), inspect.Request{Verb: "delete", Set: "dead", By: "grace",
		Host: "h", JIDs: []string{"d1"}})
	f.must(err)
	f.must(o.Run(f.Context(), nil))
}

// pages are the paths of pages, their title in English and Japanese, and data that they show.
var pages = []struct {
	path, en, ja string
	data         []string
}{
	{"/", "Overview", "概要", []string{"1</a> / 25", "30</a>", "class New::Worker"}},
	{"/queues", "Queues", "キュー", []string{"/queues/a", "1 / 25"}},
	{"/queues/a", "Queue a", "キュー a", []string{"a0", "arg-a2", "web1:1:abc"}},
	{"/busy", "Busy", "実行中", []string{"Running::Job", "run0", "web1:1:abc", "tid1"}},
	{"/processes", "Processes", "プロセス", []string{"web1:1:abc", "server", "2,048 KiB"}},
	{"/processes/web1:1:abc", "Process web1:1:abc", "プロセス web1:1:abc",
		[]string{"fast", "8.0", "Running::Job"}},
	{"/retries", "Retries", "再試行待ち", []string{"r0", "Boom: it broke", "arg-r24"}},
	{"/scheduled", "Scheduled", "予約", []string{"s0", "s1"}},
	{"/dead", "Dead", "デッド", []string{"d0"}},
	{"/held", "Held", "保留", []string{"New::Worker"}},
	{"/held/New::Worker", "Held jobs of New::Worker", "New::Worker の保留ジョブ",
		[]string{"h0", "h1"}},
	{"/metrics", "Metrics", "メトリクス", []string{"since=400d"}},
	{"/metrics/Foo::Bar", "Metrics of Foo::Bar", "Foo::Bar のメトリクス", []string{"Foo::Bar"}},
	{"/operations", "Operations", "一括操作", []string{"grace"}},
	{"/audit", "Audit", "監査ログ", []string{"grace", "kill r99"}},
	{"/jobs/r3", "Job r3", "Job r3", []string{"it is due in 23h", "Boom", "arg-r3",
		"error_class", "workerctl retries retry r3"}},
	{"/retries/confirm?verb=delete", "Are you sure?", "実行してよろしいですか？",
		[]string{"30"}},
}

func TestPages(t *testing.T) {
	f := newFixture(t)
	f.fill()
	for _, p := range pages {
		for lang, title := range map[string]string{"en": p.en, "ja": p.ja} {
			t.Run(p.path+" in "+lang, func(t *testing.T) {
				f := f.sub(t)
				f.lang = lang
				page := f.get(p.path, 200)
				f.has(page, title+" · Kyu")
				for _, text := range p.data {
					if text != "error_class" && !strings.Contains(page, text) {
						t.Errorf("no %q in:\n%s", text, page)
					}
				}
				if !strings.Contains(page, `<html lang="`+lang+`">`) {
					t.Error("the page does not say its language")
				}
			})
		}
	}
}

func TestJobList(t *testing.T) {
	f := newFixture(t)
	f.put("retry", "r", 60, later)
	t.Run("shows pages", func(t *testing.T) {
		f := f.sub(t)
		f.has(f.get("/retries", 200), "1 to 25 of 60", "arg-r24", "page=2")
		page := f.get("/retries?page=3", 200)
		f.has(page, "51 to 60 of 60", "arg-r59", "page=2")
		f.lacks(page, "page=4", "arg-r49")
	})
	t.Run("shows what a filter chooses, and keeps it", func(t *testing.T) {
		f := f.sub(t)
		page := f.get("/retries?filter=jid:r1*", 200)
		f.has(page, "1 to 11 of 11", "arg-r19", `jid:r1*`)
		f.lacks(page, "arg-r2\"")
		f.has(f.get("/retries?filter=Job&page=2", 200), "26 to 50 of 60",
			"filter=Job&page=3")
	})
	t.Run("shows what is wrong with a filter", func(t *testing.T) {
		f := f.sub(t)
		page := f.get("/retries?filter="+url.QueryEscape("colour:red age>x"), 400)
		f.has(page, `there is no "colour"`, "want age>2h", "colour:red age>x")
		f.lacks(page, "arg-r0")
	})
	t.Run("refuses a queue and a class that nobody knows", func(t *testing.T) {
		f := f.sub(t)
		f.has(f.get("/queues/nope", 404), "There is no queue nope")
		f.has(f.get("/held/Nope", 404), "No job of the class Nope is held")
	})
	t.Run("finds queues whose names need escapes", func(t *testing.T) {
		f := f.sub(t)
		for _, name := range []string{"a/b", "a b?c#d", "a%2Fb", "..%", "キュー"} {
			f.enqueue(name, 1)
			f.has(f.get("/queues", 200), name)
			f.has(f.get("/queues/"+url.PathEscape(name), 200), "Queue "+name,
				"/queues/"+url.PathEscape(name)+"/pause")
		}
	})
}

func TestProblem(t *testing.T) {
	f := newFixture(t)
	t.Run("there is no such page", func(t *testing.T) {
		f.sub(t).has(f.get("/nope", 404), "There is no such page")
	})
	t.Run("a job is nowhere", func(t *testing.T) {
		f.sub(t).has(f.get("/jobs/nope", 404), "job nope: not found")
	})
	t.Run("programs get JSON", func(t *testing.T) {
		var answer struct{ Error string }
		if err := json.Unmarshal([]byte(f.get("/api/v1/jobs/nope", 404)), &answer); err != nil ||
			!strings.Contains(answer.Error, "nope") {
			t.Error(answer, err)
		}
	})
	t.Run("a role is missing", func(t *testing.T) {
		f := f.sub(t)
		f.role = "viewer"
		page := body(f.send("POST", "/retries/matching", url.Values{}))
		f.has(page, "This needs the role admin. You are viewer.")
	})
	t.Run("a page of another site sent the request", func(t *testing.T) {
		f := f.sub(t)
		r := f.request("POST", "/queues/a/pause")
		r.Header.Set("Origin", "https://evil.example")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		answer := f.do(r)
		same(t, "status", answer.StatusCode, http.StatusForbidden)
		f.has(body(answer), "Origin is https://evil.example, Host is example.com")
	})
	t.Run("a page of a trusted origin sent the request", func(t *testing.T) {
		f := f.sub(t)
		f.enqueue("a", 1)
		f.d = f.open(func(o *dashboard.Options) { o.Origins = []string{"https://good.example"} })
		r := f.request("POST", "/queues/a/pause")
		r.Header.Set("Origin", "https://good.example")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		same(t, "status", f.do(r).StatusCode, http.StatusSeeOther)
	})
	t.Run("Redis is away", func(t *testing.T) {
		f := f.sub(t)
		f.server.Kill()
		page := f.get("/queues", 503)
		f.has(page, "Not available", "Redis did not answer as expected", "refused")
		f.get("/api/v1/queues", 503)
	})
}

func TestHeaders(t *testing.T) {
	f := newFixture(t)
	answer := f.send("GET", "/", nil)
	page := body(answer)
	t.Run("a page may load only files of the dashboard", func(t *testing.T) {
		policy := answer.Header.Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'",
			"style-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
			"require-trusted-types-for 'script'"} {
			if !strings.Contains(policy, part) {
				t.Errorf("no %q in %q", part, policy)
			}
		}
		f.sub(t).lacks(page+policy, "<style", "style=", "unsafe", "onclick")
		same(t, "scripts that are no files", structure(t, page)["script"], 0)
	})
	t.Run("a page is not kept, a file for ever", func(t *testing.T) {
		same(t, "page", answer.Header.Get("Cache-Control"), "no-store")
		_, rest, _ := strings.Cut(page, `rel="stylesheet" href="`)
		path, _, _ := strings.Cut(rest, `"`)
		f := f.sub(t)
		f.role = "nobody"
		file := f.send("GET", path, nil)
		same(t, "status", file.StatusCode, 200)
		same(t, "type", file.Header.Get("Content-Type"), "text/css; charset=utf-8")
		same(t, "file", file.Header.Get("Cache-Control"), "public, max-age=31536000, immutable")
	})
	t.Run("HEAD is GET without a body", func(t *testing.T) {
		same(t, "status", f.send("HEAD", "/", nil).StatusCode, 200)
	})
}

func TestSidekiqStats(t *testing.T) {
	f := newFixture(t)
	f.fill()
	f.must(f.raw.Set(f.Context(), "stat:processed", 7, redis.KeepTTL).Err())
	t.Run("has the form of Sidekiq's Web UI", func(t *testing.T) {
		var s struct {
			Sidekiq map[string]float64
			Redis   map[string]string
			Time    string `json:"server_utc_time"`
		}
		f.must(json.Unmarshal([]byte(f.get("/stats", 200)), &s))
		for name, want := range map[string]float64{"processed": 7, "failed": 0, "busy": 1,
			"processes": 1, "enqueued": 3, "scheduled": 2, "retries": 30, "dead": 1,
			"default_latency": 0} {
			got, known := s.Sidekiq[name]
			same(t, name, got, want)
			same(t, name+" is there", known, true)
		}
		if s.Redis["redis_version"] == "" || !strings.HasSuffix(s.Time, " UTC") {
			t.Errorf("%+v", s)
		}
	})
	t.Run("has the sizes of queues", func(t *testing.T) {
		var sizes map[string]int
		f.must(json.Unmarshal([]byte(f.get("/stats/queues", 200)), &sizes))
		same(t, "a", sizes["a"], 3)
	})
}

func TestAPI(t *testing.T) {
	f := newFixture(t)
	f.fill()
	for _, path := range []string{"/overview", "/queues", "/queues/a", "/busy", "/processes",
		"/processes/web1:1:abc", "/retries", "/scheduled", "/dead", "/held", "/held/New::Worker",
		"/operations", "/audit", "/jobs/r3", "/metrics", "/metrics/Foo::Bar"} {
		t.Run(path+" is JSON", func(t *testing.T) {
			var v any
			if err := json.Unmarshal([]byte(f.sub(t).get("/api/v1"+path, 200)), &v); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("a list has jobs and its page", func(t *testing.T) {
		var l struct {
			Jobs []struct{ JID, Class, Error string }
			Page struct{ First, Last, Total int }
		}
		f.must(json.Unmarshal([]byte(f.get("/api/v1/retries?filter=jid:r7", 200)), &l))
		if len(l.Jobs) != 1 || l.Jobs[0].JID != "r7" || l.Jobs[0].Error != "Boom: it broke" ||
			l.Page.Total != 1 {
			t.Errorf("%+v", l)
		}
	})
}
