package access

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestClaims(t *testing.T) {
	groups := map[string]Role{"ops": Operator, "root": Admin, "none": Nobody}
	for _, c := range []struct {
		what string
		OIDC
		token string
		role  Role
	}{
		{"the greatest of several", OIDC{RoleClaim: "groups", Roles: groups},
			`{"groups":["ops","root","x"]}`, Admin},
		{"one", OIDC{RoleClaim: "groups", Roles: groups}, `{"groups":"ops"}`, Operator},
		{"none of another type", OIDC{RoleClaim: "groups", Roles: groups}, `{"groups":{"ops":1}}`,
			Nobody},
		{"none of a role's own name, if there is a list", OIDC{RoleClaim: "groups", Roles: groups},
			`{"groups":["admin"]}`, Nobody},
		{"a role's own name", OIDC{RoleClaim: "kyu"}, `{"kyu":"admin"}`, Admin},
		{"not nobody", OIDC{RoleClaim: "kyu"}, `{"kyu":"nobody"}`, Nobody},
		{"in an object", OIDC{RoleClaim: "realm_access.roles"},
			`{"realm_access":{"roles":["viewer"]}}`, Viewer},
		{"with a dot in its name", OIDC{RoleClaim: "a.b"}, `{"a.b":"viewer","a":{"b":"admin"}}`,
			Viewer},
		{"with dots that lead nowhere", OIDC{RoleClaim: "a.b.c"}, `{"a":{"b":["c"]}}`, Nobody},
		{"the role of all others", OIDC{RoleClaim: "groups", Roles: groups, Role: Viewer}, `{}`,
			Viewer},
		{"by name", OIDC{Roles: map[string]Role{"ada": Admin}}, `{"name":"ada"}`, Admin},
		{"not by the name of a role", OIDC{Role: Viewer}, `{"name":"admin"}`, Viewer},
		{"nobody without a name", OIDC{Roles: map[string]Role{"": Nobody}}, `{}`, Nobody},
	} {
		t.Run("give a role: "+c.what, func(t *testing.T) {
			said := claims{}
			if err := json.Unmarshal([]byte(c.token), &said); err != nil {
				t.Fatal(err)
			}
			c.OIDC.NameClaim = "name"
			if got := c.roleOf(said); got != c.role {
				t.Errorf("it is %v, want %v", got, c.role)
			}
		})
	}
	t.Run("give a name", func(t *testing.T) {
		for _, c := range []struct {
			claim string
			said  claims
			want  string
		}{
			{"email", claims{"email": "a@b"}, "a@b"},
			{"email", claims{"email": "a@b", "email_verified": true}, "a@b"},
			{"email", claims{"email": "a@b", "email_verified": false}, ""},
			{"name", claims{"name": 7}, ""}, {"name", claims{"name": " a"}, ""},
			{"name", claims{"name": strings.Repeat("x", maxProxyName+1)}, ""},
			{"name", claims{"name": "Ada L", "email_verified": false}, "Ada L"},
		} {
			if got := (&OIDC{NameClaim: c.claim}).name(c.said); got != c.want {
				t.Errorf("%s of %v: %q, want %q", c.claim, c.said, got, c.want)
			}
		}
	})
}

func TestOIDCCheck(t *testing.T) {
	good := OIDC{Issuer: "https://id.example/realms/a", ClientID: "kyu",
		URL: "https://kyu.example", Role: Viewer}
	for _, c := range []struct {
		change func(*OIDC)
		want   string
	}{
		{func(o *OIDC) { o.Issuer = "http://id.example" }, "--oidc-issuer"},
		{func(o *OIDC) { o.Issuer = "id.example" }, "--oidc-issuer"},
		{func(o *OIDC) { o.URL = "" }, "--oidc-url"},
		{func(o *OIDC) { o.URL = "https://kyu.example/kyu" }, "--base"},
		{func(o *OIDC) { o.ClientID = "" }, "--oidc-client-id"},
		{func(o *OIDC) { o.Role = Nobody }, "nobody would have a role"},
		{func(o *OIDC) { o.Roles = map[string]Role{"a": 9} }, "no role"},
	} {
		t.Run("names "+c.want, func(t *testing.T) {
			o := good
			c.change(&o)
			if _, err := New(Options{OIDC: &o}); err == nil ||
				!strings.Contains(err.Error(), c.want) {
				t.Error(err)
			}
		})
	}
	t.Run("lets a dashboard listen everywhere", func(t *testing.T) {
		if _, err := New(Options{OIDC: &good, Listen: "0.0.0.0:9292"}); err != nil {
			t.Error(err)
		}
	})
}
