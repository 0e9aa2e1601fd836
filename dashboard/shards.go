package dashboard

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/kyujobs/kyu/dashboard/access"
	"github.com/kyujobs/kyu/queue/inspect"
)

// A dashboard of several shards has a dashboard of each below it, at /shards/NAME/, with all pages
// and acts. Its own pages show all shards together, or let a person choose one.

// openShards makes the dashboards of the shards.
func (d *Dashboard) openShards() error {
	for _, m := range d.Fleet.Members() {
		o := d.Options
		o.Store, o.Inspector, o.Fleet = m.Store, m.Inspector, nil
		o.Base, o.Live, o.Tickets = d.path("shards", m.Name), nil, nil
		below := newDashboard(o)
		below.over, below.member = d, m
		d.below = append(d.below, below)
		below.router = newRouter(below)
		if err := below.router.addAll(below.routes()); err != nil {
			return err
		}
		if err := below.parsePages(); err != nil {
			return err
		}
		d.router.mux.Handle(o.Base+"/", below.router)
	}
	return nil
}

// several reports whether this is the dashboard of several shards.
func (d *Dashboard) several() bool { return d.Fleet != nil && d.Fleet.Several() }

// home is the dashboard that has what is there once: the files, the stream, the sign-out.
func (d *Dashboard) home() *Dashboard {
	if d.over != nil {
		return d.over
	}
	return d
}

// shardLink is an entry of the line in which a person chooses a shard.
type shardLink struct {
	Name    string // "": all shards
	Path    string
	Current bool
}

// shardLinks lead to the same page of all shards together, and of each.
func (q *request) shardLinks() (list []shardLink) {
	home := q.d.home()
	if !home.several() {
		return nil
	}
	page := strings.TrimPrefix(q.URL.EscapedPath(), q.d.Base)
	list = append(list, shardLink{"", home.Base + page, q.d.over == nil})
	for _, below := range home.below {
		list = append(list, shardLink{below.member.Name, below.Base + page, q.d == below})
	}
	return list
}

// chosen answers a request with ?shard=NAME: the shard's own page, or its data.
func (d *Dashboard) chosen(w http.ResponseWriter, r *http.Request) bool {
	query := r.URL.Query()
	name := query.Get("shard")
	if name == "" || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	page := strings.TrimPrefix(r.URL.EscapedPath(), d.Base)
	for _, below := range d.below {
		if below.member.Name != name || strings.HasPrefix(page, "/shards/") {
			continue
		}
		query.Del("shard")
		to := url.URL{RawQuery: query.Encode()}
		path := below.Base + page
		if !strings.HasPrefix(page, "/api/") {
			if to.RawQuery != "" {
				path += "?" + to.RawQuery
			}
			http.Redirect(w, r, path, http.StatusSeeOther)
			return true
		}
		own := r.Clone(r.Context())
		own.URL.Path, own.URL.RawPath, own.URL.RawQuery = below.Base+strings.TrimPrefix(r.URL.Path,
			d.Base), path, to.RawQuery
		below.router.ServeHTTP(w, own)
		return true
	}
	q := d.request(w, r)
	defer q.cancel()
	q.fail(&problem{http.StatusNotFound, q.t("problem.no_shard", name, strings.Join(d.shardNames(),
		", "))})
	return true
}

func (d *Dashboard) shardNames() (names []string) {
	for _, below := range d.below {
		names = append(names, below.member.Name)
	}
	return names
}

