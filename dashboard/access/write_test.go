package access

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func readBack(t *testing.T, path string) string {
	t.Helper()
	text, err := readPrivate(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestSetUser(t *testing.T) {
	t.Run("makes a file that only its owner can read", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "users")
		if replaced, err := SetUser(path, "alice", Admin, password); err != nil || replaced {
			t.Fatal(replaced, err)
		}
		info, _ := os.Stat(path)
		us, err := parseUsers(path, readBack(t, path))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatal(err, info.Mode())
		}
		if u, right := us.check("alice", password); !right || u.Role != Admin {
			t.Errorf("%v, %v", u, right)
		}
	})
	t.Run("replaces the line of the user, and keeps all others and the mode", func(t *testing.T) {
		path := write(t, "users", "# people\n"+userLine("alice", Admin)+"\n"+
			strings.TrimSuffix(userLine("bob", Viewer), "\n"))
		os.Chmod(path, 0o640)
		if replaced, err := SetUser(path, "alice", Viewer, "another password"); err != nil ||
			!replaced {
			t.Fatal(replaced, err)
		}
		text := readBack(t, path)
		if info, _ := os.Stat(path); info.Mode().Perm() != 0o640 ||
			!strings.HasPrefix(text, "# people\nalice:viewer:$2a$") ||
			!strings.HasSuffix(text, "\n\n"+userLine("bob", Viewer)) {
			t.Errorf("%v %q", info.Mode(), text)
		}
		us, _ := parseUsers(path, text)
		if _, right := us.check("alice", "another password"); !right {
			t.Error("the new password is wrong")
		}
	})
	t.Run("changes nothing if the file is wrong or others can read it", func(t *testing.T) {
		wrong := write(t, "users", "carol:admin:plain\n")
		if _, err := SetUser(wrong, "alice", Admin, password); err == nil ||
			!strings.Contains(err.Error(), "nothing was changed") {
			t.Error(err)
		}
		if text := readBack(t, wrong); text != "carol:admin:plain\n" {
			t.Errorf("%q", text)
		}
		open := write(t, "users", userLine("bob", Viewer))
		os.Chmod(open, 0o644)
		if _, err := SetUser(open, "alice", Admin, password); err == nil ||
			!strings.Contains(err.Error(), "chmod 640") {
			t.Error(err)
		}
		for _, path := range []string{wrong, open} {
			if left, _ := filepath.Glob(filepath.Dir(path) + "/.new-*"); len(left) > 0 {
				t.Errorf("left over: %v", left)
			}
		}
	})
	t.Run("loses no line of another call at the same time", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "users")
		var calls sync.WaitGroup
		for i := range 20 {
			calls.Go(func() {
				if _, err := SetUser(path, fmt.Sprintf("u%d", i), Viewer, password); err != nil {
					t.Error(err)
				}
			})
		}
		calls.Wait()
		if us, err := parseUsers(path, readBack(t, path)); err != nil || len(us.byName) != 20 {
			t.Errorf("%d users, %v", len(us.byName), err)
		}
	})
}

func TestSetToken(t *testing.T) {
	t.Run("replaces the token of a name", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "tokens")
		old, replaced, err := SetToken(path, "ci", Operator)
		if err != nil || replaced {
			t.Fatal(replaced, err)
		}
		next, replaced, err := SetToken(path, "ci", Viewer)
		if err != nil || !replaced {
			t.Fatal(replaced, err)
		}
		holders, err := parseTokens(path, readBack(t, path))
		if err != nil {
			t.Fatal(err)
		}
		if p, ok := holderOf(holders, next); !ok || p != (Person{"ci", Viewer}) {
			t.Errorf("%v, %v", p, ok)
		}
		if _, ok := holderOf(holders, old); ok {
			t.Error("the old token still counts")
		}
	})
	t.Run("makes none for a name that no file may have", func(t *testing.T) {
		if token, _, err := SetToken(filepath.Join(t.TempDir(), "t"), "a:b", Viewer); err == nil ||
			token != "" {
			t.Error(token, err)
		}
	})
}
