package dashboard

import (
	"fmt"
	"net/http"
	"strings"
)

// contentPolicy is the Content-Security-Policy of all answers: a page loads only files of the
// dashboard, and no text of a job can become a script.
func contentPolicy(stream string) string {
	return strings.Join([]string{"default-src 'none'", "script-src 'self'", "style-src 'self'",
		"img-src 'self'", strings.TrimSpace("connect-src 'self' " + stream), "form-action 'self'",
		"base-uri 'none'", "frame-ancestors 'none'", "require-trusted-types-for 'script'"}, "; ")
}

// headers sets the headers of all answers.
func (d *Dashboard) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", d.csp)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// crossOrigin answers a request that a page of another site has sent. Behind a proxy that changes
// the Host, the dashboard's own pages look like that, so the answer names what differs.
func (d *Dashboard) crossOrigin(w http.ResponseWriter, r *http.Request) {
	why := "Sec-Fetch-Site is " + r.Header.Get("Sec-Fetch-Site")
	if origin := r.Header.Get("Origin"); origin != "" {
		why = fmt.Sprintf("Origin is %s, Host is %s", origin, r.Host)
	}
	q := d.request(w, r)
	q.fail(&problem{http.StatusForbidden, q.t("problem.cross_origin", why)})
}