// fleetRoutes are the routes of a dashboard of several shards: the pages that show all of them, and
// for the others a page that lets a person choose.
func (d *Dashboard) fleetRoutes() []route {
	live := func(pattern string, read func(*request) (*view, error)) []route {
		list := d.both(pattern, read)
		list[0].live = true
		return list
	}
	overview := d.page("/{$}", (*request).fleetOverview)
	overview[0].live = true
	list := slices.Concat(overview, d.page("/api/v1/overview", asJSON((*request).fleetOverview)),
		live("/queues", (*request).fleetQueues), live("/queues/{name}", (*request).fleetQueue),
		live("/busy", (*request).fleetBusy), live("/processes", (*request).fleetProcesses),
		live("/processes/{identity}", (*request).fleetProcess), live("/shards", (*request).shards),
		d.page("/stats", (*request).fleetSidekiqStats),
		d.page("/stats/queues", (*request).fleetSidekiqQueues), d.streamRoutes(),
		[]route{{method: "GET", pattern: "/jobs/{jid}", role: access.Viewer,
			serve: (*request).fleetJob}})
	for _, pattern := range []string{"/retries", "/scheduled", "/dead"} {
		list = append(list, d.both(pattern, fleetJobs(pattern))...)
		if !d.ReadOnly {
			list = append(list, route{method: "POST", pattern: pattern + "/selected",
				role: access.Operator, act: fleetSelected(pattern)})
		}
	}
	if !d.ReadOnly {
		act := func(pattern string, role access.Role, act func(*request) (*outcome, error)) {
			list = append(list, route{method: "POST", pattern: pattern, role: role, act: act})
		}
		act("/queues/{name}/pause", access.Operator, (*request).pauseAll)
		act("/queues/{name}/unpause", access.Operator, (*request).unpauseAll)
		act("/processes/{identity}/quiet", access.Operator, (*request).quietAll)
		act("/processes/{identity}/stop", access.Admin, (*request).stopAll)
	}
	return append(list, d.choices(list)...)
}

// choices are the routes of the pages that only the shards have.
func (d *Dashboard) choices(has []route) (list []route) {
	for _, r := range d.below[0].router.routes {
		own := func(o route) bool { return o.method == r.method && o.pattern == r.pattern }
		if r.method != http.MethodGet || r.read == nil || slices.ContainsFunc(has, own) {
			continue
		}
		read := (*request).choose
		if strings.HasPrefix(r.pattern, "/api/") {
			read = ofEach(r.pattern)
		}
		list = append(list, route{method: r.method, pattern: r.pattern, role: r.role, read: read})
	}
	return list
}

// choose is the page that lets a person choose a shard. The line of the shards is on each page.
func (q *request) choose() (*view, error) {
	page := strings.Trim(strings.TrimPrefix(q.URL.Path, q.d.Base), "/")
	nav, _, _ := strings.Cut(page, "/")
	title := q.t("nav." + nav)
	if !slices.Contains(moreNavigation, nav) && !slices.Contains(navigation, nav) {
		title = q.t("shards.choose")
	}
	links := q.shardLinks()[1:]
	if query := q.URL.RawQuery; query != "" {
		for i := range links {
			links[i].Path += "?" + query
		}
	}
	return &view{page: "choose", nav: nav, title: title, data: links}, nil
}

// ofEach answers a program with the data of each shard, by its name.
func ofEach(pattern string) func(*request) (*view, error) {
	return func(q *request) (*view, error) {
		var mu sync.Mutex
		data := map[string]any{}
		_, away, err := inspect.Each(q.ctx, q.d.Fleet, func(_ context.Context,
			m *inspect.Member) (struct{}, error) {
			below := q.d.belowOf(m)
			own := *q
			own.Request, own.d = q.Request.Clone(q.ctx), below
			for _, r := range below.router.routes {
				if r.method != http.MethodGet || r.pattern != pattern {
					continue
				}
				v, err := r.read(&own)
				if err != nil {
					return struct{}{}, err
				}
				mu.Lock()
				data[m.Name] = v.data
				mu.Unlock()
			}
			return struct{}{}, nil
		})
		for _, a := range away {
			data[a.Shard] = problemPage{Error: a.String()}
		}
		return &view{data: data}, err
	}
}

// belowOf is the dashboard of a shard.
func (d *Dashboard) belowOf(m *inspect.Member) *Dashboard {
	i := slices.IndexFunc(d.below, func(b *Dashboard) bool { return b.member == m })
	return d.below[i]
}

