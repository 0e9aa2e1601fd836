package main

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEnvFile(t *testing.T) {
	write := func(t *testing.T, text string) string {
		path := filepath.Join(t.TempDir(), "env")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	t.Run("has comments, quotes and exports", func(t *testing.T) {
		got, err := readEnvFile(write(t, "# Mastodon\n\nexport A='1'\nB = \"x=y\"\nC=\n"))
		if want := map[string]string{"A": "1", "B": "x=y", "C": ""}; err != nil ||
			!maps.Equal(got, want) {
			t.Errorf("%v %v, want %v", got, err, want)
		}
	})
	t.Run("names a wrong line", func(t *testing.T) {
		_, err := readEnvFile(write(t, "A=1\nB\n"))
		if err == nil || !strings.Contains(err.Error(), "line 2 is not KEY=VALUE") {
			t.Error(err)
		}
	})
	t.Run("gives way to the environment", func(t *testing.T) {
		s := &terminal{T: t, vars: map[string]string{"REDIS_URL": "redis://127.0.0.1:1"}}
		file := write(t, "REDIS_URL=redis://127.0.0.1:2\n")
		out, _, _ := s.run("doctor", "--env-file", file)
		if !strings.Contains(out, "127.0.0.1:1") {
			t.Error(out)
		}
	})
}
