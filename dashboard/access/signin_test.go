package access

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func usersOf(t *testing.T, o Options, lines ...string) *Access {
	t.Helper()
	o.Users = write(t, "users", strings.Join(lines, ""))
	return open(t, o)
}

func TestSignIn(t *testing.T) {
	t.Run("gives a session, and leads to the page that was asked for", func(t *testing.T) {
		a := usersOf(t, Options{Base: "/kyu"}, userLine("alice", Operator))
		const page = "/kyu/queues/a%2Fb?page=2&x=%22"
		w := serve(a, "GET", page, html)
		to := w.Header().Get("Location")
		if answered(t, w, 303, ""); to != "/kyu/login?next="+url.QueryEscape(page) {
			t.Errorf("it leads to %s", to)
		}
		w = serve(a, "GET", to, html)
		answered(t, w, 200, `name="next" value="/kyu/queues/a%2Fb?page=2&amp;x=%22"`)
		answered(t, w, 200, `action="/kyu/login"`)
		w = form(a, "alice", password, url.QueryEscape(page))
		if to := w.Header().Get("Location"); w.Code != 303 || to != page {
			t.Errorf("the sign-in is %d to %s", w.Code, to)
		}
		w = serve(a, "GET", "/kyu/", cookie(w.Result().Cookies()[0]))
		answered(t, w, 200, "operator alice")
	})
	t.Run("is offered to those who read, others get 401", func(t *testing.T) {
		a := usersOf(t, Options{}, userLine("alice", Admin))
		answered(t, serve(a, "HEAD", "/", html), 303, "")
		answered(t, serve(a, "GET", "/"), 401, "not signed in")
		w := serve(a, "POST", "/queues", html)
		answered(t, w, 401, "nothing was changed")
		answered(t, w, 401, `<a href="/login">`)
	})
	t.Run("says the same of a wrong name and of a wrong password", func(t *testing.T) {
		a := usersOf(t, Options{}, userLine("alice", Admin))
		one, two := form(a, "alice", "wrong", "/x"), form(a, "bob", "wrong", "/x")
		answered(t, one, 403, "The name or the password is wrong.")
		if one.Body.String() != two.Body.String() || one.Code != two.Code {
			t.Errorf("the answers differ:\n%s\n%s", one.Body, two.Body)
		}
		for _, w := range []http.Header{one.Header(), two.Header()} {
			if w.Get("Set-Cookie") != "" {
				t.Error("it sets a cookie")
			}
		}
	})
	t.Run("reads the form, not the address", func(t *testing.T) {
		a := usersOf(t, Options{}, userLine("alice", Admin))
		query := "name=alice&password=" + url.QueryEscape(password)
		for _, body := range []string{"", "name=alice", "password=" + url.QueryEscape(password)} {
			r := httptest.NewRequest("POST", "/login?"+query, strings.NewReader(body))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			answered(t, send(a, r), 403, "wrong")
		}
	})
	t.Run("reads a form of bounded size", func(t *testing.T) {
		a := usersOf(t, Options{}, userLine("alice", Admin))
		w := form(a, "alice", password, "/"+strings.Repeat("a", maxForm))
		answered(t, w, 403, "wrong")
	})
	t.Run("refuses a password over plain HTTP from another machine", func(t *testing.T) {
		a := usersOf(t, Options{Origins: []string{"http://kyu.example"}}, userLine("alice", Admin))
		for _, host := range []change{host("kyu.example"), host("127.0.0.1:9292")} {
			w := form(a, "alice", password, "/", host, header("Origin", "http://kyu.example"))
			answered(t, w, 403, "plain HTTP")
		}
		w := form(a, "alice", password, "/", header("Origin", "http://localhost:9292"))
		answered(t, w, 303, "")
	})
	t.Run("is logged without the password", func(t *testing.T) {
		var log bytes.Buffer
		a := usersOf(t, Options{Log: slog.New(slog.NewTextHandler(&log, nil))},
			userLine("alice", Admin))
		c := signedIn(t, a, "alice")
		form(a, "bob", "SECRET", "/")
		for _, want := range []string{`msg="signed in" name=alice role=admin from=127.0.0.1`,
			`msg="a sign-in failed" name=bob from=127.0.0.1`} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("the log lacks %q:\n%s", want, log.String())
			}
		}
		for _, secret := range []string{"SECRET", password, c.Value} {
			if strings.Contains(log.String(), secret) {
				t.Errorf("the log has %q", secret)
			}
		}
	})
	t.Run("has nobody's password checked for a browser that has gone", func(t *testing.T) {
		a := usersOf(t, Options{}, userLine("alice", Admin))
		for range maxHashes {
			a.hashes <- struct{}{}
		}
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		w := form(a, "alice", password, "/", func(r *http.Request) { *r = *r.WithContext(gone) })
		answered(t, w, 403, "wrong")
	})
}

