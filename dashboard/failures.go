package dashboard

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
)

const (
	// countTime is how long the exact count of failures may take.
	countTime = 8 * time.Second
	// shownGroups is how many classes and hosts the page of errors lists.
	shownGroups = 100
)

// errorsPage is the data of the page of errors.
type errorsPage struct {
	inspect.Failures
	MoreClasses int `json:"more_classes"` // that the page does not show
	MoreHosts   int `json:"more_hosts"`
	base        *Dashboard
}

// Sampled reports whether a number is an estimate.
func (p errorsPage) Sampled() bool { return p.Retries.Sampled || p.Dead.Sampled }

// ClassIn is the path of the jobs of a group in a set, and HostIn that of the jobs for a host.
func (p errorsPage) ClassIn(set string, c inspect.ClassFailure) string {
	return p.filtered(set, inspect.Term("class", c.Class), inspect.Term("error", c.Error))
}

func (p errorsPage) HostIn(set string, h inspect.HostFailure) string {
	return p.filtered(set, inspect.Term("host", h.Host))
}

func (p errorsPage) filtered(set string, terms ...string) string {
	filter := strings.TrimSpace(strings.Join(terms, " "))
	if filter == "" {
		return p.base.path(set)
	}
	return p.base.path(set) + "?" + url.Values{"filter": {filter}}.Encode()
}

func (q *request) errors() (*view, error) {
	within, cancel := context.WithTimeout(q.ctx, countTime)
	defer cancel()
	f, err := q.in().Failures(within, q.FormValue("exact") != "")
	p := errorsPage{Failures: f, base: q.d}
	if n := len(p.Classes); n > shownGroups {
		p.Classes, p.MoreClasses = p.Classes[:shownGroups], n-shownGroups
	}
	if n := len(p.Hosts); n > shownGroups {
		p.Hosts, p.MoreHosts = p.Hosts[:shownGroups], n-shownGroups
	}
	return &view{page: "errors", nav: "errors", title: q.t("nav.errors"), data: p}, err
}
