package pages

import (
	"net/http"
	"slices"
	"strings"

	"github.com/kyujobs/kyu/dashboard"
	"github.com/kyujobs/kyu/loadtest/lab"
	"github.com/kyujobs/kyu/queue/inspect"
)

// examples are paths of the patterns of routes that have a parameter or need a query. The first
// page of a list costs the least, so a late one is there too.
var examples = map[string][]string{
	"/{$}":                   {"/"},
	"/queues/{name}":         {"/queues/pull", "/queues/pull?page=1000"},
	"/queues/{name}/confirm": {"/queues/pull/confirm?verb=delete"},
	"/retries":               {"/retries", "/retries?page=10000"},
	"/retries/confirm":       {"/retries/confirm?verb=delete"},
	"/scheduled/confirm":     {"/scheduled/confirm?verb=delete"},
	"/dead/confirm":          {"/dead/confirm?verb=delete"},
	"/jobs/{jid}":            nil, // a search
}

// searches read many jobs.
var searches = []string{"/jobs/" + jid(7), "/retries?filter=host:host7.example",
	"/retries?filter=error:nothing+has+this", "/queues/pull?filter=arg:12345",
	"/retries/confirm?verb=kill&filter=retry%3E5"}

// pagesOf are paths of all pages of the table of routes, and the patterns that have no example.
func pagesOf(l *lab.Lab) (paths, left []string, err error) {
	d, err := dashboard.New(dashboard.Options{Store: l.Store, Inspector: inspect.New(l.Store),
		Access: nobody{}})
	if err != nil {
		return nil, nil, err
	}
	defer d.Close()
	for _, r := range d.Routes() {
		list, known := examples[r.Pattern]
		switch {
		case r.Method != http.MethodGet || strings.HasPrefix(r.Pattern, "/api/"):
		case known:
			paths = append(paths, list...)
		case strings.Contains(r.Pattern, "{"):
			left = append(left, r.Pattern)
		default:
			paths = append(paths, r.Pattern)
		}
	}
	slices.Sort(paths)
	return paths, left, nil
}

// nobody is an Access that knows nobody.
type nobody struct{}

func (nobody) Wrap(next http.Handler) http.Handler { return next }