// in returns the request as one of the dashboard of a shard.
func (q *request) inShard(name string) (*request, error) {
	for _, below := range q.d.below {
		if below.member.Name == name {
			own := *q
			own.d = below
			return &own, below.member.Answers(q.ctx)
		}
	}
	return nil, &problem{http.StatusNotFound, q.t("problem.no_shard", name,
		strings.Join(q.d.shardNames(), ", "))}
}

// actedEverywhere records an act of a person in all shards that answer.
func (q *request) actedEverywhere(command, what string) {
	here, _ := q.d.Fleet.Here(q.ctx)
	for _, m := range here {
		own := *q
		own.d = q.d.belowOf(m)
		own.acted(command, what)
	}
}

// shardsPage is the data of the page of the shards.
type shardsPage struct {
	Shards []inspect.ShardStatus `json:"shards"`
	base   *Dashboard
}

// Path is the first page of a shard's dashboard.
func (p shardsPage) Path(name string) string { return p.base.path("shards", name) + "/" }

func (q *request) shards() (*view, error) {
	list, err := q.d.Fleet.Status(q.ctx)
	return &view{page: "shards", nav: "shards", title: q.t("nav.shards"),
		data: shardsPage{list, q.d}}, err
}

// pathIn is the path of a page of a shard, for templates.
func (d *Dashboard) pathIn(shard string, parts ...string) string {
	return d.home().path(append([]string{"shards", shard}, parts...)...)
}

// moreFor are the pages behind "More".
func (d *Dashboard) moreFor() []string {
	if d.home().several() {
		return append([]string{"shards"}, moreNavigation...)
	}
	return moreNavigation
}

// awayText names the shards that are away, for a flash.
func awayText(q *request, away []inspect.Away) (text string) {
	for _, a := range away {
		text += " " + q.t("shards.is_away", a.Shard, a.Error)
	}
	return text
}

// byShard splits values such as "b:JID" by the shard.
func byShard(values []string) map[string][]string {
	list := map[string][]string{}
	for _, v := range values {
		shard, value, _ := strings.Cut(v, ":")
		list[shard] = append(list[shard], value)
	}
	return list
}

// fleetSelected makes the act on jobs of several shards that a person has ticked.
func fleetSelected(pattern string) func(*request) (*outcome, error) {
	return func(q *request) (*outcome, error) {
		if err := q.readForm(); err != nil {
			return nil, err
		}
		jids := q.PostForm["jid"]
		back := q.d.path(strings.TrimPrefix(pattern, "/"))
		if query, err := url.ParseQuery(q.PostFormValue("back")); err == nil && len(query) > 0 {
			back += "?" + query.Encode()
		}
		switch {
		case len(jids) == 0:
			return &outcome{flash{q.t("flash.none"), true}, back}, nil
		case len(jids) > maxSelected:
			return nil, &problem{http.StatusBadRequest, q.t("problem.too_many", maxSelected)}
		}
		all := &outcome{to: back}
		chosen := byShard(jids)
		for _, shard := range slices.Sorted(maps.Keys(chosen)) {
			done, err := q.selectedIn(shard, pattern, chosen[shard])
			if err != nil {
				done = &outcome{flash: flash{err.Error(), true}}
			}
			all.Text += fmt.Sprintf(" %s: %s", shard, done.Text)
			all.Bad = all.Bad || done.Bad
		}
		all.Text = strings.TrimSpace(all.Text)
		return all, nil
	}
}

// selectedIn carries out the act of a form on jobs of a shard.
func (q *request) selectedIn(shard, pattern string, jids []string) (*outcome, error) {
	own, err := q.inShard(shard)
	if err != nil {
		return nil, err
	}
	s, err := sources[pattern](own)
	if err != nil {
		return nil, err
	}
	v, err := s.verb(own, q.FormValue("verb"))
	if err != nil {
		return nil, err
	}
	r := s.request(own, v)
	r.JIDs = jids
	return own.operate(s, v, r, "")
}
