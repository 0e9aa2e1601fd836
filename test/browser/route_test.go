package browser

import (
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/kyujobs/kyu/dashboard"
)

// spot is a page of the dashboard.
type spot struct {
	name   string // its path and query
	url    string
	status int  // of HTTP
	main   bool // it is visited with every look
}

// examples are paths of the patterns of routes that have a parameter or need a query.
func (f *fleet) examples() map[string][]string {
	process := url.PathEscape(f.identity)
	return map[string][]string{
		"/queues/{name}":              {"/queues/pull", "/queues/push"},
		"/queues/{name}/confirm":      {"/queues/pull/confirm?verb=delete"},
		"/processes/{identity}":       {"/processes/" + process},
		"/jobs/{jid}":                 {"/jobs/retried2", "/jobs/busy1", "/jobs/waiting3"},
		"/held/{class}":               {"/held/Reports::Yearly"},
		"/held/{class}/confirm":       {"/held/Reports::Yearly/confirm?verb=release"},
		"/retries":                    {"/retries", "/retries?filter=class:Test::*&page=2"},
		"/retries/confirm":            {"/retries/confirm?verb=kill&filter=class:Test::*"},
		"/scheduled/confirm":          {"/scheduled/confirm?verb=retry"},
		"/dead/confirm":               {"/dead/confirm?verb=delete"},
		"/lanes/{name}":               {"/lanes/push"},
		"/cron/{name}":                {"/cron/nightly%20report"},
		"/metrics/{class}":            {"/metrics/Test::Fail"},
		"/processes/{identity}/lanes": {"/processes/" + process + "/lanes"},
	}
}

// mainPages are the patterns of the pages that are visited with every look.
var mainPages = []string{"/{$}", "/queues", "/queues/{name}", "/retries", "/jobs/{jid}", "/busy",
	"/processes"}

// spots are the pages of the table of routes, and pages that say what is wrong. A pattern with a
// parameter that has no example is an error.
func (f *fleet) spots() (list []spot) {
	f.Helper()
	examples := f.examples()
	for _, pattern := range f.patterns() {
		paths := examples[pattern]
		switch {
		case len(paths) > 0:
		case pattern == "/{$}":
			paths = []string{"/"}
		case strings.Contains(pattern, "{"):
			f.Errorf("the page %s has no example in route_test.go", pattern)
		default:
			paths = []string{pattern}
		}
		for i, path := range paths {
			if !f.isPage(path) {
				continue
			}
			list = append(list, spot{name: path, url: f.url + path, status: http.StatusOK,
				main: i == 0 && slices.Contains(mainPages, pattern)})
		}
	}
	for path, status := range map[string]int{"/nothing": 404, "/jobs/nobody": 404,
		"/retries?filter=age%3E": 400} {
		list = append(list, spot{name: path, url: f.url + path, status: status})
	}
	return append(list, spot{name: "sign in", url: f.signIn + "/queues", status: http.StatusOK})
}

// isPage reports whether a path does not answer with something else than HTML.
func (f *fleet) isPage(path string) bool {
	f.Helper()
	answer, err := http.Get(f.url + path)
	f.Must(err)
	defer answer.Body.Close()
	return answer.StatusCode != http.StatusOK ||
		strings.HasPrefix(answer.Header.Get("Content-Type"), "text/html")
}

// patterns are those of the table of routes, without those of programs.
func (f *fleet) patterns() (list []string) {
	f.Helper()
	d, err := dashboard.New(dashboard.Options{Store: f.Store, Inspector: f.inspector(),
		Access: everybody{}, Log: slog.New(slog.DiscardHandler)})
	f.Must(err)
	defer d.Close()
	for _, r := range d.Routes() {
		if r.Method == http.MethodGet && !strings.HasPrefix(r.Pattern, "/api/") {
			list = append(list, r.Pattern)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// everybody is an Access that knows nobody.
type everybody struct{}

func (everybody) Wrap(next http.Handler) http.Handler { return next }
