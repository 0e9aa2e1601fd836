package access

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

const (
	startPath    = "/oidc/start"
	callbackPath = "/oidc/callback"

	secureFlow = "__Host-kyu-oidc"
	plainFlow  = "kyu-oidc"       // over plain HTTP to a loopback address
	flowTime   = 10 * time.Minute // from the start of a sign-in to its end
	maxNext    = 1000             // bytes of a path: it must fit into the cookie
)

// flow is a sign-in that is under way at the provider. It is in a sealed cookie, so that only the
// browser that began it can end it.
type flow struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"` // of PKCE
	Next     string `json:"x"`
	Began    int64  `json:"t"` // milliseconds since 1970
}

func (p *provider) flowCookie() string {
	if p.isSecure() {
		return secureFlow
	}
	return plainFlow
}

// begin answers GET /oidc/start: it sends the browser to the provider.
func (a *Access) begin(w http.ResponseWriter, r *http.Request) {
	p := a.oidc
	if p.verifier == nil {
		a.answer(w, r, &refusal{http.StatusServiceUnavailable, textProvider, []any{p.host()},
			errors.New("Connect was not called")})
		return
	}
	next := a.localPath(r.URL.Query().Get("next"))
	if len(next) > maxNext {
		next = a.localPath("")
	}
	f := flow{rand.Text(), rand.Text(), oauth2.GenerateVerifier(), next, time.Now().UnixMilli()}
	setCookie(w, p.flowCookie(), a.sealer.seal(p.flowCookie(), f), flowTime)
	redirect(w, p.oauth.AuthCodeURL(f.State, oidc.Nonce(f.Nonce),
		oauth2.S256ChallengeOption(f.Verifier)))
}

// end answers GET /oidc/callback, to which the provider sends the browser back.
func (a *Access) end(w http.ResponseWriter, r *http.Request) {
	f, no := a.flowOf(r)
	setCookie(w, a.oidc.flowCookie(), "", -time.Second)
	var s session
	if no == nil {
		s, no = a.confirm(w, r, f)
	}
	if no != nil {
		if no.err != nil {
			a.log.Warn("a sign-in by the OpenID provider failed", "error", no.err, "from",
				a.proxies.client(r))
			no.err = nil // is in the log
		}
		a.answer(w, r, no)
		return
	}
	a.log.Info("signed in", "name", s.Name, "role", s.Role.String(), "from", a.proxies.client(r),
		"by", a.oidc.Issuer)
	name := plainCookie
	if a.oidc.isSecure() {
		name = secureCookie
	}
	setCookie(w, name, a.sealer.seal(name, s), SessionTime)
	redirect(w, f.Next)
}

// flowOf returns the sign-in that the browser began, if the provider answers to that one.
func (a *Access) flowOf(r *http.Request) (f flow, no *refusal) {
	name := a.oidc.flowCookie()
	c, err := r.Cookie(name)
	if err != nil || !a.sealer.unseal(name, c.Value, &f) {
		return f, refuse(http.StatusForbidden, textNoFlow, a.oidc.URL)
	}
	age := time.Since(time.UnixMilli(f.Began))
	same := subtle.ConstantTimeCompare([]byte(r.URL.Query().Get("state")), []byte(f.State)) == 1
	if !same || age > flowTime || age < -maxAhead {
		return f, refuse(http.StatusForbidden, textNoFlow, a.oidc.URL)
	}
	return f, nil
}

// confirm asks the provider who the person is, and returns a session of that person.
func (a *Access) confirm(w http.ResponseWriter, r *http.Request, f flow) (session, *refusal) {
	p, query := a.oidc, r.URL.Query()
	if problem := query.Get("error"); problem != "" {
		return session{}, refuse(http.StatusForbidden, textProviderSays, p.host(), short(problem),
			short(query.Get("error_description")))
	}
	client := a.proxies.client(r)
	if wait := a.clients.take(client); wait > 0 { // each try asks the provider
		seconds := int((wait + time.Second - 1) / time.Second)
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		return session{}, refuse(http.StatusTooManyRequests, textTooMany, seconds)
	}
	said, err := p.claims(r, query.Get("code"), f)
	if err != nil {
		return session{}, &refusal{http.StatusForbidden, textProvider, []any{p.host()}, err}
	}
	a.clients.giveBack(client)
	name := p.name(said)
	if name == "" {
		return session{}, refuse(http.StatusForbidden, textNoName, p.NameClaim)
	}
	role := p.roleOf(said)
	if role == Nobody {
		return session{}, refuse(http.StatusForbidden, textNoRole, name)
	}
	revoked, err := a.options.Revoked.Mark(r.Context(), name)
	if err != nil {
		return session{}, &refusal{http.StatusServiceUnavailable, textRevoked, nil, err}
	}
	return session{Name: name, Mark: p.mark, Revoked: revoked, Began: time.Now().UnixMilli(),
		Role: role}, nil
}

// claims exchanges the code for an ID token, and checks it: who signed it, for whom, until when,
// and that it answers to this very sign-in.
func (p *provider) claims(r *http.Request, code string, f flow) (claims, error) {
	ctx := p.context(r.Context())
	token, err := p.oauth.Exchange(ctx, code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return nil, err
	}
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		return nil, errors.New("the provider sent no ID token: does it know the scope openid?")
	}
	id, err := p.verifier.Verify(ctx, raw)
	if err != nil {
		return nil, err
	}
	if subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(f.Nonce)) != 1 {
		return nil, errors.New("the ID token is the answer to another sign-in: its nonce differs")
	}
	said := claims{}
	if err := id.Claims(&said); err != nil {
		return nil, fmt.Errorf("the claims of the ID token: %w", err)
	}
	return said, nil
}

// startURL is the address at which a sign-in by the provider begins.
func (a *Access) startURL(next string) string {
	return a.options.Base + startPath + "?next=" + url.QueryEscape(next)
}
