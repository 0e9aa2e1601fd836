package dashboard

import (
	"net/url"
	"strings"

	"github.com/kyujobs/kyu/queue/inspect"
)

// hostsPage is the data of the page of the hosts of deliveries.
type hostsPage struct {
	Text string `json:"text"`
	inspect.Hosts
	More int `json:"more"` // hosts that the page does not show
	base *Dashboard
}

// In is the path of the jobs for a host in a set.
func (p hostsPage) In(set, host string) string {
	return p.base.path(set) + "?" + url.Values{"filter": {inspect.Term("host", host)}}.Encode()
}

// Estimated reports whether numbers of jobs are estimates.
func (p hostsPage) Estimated() bool { return p.Retries.Sampled || p.Dead.Sampled }

func (q *request) hosts() (*view, error) {
	jobs := q.d.Jobs
	if jobs == nil {
		jobs = q.d.Store.DB().Shared
	}
	all, err := q.in().Hosts(q.ctx, jobs)
	p := hostsPage{Text: strings.TrimSpace(q.FormValue("text")), Hosts: all, base: q.d}
	p.Hosts.Hosts = []inspect.Host{}
	for _, h := range all.Hosts {
		switch {
		case !strings.Contains(h.Host, strings.ToLower(p.Text)):
		case len(p.Hosts.Hosts) < shownGroups:
			p.Hosts.Hosts = append(p.Hosts.Hosts, h)
		default:
			p.More++
		}
	}
	return &view{page: "hosts", nav: "hosts", title: q.t("nav.hosts"), data: p}, err
}
