package access

import (
	"net/http"
	"strings"
	"testing"
)

func TestNewToken(t *testing.T) {
	t.Run("makes a token of 256 bits and its line", func(t *testing.T) {
		token, line, err := NewToken("ci", Operator)
		if err != nil {
			t.Fatal(err)
		}
		holders, err := parseTokens("F", line+"\n")
		if err != nil {
			t.Fatal(err)
		}
		p, ok := holderOf(holders, token)
		if !ok || p != (Person{"ci", Operator}) || len(token) != len(tokenPrefix)+43 ||
			strings.Contains(line, token) {
			t.Errorf("the token %q with the line %q is %v, %v", token, line, p, ok)
		}
		if other, _, _ := NewToken("ci", Operator); other == token {
			t.Error("two tokens are the same")
		}
	})
	t.Run("refuses what the file cannot hold", func(t *testing.T) {
		for name, role := range map[string]Role{"a b": Admin, "a": Nobody} {
			if _, _, err := NewToken(name, role); err == nil {
				t.Errorf("it makes one for %q, %v", name, role)
			}
		}
	})
}

func TestTokens(t *testing.T) {
	first, line1, _ := NewToken("first", Viewer)
	last, line2, _ := NewToken("last", Admin)
	short := "short:admin:a665a45920422f9d417e4867efdc4fb8a04a1f3fff1fa07e998e86f7f7a27ae3" // 123
	a := open(t, Options{Tokens: write(t, "tokens", line1+"\n"+short+"\n"+line2+"\n")})
	for _, c := range []struct {
		what, authorization string
		status              int
		body                string
	}{
		{"the first token", "Bearer " + first, 200, "viewer first"},
		{"the last token", "bearer " + last, 200, "admin last"},
		{"a foreign token", "Bearer " + first[:len(first)-1] + "!", 401, "Nobody has this token"},
		{"no token", "Bearer ", 401, "Nobody has this token"},
		{"a token that can be guessed", "Bearer 123", 401, "Nobody has this token"},
		{"another scheme", "Basic " + first, 401, "names nobody"},
		{"no header", "", 401, "names nobody"},
	} {
		t.Run(c.what, func(t *testing.T) {
			w := serve(a, "GET", "/", header("Authorization", c.authorization))
			answered(t, w, c.status, c.body)
			if challenge := w.Header().Get("WWW-Authenticate"); (c.status == 401) !=
				strings.HasPrefix(challenge, "Bearer") {
				t.Errorf("WWW-Authenticate is %q", challenge)
			}
		})
	}
	t.Run("need no check of the origin", func(t *testing.T) {
		w := serve(a, "POST", "/", header("Authorization", "Bearer "+last),
			header("Origin", "https://elsewhere.example"))
		answered(t, w, http.StatusOK, "admin last")
	})
	t.Run("give no way around the check of the origin for others", func(t *testing.T) {
		users := open(t, Options{Users: write(t, "users", userLine("alice", Admin))})
		w := serve(users, "POST", "/", header("Authorization", "Bearer "+last),
			cookie(signedIn(t, users, "alice")), header("Sec-Fetch-Site", "cross-site"))
		answered(t, w, http.StatusForbidden, "Sec-Fetch-Site")
	})
	t.Run("are 64 hexadecimal digits", func(t *testing.T) {
		sum := strings.Repeat("aB", 32)
		for text, fits := range map[string]bool{sum: true, sum[1:]: false, sum + "a": false,
			sum[1:] + "g": false, "": false} {
			if _, err := parseTokens("F", "a:admin:"+text); (err == nil) != fits {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}

func FuzzTokens(f *testing.F) {
	f.Add("ci:admin:"+strings.Repeat("ab", 32)+"\n", "kyu_x")
	f.Add("::", "")
	f.Fuzz(func(t *testing.T, text, token string) {
		holders, err := parseTokens("F", text)
		if err == nil && len(holders) == 0 {
			t.Error("it names nobody")
		}
		if p, ok := holderOf(holders, token); ok {
			t.Errorf("%q is the token of %v", token, p)
		}
	})
}
