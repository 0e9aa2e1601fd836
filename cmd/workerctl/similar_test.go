package main

import (
	"strings"
	"testing"
)

func TestSimilar(t *testing.T) {
	names := []string{"default", "push", "pull", "mailers", "メール"}
	for word, want := range map[string]string{"defualt": "default", "PUSH": "push pull",
		"pus": "push", "m": "mailers", "メル": "メール", "xyz": "", "": "", "p": "push pull",
		"dflt": "", "mailer": "mailers"} {
		if got := strings.Join(similar(word, names), " "); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}

func TestDistance(t *testing.T) {
	for words, want := range map[string]int{"a a": 0, "ab ba": 2, "kitten sitting": 3, "a abc": 2} {
		a, b, _ := strings.Cut(words, " ")
		if got := distance(a, b); got != want || distance(b, a) != want {
			t.Errorf("%s: %d, want %d", words, got, want)
		}
	}
}
