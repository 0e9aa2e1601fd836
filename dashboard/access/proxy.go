package access

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
)

// Proxy says which proxies are trusted, and how they name the person of a request.
type Proxy struct {
	// From are the addresses of the proxies: an address, ADDRESS/BITS, or "unix" for requests over
	// a Unix socket.
	From []string
	// Header has the person's name, such as X-Forwarded-User. The proxy must remove this header
	// from the requests that it receives. "" means that the proxy names nobody; then only
	// X-Forwarded-For counts, for the limits of sign-ins.
	Header string
	// RoleHeader has the role: viewer, operator or admin. "" means that there is none.
	RoleHeader string
	// Roles are the roles of persons without RoleHeader.
	Roles map[string]Role
	// Role is the role of persons without RoleHeader that are not in Roles. Nobody may do nothing.
	Role Role
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9-]+$`)

func (p Proxy) check() error {
	var problems []error
	for _, name := range []string{p.Header, p.RoleHeader} {
		if name != "" && !headerName.MatchString(name) {
			problems = append(problems, fmt.Errorf("%q is not the name of a header", name))
		}
	}
	if p.Header != "" && len(p.From) == 0 {
		problems = append(problems, fmt.Errorf("--proxy-header %s also wants --proxy-from, the "+
			"addresses of the proxies that may send it", p.Header))
	}
	if p.Header == "" && p.RoleHeader != "" {
		problems = append(problems, errors.New("a header with the role also wants --proxy-header"))
	}
	for _, role := range append(slices.Collect(maps.Values(p.Roles)), p.Role) {
		if role < Nobody || role > Admin {
			problems = append(problems, fmt.Errorf("%v is no role", role))
		}
	}
	return errors.Join(problems...)
}

// byProxy returns the person that a trusted proxy names. A request from elsewhere that has the
// proxy's headers is refused.
func (a *Access) byProxy(r *http.Request) (p Person, found bool, no *refusal) {
	proxy := a.options.Proxy
	for _, name := range []string{proxy.Header, proxy.RoleHeader} {
		values := r.Header.Values(name)
		if name == "" || len(values) == 0 {
			continue
		}
		if !a.proxies.sent(r) {
			return p, false, refuse(http.StatusForbidden, textSpoofed, name, from(r))
		}
		if len(values) > 1 {
			return p, false, refuse(http.StatusForbidden, textTwice, name)
		}
	}
	if p.Name = r.Header.Get(proxy.Header); p.Name == "" {
		return p, false, nil
	}
	if len(p.Name) > maxProxyName {
		return p, false, refuse(http.StatusForbidden, textLongName, proxy.Header, maxProxyName)
	}
	role, mapped := proxy.Roles[p.Name]
	if !mapped {
		role = proxy.Role
	}
	if text := r.Header.Get(proxy.RoleHeader); text != "" {
		var err error
		if role, err = ParseRole(text); err != nil {
			return p, false, refuse(http.StatusForbidden, textBadRole, proxy.RoleHeader,
				short(text))
		}
	}
	if role == Nobody {
		return p, false, refuse(http.StatusForbidden, textNoRole, p.Name)
	}
	p.Role = role
	return p, true, nil
}

// maxProxyName is the most bytes of a name that a proxy sends.
const maxProxyName = 256
