package dashboard

import (
	"net/http"
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

// Texts is the catalogue.
func Texts() map[string]map[string]string { return texts }

// PageFiles are the templates.
var PageFiles = pageFiles
