package access

import (
	"fmt"
	"net/http"
	"strings"
)

// local is the person of every request while nobody else is configured.
var local = Person{"local", Admin}

// checkLocal returns an error for an address at which not only this machine's users can be: then
// somebody must be configured.
func checkLocal(listen string) error {
	if listen == "" || !strings.HasPrefix(listen, "unix:") && isLoopback(hostOf(listen)) {
		return nil
	}
	return fmt.Errorf("other machines may reach %s, and nobody is asked for a password: use "+
		"127.0.0.1:PORT or [::1]:PORT, or say who may with --users, --tokens, --proxy-header or "+
		"--oidc-issuer", listen)
}

// forwarded are the headers that proxies add.
var forwarded = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
	"X-Real-Ip", "Via"}

// byLocal returns the person "local" for a request of this machine. A page elsewhere can make a
// browser of this machine send requests here (DNS rebinding), but then Host is that page's name. A
// proxy on this machine could let everybody in, so what it forwards is refused.
func (a *Access) byLocal(r *http.Request) (Person, *refusal) {
	if addr, _ := peer(r); !addr.IsLoopback() {
		return Person{}, refuse(http.StatusForbidden, textRemote, from(r))
	}
	if !isLoopback(hostOf(r.Host)) {
		return Person{}, refuse(http.StatusForbidden, textHost, short(r.Host))
	}
	for _, name := range forwarded {
		if len(r.Header.Values(name)) > 0 {
			return Person{}, refuse(http.StatusForbidden, textForwarded, name)
		}
	}
	return local, nil
}
