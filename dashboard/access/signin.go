package access

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

const (
	maxForm   = 8 << 10 // bytes
	maxHashes = 4       // passwords that are checked at the same time: each takes a core's time
)

// signInPage answers GET /login.
func (a *Access) signInPage(w http.ResponseWriter, r *http.Request) {
	a.page(w, r, page{SignIn: true, Next: a.localPath(r.URL.Query().Get("next"))}, nil)
}

// signIn answers POST /login. It says neither whether the name exists nor, by the time that it
// takes, that it does not.
func (a *Access) signIn(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	name, password := r.PostFormValue("name"), r.PostFormValue("password")
	next := a.localPath(r.PostFormValue("next"))
	no := a.crossOrigin(r)
	if no == nil && isExposed(r) {
		no = refuse(http.StatusForbidden, textExposed)
	}
	if no == nil {
		no = a.try(w, r, name, password)
	}
	if no != nil {
		if no.err != nil {
			a.log.Error("cannot sign in", "error", no.err)
		}
		a.page(w, r, page{SignIn: true, Next: next}, no)
		return
	}
	redirect(w, next)
}

// try gives the browser a session if the password is right and the name and the address have
// tries left.
func (a *Access) try(w http.ResponseWriter, r *http.Request, name, password string) *refusal {
	if checkName(name) != nil {
		name = "" // no user has it
	}
	client := a.proxies.client(r)
	wait := a.clients.take(client)
	if wait == 0 && name != "" {
		wait = a.names.take(name)
	}
	if wait > 0 {
		a.log.Warn("too many tries to sign in", "name", name, "from", client)
		seconds := int((wait + time.Second - 1) / time.Second)
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		return refuse(http.StatusTooManyRequests, textTooMany, seconds)
	}
	us, err := a.users.get()
	if err != nil {
		return refuse(http.StatusServiceUnavailable, textFile) // is in the log
	}
	u, right := a.checkPassword(r, us, name, password)
	if !right {
		a.log.Warn("a sign-in failed", "name", name, "from", client)
		return refuse(http.StatusForbidden, textWrong)
	}
	a.clients.giveBack(client)
	a.names.giveBack(name)
	revoked, err := a.options.Revoked.Mark(r.Context(), u.Name)
	if err != nil {
		return &refusal{http.StatusServiceUnavailable, textRevoked, nil, err}
	}
	a.sealer.give(w, r, session{Name: u.Name, Mark: u.mark, Revoked: revoked,
		Began: time.Now().UnixMilli()})
	a.log.Info("signed in", "name", u.Name, "role", u.Role.String(), "from", client)
	return nil
}

// checkPassword checks a password when fewer than maxHashes others are being checked.
func (a *Access) checkPassword(r *http.Request, us *users, name, password string) (user, bool) {
	select {
	case a.hashes <- struct{}{}:
		defer func() { <-a.hashes }()
		return us.check(name, password)
	case <-r.Context().Done():
		return user{}, false
	}
}

// signOut answers POST /logout: it ends all sessions of the person, in all browsers. So a cookie
// that was copied is of no use afterwards.
func (a *Access) signOut(w http.ResponseWriter, r *http.Request) {
	if no := a.crossOrigin(r); no != nil {
		a.answer(w, r, no)
		return
	}
	takeAway(w)
	if s, ok := a.sealer.sessionOf(r); ok {
		if err := a.options.Revoked.Revoke(r.Context(), s.Name); err != nil {
			a.answer(w, r, &refusal{http.StatusServiceUnavailable, textSignOut, nil, err})
			return
		}
		a.log.Info("signed out everywhere", "name", s.Name, "from", a.proxies.client(r))
	}
	redirect(w, a.options.Base+"/login")
}

// bySession returns the person of a request's session. The role is that of the users file now, or
// that which the OpenID provider gave at the sign-in.
func (a *Access) bySession(r *http.Request) (p Person, found bool, no *refusal) {
	us := &users{}
	if a.users != nil {
		var err error
		if us, err = a.users.get(); err != nil {
			return p, false, refuse(http.StatusServiceUnavailable, textFile) // is in the log
		}
	}
	s, ok := a.sealer.sessionOf(r)
	u := us.byName[s.Name]
	if s.Role != Nobody {
		u = user{}
		if a.oidc != nil {
			u = user{Person: Person{s.Name, s.Role}, mark: a.oidc.mark}
		}
	}
	if !ok || u.mark == "" || u.mark != s.Mark {
		return p, false, nil
	}
	revoked, err := a.options.Revoked.Mark(r.Context(), s.Name)
	if err != nil {
		return p, false, &refusal{http.StatusServiceUnavailable, textRevoked, nil, err}
	}
	if revoked != "" && revoked != s.Revoked {
		return p, false, nil
	}
	return u.Person, true, nil
}

// localPath returns a path and query below Base, otherwise the overview's: a link to the sign-in
// page must not lead to another site.
func (a *Access) localPath(next string) string {
	base := a.options.Base
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" ||
		!strings.HasPrefix(u.Path, base+"/") || !strings.HasPrefix(u.EscapedPath(), base+"/") ||
		strings.HasPrefix(u.EscapedPath(), "//") ||
		strings.Contains(u.Path, "/..") ||
		u.Path == base+"/login" || u.Path == base+"/logout" ||
		strings.HasPrefix(u.Path, base+"/oidc/") {
		return base + "/"
	}
	path := u.EscapedPath()
	if u.RawQuery != "" {
		path += "?" + strings.ReplaceAll(u.RawQuery, `\`, "%5C") // browsers take \ for / in a path
	}
	return path
}

// redirect leads a browser to another page.
func redirect(w http.ResponseWriter, address string) {
	secure(w)
	w.Header().Set("Location", address)
	w.WriteHeader(http.StatusSeeOther)
}
