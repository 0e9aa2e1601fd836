package access

import (
	"errors"
	"net/http"
	"net/url"
)

// newCrossOrigin returns the check of requests that another page makes a browser send.
func newCrossOrigin(origins []string) (*http.CrossOriginProtection, error) {
	check := http.NewCrossOriginProtection()
	var problems []error
	for _, origin := range origins {
		problems = append(problems, check.AddTrustedOrigin(origin))
	}
	return check, errors.Join(problems...)
}

// crossOrigin refuses a request that changes something and that another page made a browser send.
// The refusal names the header that differs.
func (a *Access) crossOrigin(r *http.Request) *refusal {
	if a.origins.Check(r) == nil {
		return nil
	}
	origin := r.Header.Get("Origin")
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" {
		return refuse(http.StatusForbidden, textSite, short(site), short(origin), short(r.Host))
	}
	return refuse(http.StatusForbidden, textOrigin, short(origin), short(r.Host))
}

// isExposed reports whether a browser says that its page came over plain HTTP from another
// machine. Its password could be read on the way, and it would not take the cookie.
func isExposed(r *http.Request) bool {
	u, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && u.Scheme == "http" && !isLoopback(u.Hostname())
}

// short shortens a stranger's text for a message.
func short(text string) string {
	if len(text) > 100 {
		return text[:100] + "…"
	}
	return text
}
