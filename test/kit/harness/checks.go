package harness

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
)

// Equal checks that got and want print the same. On failure it prints both.
func (s *Site) Equal(what string, got, want any) {
	s.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		s.Errorf("%s: %v, want %v", what, got, want)
	}
}

// Contains checks that a text has each of the parts. On failure it prints the text.
func (s *Site) Contains(what, text string, parts ...string) {
	s.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			s.Errorf("%s: no %q in\n%s", what, part, text)
		}
	}
}

// Must ends the test if there is an error.
func (s *Site) Must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// Between checks that a value is at least low and at most high.
func Between[T cmp.Ordered](t testing.TB, what string, got, low, high T) {
	t.Helper()
	if got < low || got > high {
		t.Errorf("%s: %v, want %v to %v", what, got, low, high)
	}
}
