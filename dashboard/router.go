package dashboard

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/kyujobs/kyu/dashboard/access"
)

// route is a row of the table of routes. It has one of read, act and serve.
type route struct {
	method  string // GET, which is also HEAD, or POST
	pattern string // below the base; see http.ServeMux
	role    access.Role
	read    func(*request) (*view, error)
	act     func(*request) (*outcome, error)
	serve   func(*request) // answers by itself; only for GET
	live    bool           // of a page: its content follows the stream, and is the same for a role
}

// router answers the requests of its routes, each only for persons with its role.
type router struct {
	d      *Dashboard
	mux    *http.ServeMux
	routes []route
}

func newRouter(d *Dashboard) *router { return &router{d: d, mux: http.NewServeMux()} }

// Route says who may make a request.
type Route struct {
	Method  string // GET, which is also HEAD, or POST
	Pattern string // below the base, such as /queues/{name}; see http.ServeMux
	Role    access.Role
}

// Routes returns the table of routes of the dashboard, such as for a test that visits each page.
func (d *Dashboard) Routes() (list []Route) {
	for _, r := range d.router.routes {
		list = append(list, Route{r.method, r.pattern, r.role})
	}
	for _, below := range d.below {
		for _, r := range below.router.routes {
			list = append(list, Route{r.method, strings.TrimPrefix(below.Base, d.Base) + r.pattern,
				r.role})
		}
	}
	return list
}

// addAll adds routes. The error names those that are not complete.
func (ro *router) addAll(list []route) error {
	var problems []error
	for _, r := range list {
		problems = append(problems, ro.add(r))
	}
	return errors.Join(problems...)
}

// add adds a route. A route without a role is an error: it would be open to everybody.
func (ro *router) add(r route) error {
	switch {
	case r.role <= access.Nobody || r.role > access.Admin:
		return fmt.Errorf("route %s %s: it has no role", r.method, r.pattern)
	case r.method == http.MethodGet && ((r.read == nil) == (r.serve == nil) || r.act != nil),
		r.method == http.MethodPost && (r.act == nil || r.read != nil || r.serve != nil):
		return fmt.Errorf("route %s %s: want GET with read or serve, or POST with act", r.method,
			r.pattern)
	case r.method != http.MethodGet && r.method != http.MethodPost:
		return fmt.Errorf("route %s %s: want GET or POST", r.method, r.pattern)
	case r.act != nil && ro.d.ReadOnly:
		return fmt.Errorf("route %s %s: a read-only dashboard has no acts", r.method, r.pattern)
	}
	ro.routes = append(ro.routes, r)
	ro.mux.HandleFunc(r.method+" "+ro.d.Base+r.pattern,
		func(w http.ResponseWriter, hr *http.Request) {
			named(hr, r.pattern)
			q := ro.d.request(w, hr)
			defer q.cancel()
			q.answer(r)
		})
	return nil
}

// ServeHTTP answers a request. One that fits no route gets a page that says what is wrong.
func (ro *router) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if ro.d.several() && ro.d.chosen(w, r) {
		return
	}
	handler, pattern := ro.mux.Handler(r)
	if pattern != "" {
		ro.mux.ServeHTTP(w, r)
		return
	}
	refused := &refusal{header: http.Header{}}
	handler.ServeHTTP(refused, r)
	q := ro.d.request(w, r)
	defer q.cancel()
	switch {
	case q.person.Role < access.Viewer:
		q.fail(&problem{http.StatusForbidden, q.t("problem.nobody")})
	case refused.status == http.StatusMethodNotAllowed:
		w.Header().Set("Allow", refused.header.Get("Allow"))
		q.fail(&problem{refused.status, q.t("problem.method", r.Method,
			strings.ReplaceAll(refused.header.Get("Allow"), ",", ", "))})
	default:
		q.fail(&problem{http.StatusNotFound, q.t("problem.no_page")})
	}
}

// refusal keeps what http.ServeMux says about a request that fits no route.
type refusal struct {
	status int
	header http.Header
}

func (r *refusal) Header() http.Header         { return r.header }
func (r *refusal) WriteHeader(status int)      { r.status = status }
func (r *refusal) Write(b []byte) (int, error) { return len(b), nil }

// page is the route of a page for viewers.
func (d *Dashboard) page(pattern string, read func(*request) (*view, error)) []route {
	return []route{{method: "GET", pattern: pattern, role: access.Viewer, read: read}}
}

// both are the routes of a page, and of its data as JSON.
func (d *Dashboard) both(pattern string, read func(*request) (*view, error)) []route {
	return slices.Concat(d.page(pattern, read), d.page("/api/v1"+pattern, asJSON(read)))
}

// routes is the table. Everything that changes something is a POST.
func (d *Dashboard) routes() []route {
	page, both := d.page, d.both
	live := func(pattern string, read func(*request) (*view, error)) []route {
		list := both(pattern, read)
		list[0].live = true
		return list
	}
	overview := page("/{$}", (*request).overview)
	overview[0].live = true
	list := slices.Concat(overview, page("/api/v1/overview", asJSON((*request).overview)),
		live("/queues", (*request).queues), live("/busy", (*request).busy),
		live("/processes", (*request).processes),
		live("/processes/{identity}", (*request).process), both("/jobs/{jid}", (*request).job),
		live("/lanes", (*request).queuesWithLanes), live("/lanes/{name}", (*request).queueLanes),
		both("/held", (*request).held), live("/operations", (*request).operations),
		both("/audit", (*request).audit), page("/stats", (*request).sidekiqStats),
		page("/stats/queues", (*request).sidekiqQueues), d.toolsRoutes(), d.lanesRoutes(),
		d.classesRoutes(), d.outboxRoutes())
	for pattern, open := range sources {
		list = append(list, both(pattern, listOf(open))...)
	}
	list = slices.Concat(list, d.streamRoutes(), d.metricsRoutes())
	if d.ReadOnly {
		return list
	}
	return append(list, d.acts()...)
}

// acts are the routes that change something, and the pages that ask before.
func (d *Dashboard) acts() []route {
	post := func(pattern string, role access.Role, act func(*request) (*outcome, error)) route {
		return route{method: "POST", pattern: pattern, role: role, act: act}
	}
	list := []route{
		post("/queues/{name}/pause", access.Operator, (*request).pause),
		post("/queues/{name}/unpause", access.Operator, (*request).unpause),
		post("/processes/{identity}/quiet", access.Operator, (*request).quiet),
		post("/processes/{identity}/stop", access.Admin, (*request).stop),
		post("/operations/{id}/undo", access.Operator, (*request).undo),
		post("/operations/{id}/cancel", access.Operator, (*request).cancelOperation),
		post("/operations/{id}/resume", access.Admin, (*request).resume),
	}
	for pattern, open := range sources {
		list = append(list, post(pattern+"/selected", access.Operator, selected(open)),
			post(pattern+"/matching", access.Admin, matching(open)),
			route{method: "GET", pattern: pattern + "/confirm", role: access.Admin,
				read: confirm(open)})
	}
	return slices.Concat(list, d.toolsActs(), d.outboxActs(), queueLanesActs())
}
