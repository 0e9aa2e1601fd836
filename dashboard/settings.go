package dashboard

import (
	"cmp"
	"net/http"
	"runtime"
	"slices"
	"strings"

	"github.com/kyujobs/kyu/dashboard/access"
	"github.com/kyujobs/kyu/internal/version"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// Setting is a setting of the program that serves the dashboard, for its page.
type Setting struct {
	Name   string `json:"name"`
	Value  string `json:"value"`  // without secrets
	Source string `json:"source"` // a variable, a flag, a file, or "default"
}

// settingsPage is the data of the page of settings.
type settingsPage struct {
	Version      string    `json:"version"`
	Go           string    `json:"go"`
	Base         string    `json:"base"`
	ReadOnly     bool      `json:"read_only"`
	Redis        string    `json:"redis_version"`
	Capabilities []string  `json:"capabilities"`
	Settings     []Setting `json:"settings"`
	Limits       limits    `json:"limits"`
	Fleet        []release `json:"fleet"`
	Workers      []program `json:"processes"`
	Role         string    `json:"role"` // of the person
	Acts         []right   `json:"acts"` // what changes something, and who may
}

// limits are those of the dashboard.
type limits struct {
	Page      int     `json:"jobs_of_a_page"`
	Form      int     `json:"jobs_of_a_form"`
	Search    float64 `json:"search_seconds"`
	Answer    float64 `json:"answer_seconds"`
	Undo      float64 `json:"undo_seconds"`
	Operation float64 `json:"operation_in_page_seconds"` // a longer one goes on in the background
}

// release are the processes of one version.
type release struct {
	Version   string `json:"version"`
	Processes int    `json:"processes"`
	Threads   int    `json:"threads"`
	Quiet     int    `json:"quiet_processes"`
}

// program is how a process was started.
type program struct {
	Identity string   `json:"identity"`
	Version  string   `json:"version"`
	Threads  int      `json:"threads"`
	Queues   []string `json:"queues"`
	Labels   []string `json:"labels"`
	Pool     int      `json:"postgres_pool"` // 0 if not known
	Classes  int      `json:"classes"`       // for which it has handlers; 0 if not known
}

// right is a route that changes something, and the least role that may.
type right struct {
	Path string `json:"path"`
	Role string `json:"role"`
}

func (q *request) settings() (*view, error) {
	processes, err := q.in().Processes(q.ctx)
	if err != nil {
		return nil, err
	}
	served, err := q.in().Served(q.ctx)
	if err != nil {
		return nil, err
	}
	p := settingsPage{Version: version.String(), Go: runtime.Version(), Base: q.d.Base,
		ReadOnly: q.d.ReadOnly, Redis: q.d.Store.Server().Version,
		Capabilities: append([]string{}, q.d.Store.Capabilities()...),
		Settings:     append([]Setting{}, q.d.Settings...),
		Limits: limits{pageSize, maxSelected, searchTime.Seconds(), answerWithin.Seconds(),
			queue.TrashFor.Seconds(), patience.Seconds()},
		Fleet: releases(processes), Workers: programs(processes, served),
		Role: q.person.Role.String(), Acts: q.d.rights()}
	return &view{page: "settings", nav: "settings", title: q.t("nav.settings"), data: p}, nil
}

// releases are the processes by version.
func releases(processes []inspect.Process) []release {
	list := []release{}
	for _, p := range processes {
		i := slices.IndexFunc(list, func(r release) bool { return r.Version == p.Version })
		if i < 0 {
			i, list = len(list), append(list, release{Version: p.Version})
		}
		list[i].Processes++
		list[i].Threads += p.Concurrency
		if p.Quiet {
			list[i].Quiet++
		}
	}
	slices.SortFunc(list, func(a, b release) int { return cmp.Compare(a.Version, b.Version) })
	return list
}

// programs are how the processes were started, those of Ruby too.
func programs(processes []inspect.Process, served map[string]inspect.Served) []program {
	list := []program{}
	for _, p := range processes {
		s := served[p.Identity]
		list = append(list, program{p.Identity, p.Version, p.Concurrency,
			append([]string{}, p.Queues...), append([]string{}, p.Labels...), s.Pool,
			len(s.Classes)})
	}
	return list
}

// rights are the routes that change something, by the least role that may.
func (d *Dashboard) rights() []right {
	var routes []route
	for _, r := range d.router.routes {
		if r.method == http.MethodPost {
			routes = append(routes, r)
		}
	}
	slices.SortFunc(routes, func(a, b route) int {
		return cmp.Or(cmp.Compare(a.role, b.role), strings.Compare(a.pattern, b.pattern))
	})
	list := []right{}
	for _, r := range routes {
		list = append(list, right{r.pattern, r.role.String()})
	}
	return list
}

// May reports whether the person may use a route of a role.
func (p settingsPage) May(role string) bool {
	own, _ := access.ParseRole(p.Role)
	least, err := access.ParseRole(role)
	return err == nil && own >= least
}
