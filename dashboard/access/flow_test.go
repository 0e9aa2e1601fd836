package access

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/testwait"
)

// site is a dashboard below /kyu whose persons an OpenID provider signs in, and a browser.
type site struct {
	*Access
	idp     *idp
	url     string
	browser *http.Client
	log     *testwait.Log
}

// openSite starts a site. change changes its options.
func openSite(t *testing.T, change func(*Options)) *site {
	t.Helper()
	s := &site{idp: startIDP(t), log: &testwait.Log{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p := From(r.Context())
			fmt.Fprintf(w, "%s %s at %s", p.Role, p.Name, r.URL.RequestURI())
		})).ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	o := Options{Base: "/kyu", Log: slog.New(slog.NewTextHandler(s.log, nil)),
		OIDC: &OIDC{Issuer: s.idp.URL, ClientID: "kyu", Secret: clientSecret, URL: server.URL,
			RoleClaim: "groups", Roles: map[string]Role{"ops": Operator, "root": Admin}}}
	if change != nil {
		change(&o)
	}
	s.Access = open(t, o)
	if err := s.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.browser = newBrowser(t)
	return s
}

func newBrowser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Jar: jar, Transport: transport}
}

// get opens a page as a browser does, with all redirects.
func (s *site) get(t *testing.T, path string) (status int, text string) {
	t.Helper()
	r, _ := http.NewRequestWithContext(t.Context(), "GET", s.url+path, nil)
	r.Header.Set("Accept", "text/html")
	answer, err := s.browser.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	b, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(b)
}

// is checks the status and a part of a page.
func (s *site) is(t *testing.T, path string, status int, part string) {
	t.Helper()
	if got, text := s.get(t, path); got != status || !strings.Contains(text, part) {
		t.Errorf("%s is %d %q, want %d with %q; the log is %s", path, got, text, status, part,
			s.log)
	}
}

const startAt = "/kyu/oidc/start?next=%2Fkyu%2Fqueues%3Fa%3D1"

func TestOIDC(t *testing.T) {
	s := openSite(t, nil)
	s.idp.person(map[string]any{"preferred_username": "ada", "groups": []any{"ops", "staff"}})
	t.Run("offers the sign-in", func(t *testing.T) {
		u, _ := url.Parse(s.idp.URL)
		s.is(t, "/kyu/queues?a=1", 200, "Sign in with "+u.Host)
		if _, text := s.get(t, "/kyu/queues?a=1"); !strings.Contains(text, startAt) ||
			strings.Contains(text, "<form") {
			t.Error(text)
		}
	})
	t.Run("signs a person in, with the claimed role, and leads to the page", func(t *testing.T) {
		s.is(t, startAt, 200, "operator ada at /kyu/queues?a=1")
		s.is(t, "/kyu/", 200, "operator ada at /kyu/")
	})
	t.Run("keeps no secret in the log", func(t *testing.T) {
		if text := s.log.String(); !strings.Contains(text, "name=ada role=operator") ||
			strings.Contains(text, clientSecret) {
			t.Error(text)
		}
	})
	t.Run("signs a person out everywhere", func(t *testing.T) {
		u, _ := url.Parse(s.url)
		copied := s.browser.Jar.Cookies(u)
		answer, err := s.browser.Post(s.url+"/kyu/logout", "text/plain", nil)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		s.is(t, "/kyu/", 200, "Sign in with")
		s.browser.Jar.SetCookies(u, copied)
		s.is(t, "/kyu/", 200, "Sign in with")
		s.is(t, startAt, 200, "operator ada")
	})
	t.Run("leads to no other site", func(t *testing.T) {
		s.is(t, "/kyu/oidc/start?next=https://elsewhere.example/", 200, "operator ada at /kyu/")
		s.is(t, "/kyu/oidc/start?next=/kyu/"+strings.Repeat("x", 3000), 200,
			"operator ada at /kyu/")
	})
}

func TestOIDCRefusals(t *testing.T) {
	ada := map[string]any{"preferred_username": "ada", "groups": "root"}
	with := func(name string, value any) map[string]any {
		return map[string]any{"preferred_username": "ada", "groups": "root", name: value}
	}
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what   string
		person map[string]any
		part   string // of the page
		log    string
	}{
		{"a person without a role", with("groups", []any{"staff", 7}), "has no role", ""},
		{"a person without a name", with("preferred_username", nil), "no usable claim", ""},
		{"a token of another sign-in", with("nonce", "x"), "did not confirm", "nonce differs"},
		{"a token for another client", with("aud", "other"), "did not confirm", "audience"},
		{"a token of another provider", with("iss", "https://x"), "did not confirm", "different"},
		{"a token that has expired", with("exp", 1), "did not confirm", "expired"},
		{"no token", with("sub", nil), "did not confirm", "no ID token"},
		{"a token that another key has signed", ada, "did not confirm", "signature"},
	} {
		t.Run(c.what, func(t *testing.T) {
			s := openSite(t, nil)
			s.idp.person(c.person)
			if strings.Contains(c.what, "another key") {
				s.idp.signer = stranger
			}
			s.is(t, startAt, 403, c.part)
			if !strings.Contains(s.log.String(), c.log) {
				t.Errorf("no %q in %s", c.log, s.log)
			}
			s.is(t, "/kyu/", 200, "Sign in with")
		})
	}
	t.Run("what the provider refuses is said, as text", func(t *testing.T) {
		s := openSite(t, nil)
		s.idp.deny = "access_denied"
		s.is(t, startAt, 403, "access_denied &lt;b&gt;no")
	})
	t.Run("a sign-in that another browser began", func(t *testing.T) {
		s := openSite(t, nil)
		s.idp.person(ada)
		other := newBrowser(t)
		other.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
			if strings.HasPrefix(r.URL.Path, "/kyu/oidc/callback") {
				return http.ErrUseLastResponse
			}
			return nil
		}
		answer, err := other.Get(s.url + startAt)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		back, _ := url.Parse(answer.Header.Get("Location"))
		s.is(t, back.RequestURI(), 403, "has not begun this sign-in")
		s.get(t, "/kyu/login") // a browser with a sign-in of its own
		s.browser.CheckRedirect = other.CheckRedirect
		s.get(t, startAt)
		s.is(t, back.RequestURI(), 403, "has not begun this sign-in")
	})
	t.Run("too many tries", func(t *testing.T) {
		s := openSite(t, nil)
		s.idp.person(with("nonce", "x"))
		for range attempts {
			s.is(t, startAt, 403, "did not confirm")
		}
		s.is(t, startAt, 429, "too many tries")
	})
}

