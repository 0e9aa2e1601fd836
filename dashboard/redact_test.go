package dashboard

import "testing"

func TestRedactor(t *testing.T) {
	x := newRedactor(DefaultRedact)
	for _, c := range []struct{ name, in, want string }{
		{"hides the value of a key", `[1,{"password":"x","b":[2]}]`,
			`[1,{"password":"[hidden]","b":[2]}]`},
		{"hides values of any kind, at any depth",
			`{"a":[{"token" : {"b":"x"} , "c":1},{"userTokens":[1,"x"]}],"secret":null}`,
			`{"a":[{"token" : "[hidden]" , "c":1},{"userTokens":"[hidden]"}],"secret":"[hidden]"}`},
		{"finds the words in keys of all forms",
			`{"user_password_confirmation":1,"X-Api-Key":2,"APIKey":3,"apiKeys":4,"oauthToken":5}`,
			`{"user_password_confirmation":"[hidden]","X-Api-Key":"[hidden]","APIKey":"[hidden]",` +
				`"apiKeys":"[hidden]","oauthToken":"[hidden]"}`},
		{"hides no other words", `{"tokenizer":1,"key":2,"secretary":3,"api":4,"passwordless":5}`,
			`{"tokenizer":1,"key":2,"secretary":3,"api":4,"passwordless":5}`},
		{"finds escaped keys", `{"pass\u0077ord":"x"}`, `{"pass\u0077ord":"[hidden]"}`},
		{"hides values in strings that are JSON", `["{\"token\":\"x\",\"q\":\"\\\"\"}",7]`,
			`["{\"token\":\"[hidden]\",\"q\":\"\\\"\"}",7]`},
		{"keeps all other bytes", "[ 12345678901234567890.10, \"\\u003cb\\/\", {\"a\" :1e3}]",
			"[ 12345678901234567890.10, \"\\u003cb\\/\", {\"a\" :1e3}]"},
		{"keeps a string that only looks like JSON", `["{\"token\":"]`, `["{\"token\":"]`},
		{"hides bytes that are no JSON, with a word", `{"password":"x`,
			"[hidden: 14 bytes that are not JSON]"},
		{"shows other bytes that are no JSON", `{"a":"x`, `{"a":"x`},
		{"hides more than one document", `{"token":1}{"token":2}`,
			"[hidden: 22 bytes that are not JSON]"},
		{"shows nothing of nothing", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := x.json(c.in); got != c.want {
				t.Errorf("%s\n got %s\nwant %s", c.in, got, c.want)
			}
		})
	}
	t.Run("hides a field by its own name", func(t *testing.T) {
		if got := x.value("access_token", `"x"`); got != hiddenText {
			t.Error(got)
		}
		if got := x.value("at", `{"cookie":1}`); got != `{"cookie":"[hidden]"}` {
			t.Error(got)
		}
	})
	t.Run("a nil one shows all", func(t *testing.T) {
		var none *redactor
		if got := none.value("token", `{"token":1}`); got != `{"token":1}` {
			t.Error(got)
		}
	})
	t.Run("a name without letters is a mistake", func(t *testing.T) {
		if CheckRedact([]string{"token", " "}) == nil || CheckRedact(DefaultRedact) != nil {
			t.Error("not so")
		}
	})
}

// FuzzRedactor looks for JSON of which a secret stays, or which is no JSON any more.
func FuzzRedactor(f *testing.F) {
	for _, s := range []string{`[]`, `{"token":"s3cr"}`, `["{\"a\":{\"token\":\"s3cr\"}}"]`,
		`{"a":{"secret":[1,{"b":"s3cr"}]},"c":"\\"}`, `{"token":"s3cr"`} {
		f.Add(s)
	}
	x := newRedactor(DefaultRedact)
	f.Fuzz(func(t *testing.T, s string) {
		got := x.json(s)
		if spans, ok := x.spans(s); ok && len(spans) == 0 && got != s {
			t.Errorf("%q became %q", s, got)
		}
		if again := x.json(got); again != got {
			t.Errorf("%q became %q, and then %q", s, got, again)
		}
	})
}
