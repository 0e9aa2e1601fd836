package dashboard_test

import (
	"html"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// failed puts a job into a set, which failed a minute ago.
func (f *fixture) failed(set, jid, class, err string, args ...any) {
	f.Helper()
	ago := time.Now().Add(-time.Minute)
	f.must(f.raw.ZAdd(f.Context(), set, z(ago, payload(jid, class, "a", ago, fields{
		"args": append([]any{}, args...), "error_class": err, "error_message": "because",
		"failed_at": float64(ago.Unix())}))).Err())
}

func TestErrorsPage(t *testing.T) {
	f := newFixture(t)
	f.has(f.get("/errors", 200), "0 jobs, all counted", "No job has failed")
	f.failed("retry", "p1", "Push", "Time out", "https://a.example/inbox")
	f.failed("retry", "p2", "Push", "Time out", "https://a.example/inbox")
	f.failed("retry", "m1", "Mail", "Refused", 7)
	f.failed("dead", "p3", "Push", "Time out", "https://b.example/inbox")
	page := f.get("/errors", 200)
	t.Run("lists classes and hosts", func(t *testing.T) {
		f := f.sub(t)
		f.translated("/errors", "Errors", "エラー")
		f.has(page, "3 jobs, all counted", "1 jobs, all counted", "Push", "Refused", "a.example",
			"because")
		f.lacks(page, "exact=1")
	})
	t.Run("leads to the jobs of a class and of a host", func(t *testing.T) {
		f := f.sub(t)
		for filter, want := range map[string]string{`class:Push error:"Time out"`: "p1",
			"host:a.example": "p2"} {
			link := "/retries?" + url.Values{"filter": {filter}}.Encode()
			f.has(html.UnescapeString(page), link)
			list := f.get(link, 200)
			f.has(list, "1 to 2 of 2", "/jobs/"+want)
		}
		f.has(page, "/dead?filter=host%3Ab.example")
	})
	t.Run("is JSON", func(t *testing.T) {
		f := f.sub(t)
		var x struct {
			Retries struct{ Size, Read int }
			Classes []struct {
				Class         string
				ErrorClass    string `json:"error_class"`
				Retries, Dead int
			}
			Hosts []struct{ Host string }
		}
		f.api("/errors", &x)
		if x.Retries.Read != 3 || x.Classes[0].Retries != 2 || x.Classes[0].Dead != 1 ||
			x.Classes[0].ErrorClass != "Time out" || x.Hosts[0].Host != "a.example" {
			t.Errorf("%+v", x)
		}
	})
}

func TestErrorsOfLargeSets(t *testing.T) {
	f := newFixture(t)
	for page := range 12 {
		var list []redis.Z
		for i := range 1000 {
			list = append(list, redis.Z{Score: float64(page*1000 + i), Member: `{"class":"Many",` +
				`"args":[],"jid":"` + strings.Repeat("x", page) + `","error_class":"E` +
				strings.Repeat("x", i%200) + `","n":` + strings.Repeat("1", 1+i/200) + `}`})
		}
		f.must(f.raw.ZAdd(f.Context(), "retry", list...).Err())
	}
	t.Run("says that numbers are estimates, and offers to count", func(t *testing.T) {
		f := f.sub(t)
		f.has(f.get("/errors", 200), "12,000 jobs; the numbers below are estimates from 5,000",
			"/errors?exact=1", "100 more are not shown")
		f.has(f.get("/errors?exact=1", 200), "12,000 jobs, all counted")
	})
}
