package main

import (
	"fmt"
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
	for text, want := range map[string]string{
		"K=a b":                         "a b",
		"K=a b  # a comment":            "a b",
		"K=a#b":                         "a#b",
		"K= # a comment":                "",
		"K='a # b' # a comment":         "a # b",
		"K=\"a\\nb\\\"c\\$d\\q\"":       "a\nb\"c$d\\q",
		"K='a\nb'":                      "a\nb",
		"K=a\\\nb":                      "ab",
		"K='a'\"b\"c":                   "abc",
		"K=pa$word$(x)`y`":              "pa$word$(x)`y`",
		"\ufeffK=a\r\n; comment\r\n":    "a",
		"  export   K = a \t":           "a",
		"export OTHER\nexport A B\nK=a": "a",
		"K=a\nK=b":                      "b",
		"K=ein Name mit Ü 日本語":          "ein Name mit Ü 日本語",
	} {
		t.Run(fmt.Sprintf("reads %q", text), func(t *testing.T) {
			got, err := parseEnv(text)
			if err != nil || got["K"] != want || len(got) != 1 {
				t.Errorf("%q %v, want %q", got, err, want)
			}
		})
	}
	t.Run("names a quote that is not closed", func(t *testing.T) {
		_, err := parseEnv("A=1\nB='x\ny\n")
		if err == nil || err.Error() != "line 2: B: the quote ' is not closed" {
			t.Error(err)
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

// FuzzEnv holds that no file makes the program panic or wait, and that a value in quotes is read as
// it was written.
func FuzzEnv(f *testing.F) {
	f.Add("export A='1' # x\r\nB=\"a\\nb\"\n", "value")
	f.Add("\ufeff; c\nA=\\\n'", "a\nb")
	f.Fuzz(func(t *testing.T, text, value string) {
		parseEnv(text)
		if strings.ContainsAny(value, "'\r") {
			return
		}
		got, err := parseEnv("K='" + value + "' # comment\n")
		if err != nil || got["K"] != value {
			t.Errorf("%q %v, want %q", got, err, value)
		}
	})
}
