package activity

import (
	"strings"
	"testing"
)

func TestMasked(t *testing.T) {
	for in, want := range map[string]string{
		"SELECT $1":                          "SELECT $1",
		"SELECT  'a'\n, 'it''s'":             "SELECT '…' , '…'",
		`SELECT E'it\'s', 'x\', 'y'`:         `SELECT '…', '…', '…'`,
		"SELECT 'the end is cut":             "SELECT '…'",
		"SELECT $$a 'secret'$$, 1":           "SELECT '…', 1",
		"SELECT $$cut":                       "SELECT '…'",
		"SELECT " + strings.Repeat("x", 600): "SELECT " + strings.Repeat("x", 493) + "…",
	} {
		if got := masked(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