func TestSignInLimits(t *testing.T) {
	t.Run("allow five failures a minute from an address", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := usersOf(t, Options{}, userLine("alice", Admin))
			for i := range 5 {
				answered(t, form(a, fmt.Sprint("name", i), "wrong", "/"), 403, "wrong")
			}
			w := form(a, "alice", password, "/")
			if answered(t, w, 429, "12 seconds"); w.Header().Get("Retry-After") != "12" {
				t.Errorf("Retry-After is %q", w.Header().Get("Retry-After"))
			}
			answered(t, form(a, "alice", password, "/", remote("10.0.0.5:1")), 303, "")
			time.Sleep(12 * time.Second)
			answered(t, form(a, "alice", password, "/"), 303, "")
		})
	})
	t.Run("allow five failures a minute with a name, from all addresses", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := usersOf(t, Options{}, userLine("alice", Admin))
			for i := range 5 {
				w := form(a, "alice", "wrong", "/", remote(fmt.Sprintf("10.0.0.%d:1", i)))
				answered(t, w, 403, "wrong")
			}
			answered(t, form(a, "alice", password, "/", remote("10.0.0.9:1")), 429, "too many")
			answered(t, form(a, "bob", "wrong", "/", remote("10.0.0.9:1")), 403, "wrong")
		})
	})
	t.Run("do not count sign-ins", func(t *testing.T) {
		a := usersOf(t, Options{}, userLine("alice", Admin))
		for range 7 {
			signedIn(t, a, "alice")
		}
	})
	t.Run("believe X-Forwarded-For only of trusted proxies", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := usersOf(t, Options{Proxy: Proxy{From: []string{"10.0.0.1"}}},
				userLine("alice", Admin))
			try := func(from string, i int) int {
				return form(a, "", "wrong", "/", remote(from),
					header("X-Forwarded-For", fmt.Sprintf("198.51.100.%d", i))).Code
			}
			for i := range 6 {
				want := 403
				if i == 5 {
					want = 429
				}
				if got := try("203.0.113.5:1", i); got != want {
					t.Errorf("try %d of a stranger: %d", i, got)
				}
				if got := try("10.0.0.1:1", i); got != 403 {
					t.Errorf("try %d through the proxy: %d", i, got)
				}
			}
		})
	})
}

// broken is a Revoked whose Redis does not answer.
type broken struct{}

func (broken) Mark(context.Context, string) (string, error) { return "", errors.New("no Redis") }
func (broken) Revoke(context.Context, string) error         { return errors.New("no Redis") }

