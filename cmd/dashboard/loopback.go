package main

import (
	"net"
	"net/http"

	"github.com/kyujobs/kyu/dashboard/access"
)

// loopback lets everybody on this machine through, as an admin. It refuses what reaches a loopback
// address from elsewhere: a request that a proxy passes on, and one whose Host is another name,
// which the page of a stranger can make a browser send (DNS rebinding).
type loopback struct{ person access.Person }

func (l loopback) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		peer, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil || !isLoopback(peer) || !isLoopback(nameOf(r.Host)) || forwarded(r) {
			http.Error(w, "The dashboard answers only requests of this machine, without a proxy: "+
				"open http://127.0.0.1 with its port.", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r.WithContext(access.With(r.Context(), l.person)))
	})
}

// nameOf is a Host without its port.
func nameOf(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		return name
	}
	return host
}

// forwarded reports whether a proxy has passed a request on.
func forwarded(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip",
		"Via"} {
		if r.Header.Get(name) != "" {
			return true
		}
	}
	return false
}
