package dashboard_test

import (
	"encoding/json"
	"testing"

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
