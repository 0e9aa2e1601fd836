package dashboard_test

import (
	"testing"

	"github.com/kyujobs/kyu/dashboard"
)

func TestSettingsPage(t *testing.T) {
	f := newTools(t, func(o *dashboard.Options) {
		o.Settings = []dashboard.Setting{{Name: "redis", Value: "redis://h/0", Source: "REDIS_URL"}}
	})
	for identity, version := range map[string]string{"a:1:x": "8.0", "b:1:x": "8.0",
		"c:1:x": "kyu-1"} {
		f.process(identity, fields{"hostname": "h", "concurrency": 5, "version": version,
			"queues": []string{"push"}, "labels": []string{"big"}}, "{}")
	}
	t.Run("shows program, fleet and roles", func(t *testing.T) {
		f := f.sub(t)
		f.translated("/settings", "Settings", "設定")
		f.has(f.get("/settings", 200), "0.1.0-dev", "redis://h/0", "REDIS_URL", "unique", "cron",
			"kyu-1", "/processes/a:1:x", "big", "/queues/push", "/retries/matching",
			"You are admin")
	})
	t.Run("counts processes by version, as JSON", func(t *testing.T) {
		f := f.sub(t)
		var x struct {
			Fleet []struct {
				Version            string
				Processes, Threads int
			}
			Capabilities []string
		}
		f.api("/settings", &x)
		if len(x.Fleet) != 2 || x.Fleet[0].Version != "8.0" || x.Fleet[0].Processes != 2 ||
			x.Fleet[0].Threads != 10 || len(x.Capabilities) != 2 {
			t.Errorf("%+v", x)
		}
	})
	t.Run("has the role of each route that changes something", func(t *testing.T) {
		f := f.sub(t)
		var x struct{ Acts []struct{ Path, Role string } }
		f.api("/settings", &x)
		want, got := map[string]string{}, map[string]string{}
		for _, r := range f.d.Routes() {
			if r.Method == "POST" {
				want[r.Pattern] = r.Role.String()
			}
		}
		for _, a := range x.Acts {
			got[a.Path] = a.Role
			same(t, a.Path, a.Role, want[a.Path])
		}
		same(t, "acts", len(got), len(want))
	})
	t.Run("says what a viewer may not", func(t *testing.T) {
		f := f.sub(t)
		f.role = "viewer"
		f.has(f.get("/settings", 200), "You are viewer", "not you")
		f.d = f.open(readOnly)
		page := f.get("/settings", 200)
		f.has(page, "read-only")
		f.lacks(page, "/retries/matching")
	})
}
