package dashboard_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/dashboard/access"
)

// withBase and readOnly are options of a dashboard.
func withBase(o *dashboard.Options) { o.Base = "/kyu/web" }
func readOnly(o *dashboard.Options) { o.ReadOnly = true }

var wildcard = regexp.MustCompile(`\{[a-z]+\}`)

// example is a path of a pattern.
func example(pattern string) string {
	return wildcard.ReplaceAllString(strings.ReplaceAll(pattern, "{$}", ""), "x")
}

func TestRoutes(t *testing.T) {
	f := newFixture(t, withStream)
	table := f.d.Routes()
	allowed := map[string]map[string]bool{} // by path and method
	for _, r := range table {
		path := example(r.Pattern)
		if allowed[path] == nil {
			allowed[path] = map[string]bool{}
		}
		allowed[path][r.Method] = true
	}
	for _, r := range table {
		path := example(r.Pattern)
		for _, role := range []access.Role{access.Nobody, access.Viewer, access.Operator,
			access.Admin} {
			t.Run(r.Method+" "+r.Pattern+" as "+role.String(), func(t *testing.T) {
				f := f.sub(t)
				f.role = role.String()
				answer := f.send(r.Method, path, nil)
				same(t, "refused", answer.StatusCode == http.StatusForbidden, role < r.Role)
			})
		}
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			if !allowed[path][method] {
				t.Run(method+" "+r.Pattern+" is not a method", func(t *testing.T) {
					answer := f.sub(t).send(method, path, nil)
					same(t, "status", answer.StatusCode, http.StatusMethodNotAllowed)
					same(t, "Allow has it", strings.Contains(answer.Header.Get("Allow"), method),
						false)
				})
			}
		}
	}
	t.Run("a route without a role cannot be added", func(t *testing.T) {
		if err := f.d.AddRoute("/open", access.Nobody); err == nil {
			t.Error("no error")
		}
		same(t, "routes", len(f.d.Routes()), len(table))
	})
	t.Run("a viewer can change nothing, an operator not all jobs", func(t *testing.T) {
		for _, r := range table {
			many := strings.HasSuffix(r.Pattern, "/matching") ||
				strings.HasSuffix(r.Pattern, "/stop")
			if r.Method == "POST" && (r.Role == access.Viewer || many && r.Role < access.Admin) {
				t.Errorf("%s %s is for %s", r.Method, r.Pattern, r.Role)
			}
		}
	})
}

func TestReadOnly(t *testing.T) {
	f := newFixture(t)
	acts := slices.DeleteFunc(f.d.Routes(),
		func(r dashboard.Route) bool { return r.Method == "GET" })
	f.put("retry", "r", 3, later)
	f.d = f.open(readOnly)
	t.Run("there is no POST", func(t *testing.T) {
		for _, r := range f.d.Routes() {
			same(t, r.Method+" "+r.Pattern, r.Method, "GET")
		}
		for _, r := range acts {
			answer := f.sub(t).send("POST", example(r.Pattern), nil)
			if answer.StatusCode != http.StatusNotFound &&
				answer.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("POST %s: %d", r.Pattern, answer.StatusCode)
			}
		}
	})
	t.Run("pages have no forms that change something", func(t *testing.T) {
		f := f.sub(t)
		page := f.get("/retries", 200)
		f.has(page, "r0", "read-only")
		f.lacks(page, `method="post"`, "/confirm", `name="jid"`)
	})
}

func TestBase(t *testing.T) {
	f := newFixture(t, withBase)
	f.put("retry", "r", 1, later)
	t.Run("all links are below it", func(t *testing.T) {
		f := f.sub(t)
		for _, path := range []string{"/", "/queues", "/retries", "/operations"} {
			page := f.get("/kyu/web"+path, 200)
			for _, m := range regexp.MustCompile(`(href|action|src)="([^"]*)"`).
				FindAllStringSubmatch(page, -1) {
				if !strings.HasPrefix(m[2], "/kyu/web/") && !strings.HasPrefix(m[2], "#") {
					t.Errorf("%s: %s", path, m[0])
				}
			}
		}
	})
	t.Run("the base without its slash leads to the overview", func(t *testing.T) {
		answer := f.sub(t).send("GET", "/kyu/web", nil)
		same(t, "Location", answer.Header.Get("Location"), "/kyu/web/")
	})
	t.Run("a wrong base is an error", func(t *testing.T) {
		for _, base := range []string{"kyu", "/kyu/", "/", "/a/../b", "/{x}", `/"`} {
			if err := dashboard.CheckBase(base); err == nil {
				t.Errorf("%q: no error", base)
			}
		}
	})
}