func TestSession(t *testing.T) {
	t.Run("ends after 12 hours", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := usersOf(t, Options{}, userLine("alice", Admin))
			c := cookie(signedIn(t, a, "alice"))
			time.Sleep(SessionTime - time.Second)
			answered(t, serve(a, "GET", "/", c), 200, "admin alice")
			time.Sleep(time.Second)
			answered(t, serve(a, "GET", "/", c), 401, "not signed in")
		})
	})
	t.Run("ends everywhere at the sign-out, also for a copy of the cookie", func(t *testing.T) {
		a := usersOf(t, Options{Base: "/kyu"}, userLine("alice", Admin), userLine("bob", Viewer))
		one, two := cookie(signedIn(t, a, "alice")), cookie(signedIn(t, a, "alice"))
		bob := cookie(signedIn(t, a, "bob"))
		w := serve(a, "POST", "/kyu/logout", one)
		if to := w.Header().Get("Location"); w.Code != 303 || to != "/kyu/login" {
			t.Errorf("the sign-out is %d to %s", w.Code, to)
		}
		for _, c := range w.Result().Cookies() {
			if c.Value != "" || c.MaxAge >= 0 {
				t.Errorf("the sign-out sets %v", c)
			}
		}
		if n := len(w.Result().Cookies()); n != 2 {
			t.Errorf("the sign-out removes %d cookies", n)
		}
		for _, c := range []change{one, two} {
			answered(t, serve(a, "GET", "/kyu/", c), 401, "not signed in")
		}
		answered(t, serve(a, "GET", "/kyu/", bob), 200, "viewer bob")
		answered(t, serve(a, "GET", "/kyu/", cookie(signedIn(t, a, "alice"))), 200, "admin alice")
	})
	t.Run("stays ended when the mark of the sign-out has expired", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := usersOf(t, Options{}, userLine("alice", Admin))
			old := cookie(signedIn(t, a, "alice"))
			serve(a, "POST", "/logout", old)
			time.Sleep(time.Hour)
			young := cookie(signedIn(t, a, "alice"))
			time.Sleep(SessionTime - time.Hour + time.Second) // the mark is away
			answered(t, serve(a, "GET", "/", old), 401, "not signed in")
			answered(t, serve(a, "GET", "/", young), 200, "admin alice")
			serve(a, "POST", "/logout", young)
			answered(t, serve(a, "GET", "/", young), 401, "not signed in")
		})
	})
	t.Run("needs no cookie to sign out, and no GET does", func(t *testing.T) {
		a := usersOf(t, Options{}, userLine("alice", Admin))
		answered(t, serve(a, "POST", "/logout"), 303, "")
		c := cookie(signedIn(t, a, "alice"))
		serve(a, "GET", "/logout", c)
		answered(t, serve(a, "GET", "/", c), 200, "admin alice")
	})
	for what, now := range map[string]string{"is removed": userLine("bob", Admin),
		"has another role":          userLine("alice", Viewer),
		"has another password":      "alice:admin:$2a$10$" + strings.Repeat("b", 53),
		"is there again after that": ""} {
		t.Run("ends within a second when the user "+what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := usersOf(t, Options{}, userLine("alice", Admin), userLine("bob", Viewer))
				c := cookie(signedIn(t, a, "alice"))
				status := 401
				if now == "" {
					now, status = userLine("alice", Admin), 200
				}
				rewrite(t, a.options.Users, now)
				time.Sleep(recheck)
				answered(t, serve(a, "GET", "/", c), status, "")
			})
		})
	}
	t.Run("has the role of the file after a new sign-in", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := usersOf(t, Options{}, userLine("alice", Admin))
			rewrite(t, a.options.Users, userLine("alice", Viewer))
			time.Sleep(recheck)
			answered(t, serve(a, "GET", "/", cookie(signedIn(t, a, "alice"))), 200, "viewer alice")
		})
	})
	t.Run("does not count while the users file is wrong", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			a := usersOf(t, Options{}, userLine("alice", Admin))
			c := cookie(signedIn(t, a, "alice"))
			rewrite(t, a.options.Users, userLine("alice", Admin)+"nonsense\n")
			time.Sleep(recheck)
			answered(t, serve(a, "GET", "/", c), 503, "file of users or tokens is wrong")
			answered(t, form(a, "alice", password, "/"), 503, "file of users or tokens is wrong")
		})
	})
	t.Run("of another process counts with the same key only", func(t *testing.T) {
		line, key := userLine("alice", Admin), bytes.Repeat([]byte("k"), 32)
		c := cookie(signedIn(t, usersOf(t, Options{Key: key}, line), "alice"))
		same, other := usersOf(t, Options{Key: bytes.Clone(key)}, line), usersOf(t, Options{}, line)
		answered(t, serve(same, "GET", "/", c), 200, "alice")
		answered(t, serve(other, "GET", "/", c), 401, "not signed in")
	})
	t.Run("does not count when nobody can say whether it has ended", func(t *testing.T) {
		a := usersOf(t, Options{}, userLine("alice", Admin))
		c := cookie(signedIn(t, a, "alice"))
		a.options.Revoked = broken{}
		answered(t, serve(a, "GET", "/", c), 503, "Redis does not say")
		w := form(a, "alice", password, "/")
		if answered(t, w, 503, "Redis does not say"); w.Header().Get("Set-Cookie") != "" {
			t.Error("it sets a cookie")
		}
		w = serve(a, "POST", "/logout", c)
		if answered(t, w, 503, "signed out in this browser"); len(w.Result().Cookies()) != 2 {
			t.Error("it leaves the cookie")
		}
	})
}

