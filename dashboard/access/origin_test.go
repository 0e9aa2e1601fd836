package access

import (
	"strings"
	"testing"
)

func TestCrossOrigin(t *testing.T) {
	a := open(t, Options{Users: write(t, "users", userLine("alice", Admin)),
		Origins: []string{"https://kyu.example"}})
	session := cookie(signedIn(t, a, "alice"))
	for _, c := range []struct {
		what, method, site, origin string
		status                     int
		parts                      []string
	}{
		{"no browser", "POST", "", "", 200, nil},
		{"the same page", "POST", "same-origin", "http://localhost:9292", 200, nil},
		{"an old browser, the same page", "POST", "", "http://localhost:9292", 200, nil},
		{"a trusted origin", "POST", "cross-site", "https://kyu.example", 200, nil},
		{"an old browser, a trusted origin", "POST", "", "https://kyu.example", 200, nil},
		{"reading", "GET", "cross-site", "", 200, nil},
		{"another site", "POST", "cross-site", "https://evil.example", 403, []string{
			`Sec-Fetch-Site is "cross-site"`, `Origin is "https://evil.example"`,
			`Host is "localhost:9292"`, "--origin"}},
		{"a neighbour", "DELETE", "same-site", "https://a.example", 403, []string{
			`Sec-Fetch-Site is "same-site"`}},
		{"an old browser, another site", "PUT", "", "https://evil.example", 403, []string{
			`Origin is "https://evil.example"`, `Host is "localhost:9292"`, "--origin",
			"proxy_set_header Host"}},
		{"a trusted origin with another scheme", "POST", "", "http://kyu.example", 403, nil},
		{"no origin", "POST", "", "null", 403, []string{`Origin is "null"`}},
	} {
		t.Run(c.what, func(t *testing.T) {
			changes := []change{session}
			for name, value := range map[string]string{"Sec-Fetch-Site": c.site,
				"Origin": c.origin} {
				if value != "" {
					changes = append(changes, header(name, value))
				}
			}
			w := serve(a, c.method, "/", changes...)
			answered(t, w, c.status, "")
			for _, part := range c.parts {
				answered(t, w, c.status, part)
			}
		})
	}
	t.Run("protects the sign-in and the sign-out", func(t *testing.T) {
		evil := header("Sec-Fetch-Site", "cross-site")
		w := form(a, "alice", password, "/", evil)
		answered(t, w, 403, "Sec-Fetch-Site")
		if c := w.Header().Get("Set-Cookie"); c != "" {
			t.Errorf("it sets the cookie %s", c)
		}
		w = serve(a, "POST", "/logout", session, evil)
		answered(t, w, 403, "Sec-Fetch-Site")
		if c := w.Header().Get("Set-Cookie"); c != "" {
			t.Errorf("the sign-out sets the cookie %s", c)
		}
		answered(t, serve(a, "GET", "/", session), 200, "admin alice")
	})
	t.Run("knows what an origin is", func(t *testing.T) {
		_, err := New(Options{Origins: []string{"kyu.example", "https://kyu.example/kyu"}})
		if err == nil || strings.Count(err.Error(), "invalid origin") != 2 {
			t.Errorf("the error is %v", err)
		}
	})
}
