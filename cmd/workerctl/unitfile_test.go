package main

import (
	"fmt"
	"slices"
	"testing"
)

func TestParseUnitFile(t *testing.T) {
	for text, want := range map[string]string{
		"A=-c 5 \n":                   "-c 5",
		"A=-c 5 # five":               "-c 5 # five",
		"# A=1\n; A=2\nA=3":           "3",
		`A="-c 5 -g 'a b'"`:           "-c 5 -g 'a b'",
		`A=-c 5 -g "a b"`:             `-c 5 -g "a b"`,
		`A='x' "y"z`:                  "xyz",
		`A="a\"b\c"`:                  `a"b\c`,
		"A=-c 5 \\\n-q push":          "-c 5 -q push",
		"A=\"one\ntwo\"\nB=3":         "one\ntwo",
		"  A = 1\r\nno variable\nB=2": "1",
		"A=1\nA=":                     "",
	} {
		t.Run(fmt.Sprintf("reads %q", text), func(t *testing.T) {
			if got := parseUnitFile(text)["A"]; got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}

func TestUnitWords(t *testing.T) {
	for text, want := range map[string][]string{
		"":                   nil,
		" -c 5\t-q  push ":   {"-c", "5", "-q", "push"},
		`-g "a b" -g 'c "d'`: {"-g", "a b", "-g", `c "d`},
		`-g a\ b "" -g "e`:   {"-g", "a b", "", "-g", "e"},
		`--tag="push 1"x -v`: {"--tag=push 1x", "-v"},
	} {
		t.Run(fmt.Sprintf("divides %q", text), func(t *testing.T) {
			if got := unitWords(text); !slices.Equal(got, want) {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}
