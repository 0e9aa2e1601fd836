package access

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
)

//go:embed page.html access.css
var assets embed.FS

var pageTemplate = template.Must(template.ParseFS(assets, "page.html"))

// refusal is an answer other than the page that was asked for.
type refusal struct {
	status int
	text   text
	args   []any // of the text
	err    error // what the log says about it, or nil
}

func refuse(status int, t text, args ...any) *refusal {
	return &refusal{status: status, text: t, args: args}
}

// answer sends the refusal: a page to browsers, a line of text in English to others. A person who
// is not signed in is sent to the sign-in page.
func (a *Access) answer(w http.ResponseWriter, r *http.Request, no *refusal) {
	if no.err != nil {
		a.log.Error("cannot say who sends a request", "error", no.err)
	}
	read := r.Method == http.MethodGet || r.Method == http.MethodHead
	if no.text == textUnknown && read && wantsPage(r) {
		secure(w)
		next := url.QueryEscape(r.URL.RequestURI())
		w.Header().Set("Location", a.options.Base+"/login?next="+next)
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	if no.status == http.StatusUnauthorized && a.tokens != nil {
		w.Header().Set("WWW-Authenticate", `Bearer realm="kyu"`)
	}
	if !wantsPage(r) {
		secure(w)
		http.Error(w, say(languages[0], no), no.status)
		return
	}
	ended := a.oidc != nil && r.URL.Path == a.options.Base+callbackPath
	a.page(w, r, page{Link: no.text == textUnknown || ended}, no)
}

// wantsPage reports whether a browser shows the answer to a person.
func wantsPage(r *http.Request) bool {
	return strings.Contains(r.Header.Get("Accept"), "text/html")
}

func say(language string, no *refusal) string {
	return fmt.Sprintf(catalogue[language][no.text], no.args...)
}

// page is what the template shows.
type page struct {
	Language, Base, Title, Heading string
	Message                        string // why the request was refused, or ""
	SignIn                         bool   // the page is to sign in
	Link                           bool   // to that page
	Next                           string // where the sign-in leads to
	Form                           bool   // for a name and a password
	Start, Provider                string // address and text of the sign-in elsewhere, or ""
	Name, Password, Button         string
}

// page sends a page with the refusal, or without one if it is nil.
func (a *Access) page(w http.ResponseWriter, r *http.Request, p page, no *refusal) {
	p.Language = languageOf(r)
	texts := catalogue[p.Language]
	p.Base, p.Title, p.Heading = a.options.Base, texts[textTitle], texts[textRefused]
	p.Name, p.Password, p.Button = texts[textName], texts[textPassword], texts[textSignIn]
	if p.SignIn {
		p.Heading, p.Form = p.Button, a.users != nil
	}
	if p.SignIn && a.oidc != nil {
		p.Start, p.Provider = a.startURL(p.Next), fmt.Sprintf(texts[textSignInAt], a.oidc.host())
	}
	status := http.StatusOK
	if no != nil {
		p.Message, status = say(p.Language, no), no.status
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, p); err != nil {
		a.log.Error("cannot make a page", "error", err)
		status = http.StatusInternalServerError
	}
	secure(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", p.Language)
	w.WriteHeader(status)
	w.Write(b.Bytes())
}

// secure sets the headers of all own answers. With Referrer-Policy no-referrer, browsers would
// send "Origin: null" with forms, which CrossOriginProtection refuses over plain HTTP.
func secure(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; "+
		"base-uri 'none'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("X-Content-Type-Options", "nosniff")
}

// style sends the style sheet of the own pages.
func style(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "max-age=3600")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	http.ServeFileFS(w, r, assets, "access.css")
}
