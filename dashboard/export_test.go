package dashboard

import (
	"net/http"
	"slices"
	"time"

	"github.com/kyujobs/kyu/dashboard/access"
)

// AddRoute adds a route without a handler's meaning, with a role.
func (d *Dashboard) AddRoute(pattern string, role access.Role) error {
	return d.router.add(route{method: http.MethodGet, pattern: pattern, role: role,
		read: (*request).overview})
}

// SetPatience says how long acts wait for their operations.
func (d *Dashboard) SetPatience(p time.Duration) { d.patience = p }

// SetSearchTime says how long a search for a job may take.
func (d *Dashboard) SetSearchTime(t time.Duration) { d.searchTime = t }

// Texts is the catalogue.
func Texts() map[string]map[string]string { return texts }

// PageFiles are the templates.
var PageFiles = pageFiles

// SetContentAge says for how long the content of a live page is good.
func (d *Dashboard) SetContentAge(age time.Duration) { d.contents.age = age }

// PageKeys and Navigation are the keys and the names of the pages.
var PageKeys, Navigation = pageKeys, slices.Concat(navigation, moreNavigation)

// Plot and Line are a chart and its lines.
type (
	Plot = plot
	Line = line
)

// Measure writes a value in its unit.
var Measure = measure
