package dashboard_test

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// content asks for the content of a page, as its script does.
func (f *fixture) content(path string) *http.Response {
	r := f.request("GET", path)
	r.Header.Set("Kyu-Content", "only")
	return f.do(r)
}

// commands is how many commands Redis has carried out.
func (f *fixture) commands() int {
	f.Helper()
	info, err := f.raw.Info(f.Context(), "stats").Result()
	f.must(err)
	_, rest, _ := strings.Cut(info, "total_commands_processed:")
	n, err := strconv.Atoi(strings.Fields(rest)[0])
	f.must(err)
	return n
}

func TestContent(t *testing.T) {
	f := newFixture(t, withStream)
	f.fill()
	f.d.SetContentAge(time.Hour)
	t.Run("of a live page is what the page has in its place", func(t *testing.T) {
		f := f.sub(t)
		for _, path := range []string{"/", "/queues", "/busy", "/processes",
			"/processes/web1:1:abc", "/operations"} {
			f.has(f.get(path, 200), "data-live", "idiomorph")
			only := body(f.content(path))
			f.lacks(only, "<nav aria", "<header", "ada", "<script", "<dialog")
			same(t, "elements of the content of "+path, strings.Count(only, `id="content"`), 1)
		}
		f.has(body(f.content("/queues")), "/queues/a", "1 / 25")
	})
	t.Run("is the whole page if the page is not live", func(t *testing.T) {
		f := f.sub(t)
		f.lacks(f.get("/retries", 200), "data-live", "idiomorph")
		f.has(body(f.content("/retries")), "Skip to the content")
	})
	t.Run("costs Redis the same for one and for many", func(t *testing.T) {
		f := f.sub(t)
		cost := func(path string, people int) int {
			before := f.commands()
			var all sync.WaitGroup
			for range people {
				all.Go(func() { same(t, "status", f.content(path).StatusCode, 200) })
			}
			all.Wait()
			return f.commands() - before
		}
		same(t, "commands for 50", cost("/queues?n=50", 50), cost("/queues?n=1", 1))
	})
	t.Run("is of the language and the role", func(t *testing.T) {
		f := f.sub(t)
		f.has(body(f.content("/processes/web1:1:abc")), "What it runs", "/web1:1:abc/quiet")
		f.lang = "ja"
		f.lacks(body(f.content("/processes/web1:1:abc")), "What it runs")
		f.lang, f.role = "en", "viewer"
		f.lacks(body(f.content("/processes/web1:1:abc")), "/web1:1:abc/quiet")
	})
	t.Run("is new after a change", func(t *testing.T) {
		f := f.sub(t)
		f.lacks(body(f.content("/queues")), "paused")
		f.post("/queues/a/pause", url.Values{})
		f.has(body(f.content("/queues")), "paused")
	})
	t.Run("is read again when it is old", func(t *testing.T) {
		f := f.sub(t)
		f.d.SetContentAge(0)
		f.lacks(body(f.content("/queues")), "/queues/b")
		f.enqueue("b", 1)
		f.has(body(f.content("/queues")), "/queues/b")
	})
	t.Run("keeps the line about an act for the page", func(t *testing.T) {
		f := f.sub(t)
		answer := f.send("POST", "/queues/a/unpause", url.Values{})
		r := f.request("GET", "/queues")
		r.Header.Set("Kyu-Content", "only")
		for _, c := range answer.Cookies() {
			r.AddCookie(c)
		}
		same(t, "cookies", len(f.do(r).Cookies()), 0)
	})
	t.Run("is refused to nobody, and an error if Redis is away", func(t *testing.T) {
		f := f.sub(t)
		f.server.Kill()
		same(t, "status", f.content("/queues").StatusCode, http.StatusServiceUnavailable)
		f.role = "nobody"
		same(t, "status", f.content("/queues").StatusCode, http.StatusForbidden)
	})
	t.Run("is not live without a stream", func(t *testing.T) {
		f := newFixture(t)
		page := f.get("/queues", 200)
		f.lacks(page, "data-live", "idiomorph", "data-stream", "data-sum")
		f.has(page, "/assets/app.")
	})
}

func TestIndicator(t *testing.T) {
	f := newFixture(t, withStream, withBase)
	t.Run("names the stream at the pages", func(t *testing.T) {
		page := f.sub(t).get("/kyu/web/retries", 200)
		f.sub(t).has(page, "Pause")
		if !strings.Contains(page, `data-stream="/kyu/web/live" data-ticket=""`) {
			t.Error(page)
		}
	})
	t.Run("names the stream elsewhere, and where tickets are", func(t *testing.T) {
		f := f.sub(t)
		f.d = f.open(withBase, elsewhere)
		page := f.get("/kyu/web/retries", 200)
		if !strings.Contains(page, `data-stream="https://stream.example.com/kyu/live" `+
			`data-ticket="/kyu/web/ticket"`) {
			t.Error(page)
		}
	})
}
