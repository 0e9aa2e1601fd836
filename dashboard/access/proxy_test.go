package access

import (
	"strings"
	"testing"
)

func TestProxy(t *testing.T) {
	a := open(t, Options{Proxy: Proxy{From: []string{"10.0.0.0/8", "unix"},
		Header: "X-Forwarded-User", RoleHeader: "X-Forwarded-Role",
		Roles: map[string]Role{"mapped": Operator, "banned": Nobody}, Role: Viewer}})
	user, role := "X-Forwarded-User", "X-Forwarded-Role"
	inside := remote("10.0.0.1:1")
	for _, c := range []struct {
		what    string
		changes []change
		status  int
		body    string
	}{
		{"the role of the header", []change{inside, header(user, "a"), header(role, "admin")},
			200, "admin a"},
		{"the role of the map", []change{inside, header(user, "mapped")}, 200, "operator mapped"},
		{"the header before the map", []change{inside, header(user, "mapped"),
			header(role, "viewer")}, 200, "viewer mapped"},
		{"the role of all others", []change{inside, header(user, "a")}, 200, "viewer a"},
		{"no role", []change{inside, header(user, "banned")}, 403, `"banned" has no role`},
		{"a wrong role", []change{inside, header(user, "a"), header(role, "root")}, 403,
			`X-Forwarded-Role says "root"`},
		{"nobody", []change{inside}, 401, "no header X-Forwarded-User"},
		{"an empty name", []change{inside, header(user, "")}, 401, "no header X-Forwarded-User"},
		{"two names", []change{inside, header(user, "a"), header(user, "b")}, 403,
			"X-Forwarded-User more than once"},
		{"two roles", []change{inside, header(user, "a"), header(role, "viewer"),
			header(role, "admin")}, 403, "X-Forwarded-Role more than once"},
		{"a long name", []change{inside, header(user, strings.Repeat("a", 257))}, 403,
			"more than 256 bytes"},
		{"a Unix socket", []change{overUnix, header(user, "a")}, 200, "viewer a"},
		{"a stranger's name", []change{remote("203.0.113.5:1"), header(user, "a")}, 403,
			"header X-Forwarded-User, but it comes from 203.0.113.5"},
		{"a stranger's role", []change{remote("203.0.113.5:1"), header(role, "admin")}, 403,
			"header X-Forwarded-Role, but it comes from 203.0.113.5"},
		{"a name of this machine", []change{header(user, "a")}, 403, "it comes from 127.0.0.1"},
		{"a stranger who says to be forwarded", []change{remote("203.0.113.5:1"),
			header(user, "a"), header("X-Forwarded-For", "10.0.0.1")}, 403, "from 203.0.113.5"},
		{"a stranger without name", []change{remote("203.0.113.5:1")}, 401, "no header"},
		{"another page's form", []change{inside, header(user, "a"),
			header("Sec-Fetch-Site", "cross-site")}, 403, "Sec-Fetch-Site"},
	} {
		t.Run(c.what, func(t *testing.T) {
			answered(t, serve(a, "POST", "/", c.changes...), c.status, c.body)
		})
	}
	t.Run("comes before a session, and refuses a spoofed name with a session", func(t *testing.T) {
		a := open(t, Options{Users: write(t, "users", userLine("alice", Admin)),
			Proxy: Proxy{From: []string{"10.0.0.0/8"}, Header: user, Role: Viewer}})
		session := cookie(signedIn(t, a, "alice"))
		answered(t, serve(a, "GET", "/", inside, session, header(user, "bob")), 200, "viewer bob")
		answered(t, serve(a, "GET", "/", session), 200, "admin alice")
		answered(t, serve(a, "GET", "/", session, header(user, "bob")), 403, "127.0.0.1")
	})
	t.Run("has no role unless one is given", func(t *testing.T) {
		a := open(t, Options{Proxy: Proxy{From: []string{"10.0.0.0/8"}, Header: user}})
		answered(t, serve(a, "GET", "/", inside, header(user, "a")), 403, `"a" has no role`)
		answered(t, serve(a, "GET", "/", inside, header(user, "a"), header(role, "admin")), 403,
			`"a" has no role`)
	})
	t.Run("is complete", func(t *testing.T) {
		for part, p := range map[string]Proxy{
			"wants --proxy-from":    {Header: user},
			"is not the name":       {Header: "X User", From: []string{"unix"}},
			"wants --proxy-header":  {RoleHeader: role},
			"trusts every address":  {Header: user, From: []string{"0.0.0.0/0"}},
			"role 9 is no role":     {Role: 9},
			"role -1 is no role":    {Roles: map[string]Role{"a": -1}},
			"want an address, ADDR": {Header: user, From: []string{"proxy"}},
		} {
			_, err := New(Options{Proxy: p})
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%+v: %v", p, err)
			}
		}
	})
}