func TestLocalPath(t *testing.T) {
	for next, want := range map[string]string{
		"/kyu/": "/kyu/", "/kyu/queues?page=2": "/kyu/queues?page=2", "/kyu/a%2Fb": "/kyu/a%2Fb",
		"": "/kyu/", "/kyu": "/kyu/", "/kyuu/": "/kyu/", "/other": "/kyu/",
		"https://evil.example/kyu/": "/kyu/", "//evil.example/kyu/": "/kyu/",
		"///evil.example/kyu/": "/kyu/", `/\evil.example/kyu/`: "/kyu/", `\\evil.example`: "/kyu/",
		"javascript:alert(1)": "/kyu/", "/kyu/../evil": "/kyu/", "/kyu/%2e%2e/evil": "/kyu/",
		"/kyu/\r\nX: y": "/kyu/", "/\t/evil.example": "/kyu/", "kyu/": "/kyu/",
		"/kyu/login?next=x": "/kyu/", "/kyu/logout": "/kyu/",
		"/kyu//evil.example": "/kyu//evil.example",
		"/kyu/x#y":           "/kyu/x", "http:/kyu/": "/kyu/", "/kyu/%zz": "/kyu/",
	} {
		t.Run(next, func(t *testing.T) {
			a := &Access{options: Options{Base: "/kyu"}}
			if got := a.localPath(next); got != want {
				t.Errorf("it is %q, want %q", got, want)
			}
		})
	}
	t.Run("of no base is no other host", func(t *testing.T) {
		a := &Access{}
		for next, want := range map[string]string{"//evil.example": "/", "////evil.example": "/",
			`/\evil.example`: "/%5Cevil.example", "/queues": "/queues",
			"/%2F/evil.example": "/%2F/evil.example",
			"/.//evil.example":  "/.//evil.example", "%2f0": "/"} {
			if got := a.localPath(next); got != want {
				t.Errorf("%q: %q, want %q", next, got, want)
			}
		}
	})
}

func FuzzLocalPath(f *testing.F) {
	for _, next := range []string{"/kyu/x?y=z", "//evil", `/\evil`, "/kyu//evil", "/%2f/evil",
		"%2f0", `/?\`} {
		f.Add(next)
	}
	origin := &url.URL{Scheme: "https", Host: "kyu.example"}
	f.Fuzz(func(t *testing.T, next string) {
		for _, base := range []string{"", "/kyu"} {
			path := (&Access{options: Options{Base: base}}).localPath(next)
			u, err := url.Parse(path)
			if err != nil || origin.ResolveReference(u).Host != origin.Host ||
				!strings.HasPrefix(path, base+"/") || strings.HasPrefix(path, "//") ||
				strings.ContainsAny(path, "\\\r\n\t") {
				t.Errorf("%q leads to %q: %v", next, path, err)
			}
		}
	})
}
