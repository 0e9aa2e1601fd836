package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/dashboard/access"
)

// command runs a command of people with an input.
func command(input, name string, args ...string) (code int, out, errOut string) {
	var o, e strings.Builder
	code = runPeople(context.Background(), name, args, &console{strings.NewReader(input), &o, &e})
	return code, o.String(), e.String()
}

func TestAddUser(t *testing.T) {
	users := filepath.Join(t.TempDir(), "users")
	t.Run("adds a viewer, with the password of the first line", func(t *testing.T) {
		code, out, text := command("correct horse\nand more\n", "adduser", "ada", "--users", users)
		if code != 0 || out != "added ada, viewer, in "+users+"\n" {
			t.Fatalf("%d %s%s", code, out, text)
		}
		b, _ := os.ReadFile(users)
		if !strings.Contains(string(b), "\nada:viewer:$2a$12$") {
			t.Errorf("%s", b)
		}
	})
	t.Run("changes the role of a user", func(t *testing.T) {
		_, out, text := command("correct horse", "adduser", "ada", "--role", "admin", "--users",
			users)
		if out != "changed ada, admin, in "+users+"\n" {
			t.Error(out, text)
		}
	})
	t.Run("refuses what makes no sense", func(t *testing.T) {
		before, _ := os.ReadFile(users)
		for _, c := range []struct {
			code int
			want string
			args []string
		}{{2, "want one NAME", nil}, {2, "want one NAME", []string{"a", "b"}},
			{2, "viewer, operator or admin", []string{"a", "--role", "boss"}},
			{2, "unknown flag", []string{"a", "--tokens", "x"}}, {1, "letters", []string{"a:b"}}} {
			code, _, text := command("correct horse", "adduser", append(c.args, "--users",
				users)...)
			if code != c.code || !strings.Contains(text, c.want) {
				t.Errorf("%v: %d %s", c.args, code, text)
			}
		}
		if code, _, text := command("short\n", "adduser", "a", "--users", users); code != 1 ||
			!strings.Contains(text, "8 characters") {
			t.Errorf("%d %s", code, text)
		}
		if after, _ := os.ReadFile(users); string(after) != string(before) {
			t.Error("the file has changed")
		}
	})
	t.Run("says how the unit takes it", func(t *testing.T) {
		var b strings.Builder
		(&person{name: "ada", role: access.Admin, file: usersFile}).report(&b, false)
		if !strings.Contains(b.String(), "systemctl restart dashboard") {
			t.Error(b.String())
		}
	})
}

func TestAddToken(t *testing.T) {
	t.Run("prints nothing but the token to the standard output", func(t *testing.T) {
		tokens := filepath.Join(t.TempDir(), "tokens")
		code, out, text := command("", "addtoken", "ci", "--role", "operator", "--tokens", tokens)
		b, _ := os.ReadFile(tokens)
		if token := strings.TrimSpace(out); code != 0 || len(token) != 47 ||
			!strings.HasPrefix(token, "kyu_") || text != "added ci, operator, in "+tokens+"\n" ||
			!strings.Contains(string(b), "\nci:operator:") || strings.Contains(string(b), token) {
			t.Errorf("%d %q %q %s", code, out, text, b)
		}
	})
	t.Run("prints help", func(t *testing.T) {
		if code, out, _ := command("", "addtoken", "--help"); code != 0 ||
			!strings.Contains(out, tokensFile) {
			t.Error(code, out)
		}
	})
}
