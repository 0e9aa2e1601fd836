package dashboard

import (
	"net/http"
	"slices"

	"github.com/kyujobs/kyu/dashboard/access"
)

// toolsRoutes are the pages of what stands beside the jobs.
func (d *Dashboard) toolsRoutes() (list []route) {
	for pattern, read := range map[string]func(*request) (*view, error){
		"/locks": (*request).locks, "/cron": (*request).cron, "/cron/{name}": (*request).cronEntry,
		"/errors": (*request).errors, "/hosts": (*request).hosts,
		"/redis": (*request).redis, "/postgres": (*request).postgres,
	} {
		list = append(list,
			route{method: http.MethodGet, pattern: pattern, role: access.Viewer, read: read},
			route{method: http.MethodGet, pattern: "/api/v1" + pattern, role: access.Viewer,
				read: asJSON(read)})
	}
	return list
}

// toolsActs are the routes that change what stands beside the jobs.
func (d *Dashboard) toolsActs() []route {
	post := func(pattern string, role access.Role, act func(*request) (*outcome, error)) route {
		return route{method: http.MethodPost, pattern: pattern, role: role, act: act}
	}
	return slices.Concat(
		[]route{post("/locks/selected", access.Operator, (*request).deleteLocks)},
		[]route{post("/cron/{name}/run", access.Operator, (*request).runEntry),
			post("/cron/{name}/pause", access.Operator, (*request).pauseEntry),
			post("/cron/{name}/resume", access.Operator, (*request).resumeEntry),
			post("/cron/{name}/delete", access.Admin, (*request).deleteEntry)})
}
