package top

import (
	"strings"
	"testing"
)

func TestFold(t *testing.T) {
	for text, want := range map[string]string{
		"":                      "",
		"one two three":         "one two|three",
		"日本語の引数":                "日本語の|引数",
		"abcdefghijkl":          "abcdefgh|ijkl",
		"a \x1b[31mb\ndefghijk": "a ·[31mb|·defghij|k",
	} {
		t.Run(want, func(t *testing.T) {
			if got := strings.Join(fold(text, 8), "|"); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

func TestSpread(t *testing.T) {
	t.Run("cuts the left part, and keeps the right one", func(t *testing.T) {
		got := spread(say(plain, "日本語の長い名前"), say(plain, "right"), 12).plain()
		if got != "日本…  right" {
			t.Errorf("%q", got)
		}
	})
	t.Run("puts spaces between them", func(t *testing.T) {
		if got := spread(say(plain, "a"), say(plain, "b"), 5).plain(); got != "a   b" {
			t.Errorf("%q", got)
		}
	})
}