func TestOIDCSessions(t *testing.T) {
	s := openSite(t, nil)
	s.idp.person(map[string]any{"preferred_username": "ada", "groups": "root"})
	s.is(t, startAt, 200, "admin ada")
	settings, key := s.options, make([]byte, minKey)
	again := func(t *testing.T, change func(*Options)) {
		t.Helper()
		o := settings
		oidc := *o.OIDC
		o.Key, o.OIDC = key, &oidc
		change(&o)
		s.Access = open(t, o)
		if err := s.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	again(t, func(*Options) {})
	s.is(t, startAt, 200, "admin ada")
	t.Run("outlast a new start with the same key and settings", func(t *testing.T) {
		again(t, func(*Options) {})
		s.is(t, "/kyu/", 200, "admin ada")
	})
	t.Run("end when the roles change", func(t *testing.T) {
		again(t, func(o *Options) { o.OIDC.Roles = map[string]Role{"root": Viewer} })
		s.is(t, "/kyu/", 200, "Sign in with")
	})
	t.Run("go beside users with passwords", func(t *testing.T) {
		again(t, func(o *Options) { o.Users = write(t, "users", userLine("bob", Viewer)) })
		s.is(t, "/kyu/", 200, "admin ada")
		answer, err := newBrowser(t).Get(s.url + "/kyu/login")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		b, _ := io.ReadAll(answer.Body)
		if !strings.Contains(string(b), "<form") || !strings.Contains(string(b), "Sign in with") {
			t.Errorf("%s", b)
		}
	})
	t.Run("are none of a dashboard without the provider", func(t *testing.T) {
		o := settings
		o.Key, o.OIDC, o.Users = key, nil, write(t, "users", userLine("ada", Viewer))
		s.Access = open(t, o)
		s.is(t, "/kyu/", 200, "<form")
	})
}

func TestConnect(t *testing.T) {
	settings := func(issuer string) *OIDC {
		return &OIDC{Issuer: issuer, ClientID: "kyu", URL: "https://kyu.example", Role: Viewer}
	}
	t.Run("says that the provider does not answer", func(t *testing.T) {
		gone := httptest.NewServer(nil)
		gone.Close()
		err := open(t, Options{OIDC: settings(gone.URL)}).Connect(t.Context())
		if err == nil || !strings.Contains(err.Error(), "--oidc-issuer "+gone.URL) ||
			!strings.Contains(err.Error(), "refused") {
			t.Error(err)
		}
	})
	t.Run("says that the provider has another name", func(t *testing.T) {
		err := open(t, Options{OIDC: settings(startIDP(t).URL + "/")}).Connect(t.Context())
		if err == nil || !strings.Contains(err.Error(), "did not match") {
			t.Error(err)
		}
	})
	t.Run("ends with its context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		err := open(t, Options{OIDC: settings(startIDP(t).URL)}).Connect(ctx)
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Run("is needed before a sign-in, and not without a provider", func(t *testing.T) {
		a := open(t, Options{OIDC: settings("http://localhost:1")})
		answered(t, serve(a, "GET", startPath, html), 503, "did not confirm")
		if err := open(t, Options{}).Connect(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("begins with cookies that only HTTPS carries", func(t *testing.T) {
		a := open(t, Options{OIDC: settings(startIDP(t).URL)})
		if err := a.Connect(t.Context()); err != nil {
			t.Fatal(err)
		}
		w := serve(a, "GET", startPath, host("kyu.example"))
		c := w.Result().Cookies()[0]
		target, _ := url.Parse(w.Header().Get("Location"))
		if c.Name != secureFlow || !c.Secure || !c.HttpOnly ||
			c.MaxAge != int(flowTime/time.Second) ||
			target.Query().Get("redirect_uri") != "https://kyu.example/oidc/callback" ||
			target.Query().Get("scope") != "openid profile email" {
			t.Errorf("%+v, %s", c, target)
		}
	})
}
