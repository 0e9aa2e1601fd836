package dashboard_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"testing"
	"time"

	"github.com/kyujobs/kyu/capability/cron"
	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// newTools is a fixture whose Store keeps locks and schedules.
func newTools(t *testing.T, change ...func(*dashboard.Options)) *fixture {
	t.Helper()
	f := newFixture(t)
	f.store = f.server.Store(func(c *queue.Config) {
		c.Capabilities = []queue.Capability{unique.Capability(), cron.Capability()}
	})
	f.in = inspect.New(f.store)
	f.d = f.open(change...)
	return f
}

// api reads the data of a page.
func (f *fixture) api(path string, into any) {
	f.Helper()
	if err := json.Unmarshal([]byte(f.get("/api/v1"+path, 200)), into); err != nil {
		f.Errorf("%s: %v", path, err)
	}
}

// translated checks the titles of a page in both languages.
func (f *fixture) translated(path, en, ja string) {
	f.Helper()
	for lang, title := range map[string]string{"en": en, "ja": ja} {
		other := *f
		other.lang = lang
		other.has(other.get(path, 200), title+" · Kyu")
	}
}

func TestHostileTools(t *testing.T) {
	for i, text := range hostile {
		t.Run(fmt.Sprint("text ", i), func(t *testing.T) {
			f := newTools(t)
			f.hostile(text)
			old := time.Now().Add(-time.Hour)
			f.failed("retry", "url", text, text, "https://a.example/"+text)
			f.must(f.raw.ZAdd(f.Context(), "uniquejobs:digests", z(old, "uniquejobs:"+text),
				z(old, text)).Err())
			f.must(f.raw.HSet(f.Context(), "uniquejobs:"+text+":LOCKED", text, old.Unix()).Err())
			breaks(t, f.raw, text)
			f.must(f.raw.SAdd(f.Context(), "kyu:cron", text).Err())
			f.must(f.raw.HSet(f.Context(), "kyu:cron:"+text, "spec", `{"name":`+strconv.Quote(text)+
				`}`, "by", text, "jid", text).Err())
			for _, path := range []string{"/locks", "/cron", "/errors", "/hosts", "/redis",
				"/settings", "/locks?text=" + url.QueryEscape(text[:min(len(text), 500)]),
				"/hosts?text=" + url.QueryEscape(text[:min(len(text), 500)]),
				"/cron/" + url.PathEscape(text[:min(len(text), 500)])} {
				f.harmless(path)
			}
		})
	}
}
