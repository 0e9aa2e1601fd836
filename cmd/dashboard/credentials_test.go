package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/kyujobs/kyu/internal/env"
)

func TestCredentials(t *testing.T) {
	directory := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(directory, name), []byte(text), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	write("redis_url", "redis://127.0.0.1:7/3")
	write("dashboard_users", "")
	write("dashboard_tokens", "ci:admin:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15"+
		"b0f00a08\n")
	read := func(t *testing.T, args ...string) *settings {
		t.Helper()
		s, err := readSettings(args, &env.Reader{Lookup: func(key string) (string, bool) {
			value := map[string]string{"CREDENTIALS_DIRECTORY": directory}[key]
			return value, value != ""
		}})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	t.Run("are files of access, unless they are empty", func(t *testing.T) {
		s := read(t)
		if s.access.Users != "" || s.access.Tokens != filepath.Join(directory, "dashboard_tokens") {
			t.Errorf("users %q, tokens %q", s.access.Users, s.access.Tokens)
		}
		if s.shards[0].Config.URL != "redis://127.0.0.1:7/3" {
			t.Error(s.shards[0].Config.URL)
		}
	})
	t.Run("count less than flags", func(t *testing.T) {
		other := filepath.Join(t.TempDir(), "tokens")
		if err := os.Link(filepath.Join(directory, "dashboard_tokens"), other); err != nil {
			t.Fatal(err)
		}
		if s := read(t, "--tokens", other); s.access.Tokens != other {
			t.Error(s.access.Tokens)
		}
	})
}
