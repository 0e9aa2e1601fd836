package access

import (
	"net/http"
	"strings"
	"testing"
)

func TestLocal(t *testing.T) {
	a := open(t, Options{Listen: "127.0.0.1:9292"})
	for _, c := range []struct {
		what   string
		change change
		status int
		body   string
	}{
		{"localhost", host("localhost:9292"), 200, "admin local"},
		{"without port", host("localhost"), 200, "admin local"},
		{"127.0.0.1", host("127.0.0.1:9292"), 200, "admin local"},
		{"IPv6", host("[::1]:9292"), 200, "admin local"},
		{"from IPv6", remote("[::1]:4000"), 200, "admin local"},
		{"DNS rebinding", host("evil.example:9292"), 403, `Host is "evil.example:9292"`},
		{"DNS rebinding to a name like localhost", host("localhost.evil.example"), 403, "Host is"},
		{"0.0.0.0", host("0.0.0.0:9292"), 403, "Host is"},
		{"no host", host(""), 403, "Host is"},
		{"another machine", remote("10.0.0.5:1"), 403, "comes from 10.0.0.5"},
		{"a Unix socket", overUnix, 403, "comes from unix"},
		{"a proxy: X-Forwarded-For", header("X-Forwarded-For", "10.0.0.5"), 403, "X-Forwarded-For"},
		{"a proxy: Forwarded", header("Forwarded", "for=10.0.0.5"), 403, "header Forwarded"},
		{"a proxy: X-Real-IP", header("X-Real-IP", "10.0.0.5"), 403, "header X-Real-Ip"},
		{"a proxy: Via", header("Via", "1.1 x"), 403, "header Via"},
		{"another page's form", header("Sec-Fetch-Site", "cross-site"), 403, "Sec-Fetch-Site"},
		{"a page of another port", header("Origin", "http://localhost:8080"), 403, "Origin"},
		{"a sandboxed page", header("Origin", "null"), 403, "Origin"},
	} {
		t.Run(c.what, func(t *testing.T) {
			answered(t, serve(a, "POST", "/", c.change), c.status, c.body)
		})
	}
	t.Run("has no sign-in page", func(t *testing.T) {
		answered(t, serve(a, "GET", "/login"), http.StatusOK, "admin local")
	})
	t.Run("listens only on loopback addresses", func(t *testing.T) {
		for listen, fits := range map[string]bool{"": true, "127.0.0.1:80": true, "[::1]:80": true,
			"localhost:80": true, ":80": false, "0.0.0.0:80": false, "[::]:80": false,
			"10.0.0.1:80": false, "kyu.example:80": false, "unix:/run/kyu.sock": false} {
			_, err := New(Options{Listen: listen})
			if (err == nil) != fits || err != nil && !strings.Contains(err.Error(), "--users") {
				t.Errorf("%q: %v", listen, err)
			}
		}
	})
	t.Run("is nobody as soon as somebody is configured", func(t *testing.T) {
		_, line, _ := NewToken("ci", Admin)
		a := open(t, Options{Listen: "0.0.0.0:80", Tokens: write(t, "tokens", line)})
		answered(t, serve(a, "GET", "/"), http.StatusUnauthorized, "names nobody")
	})
}
