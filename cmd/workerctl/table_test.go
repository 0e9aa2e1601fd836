package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/mattn/go-runewidth"
)

func TestTable(t *testing.T) {
	lines := func(columns int, rows ...[]any) []string {
		var out bytes.Buffer
		table := &table{out: &out, limit: columns}
		for _, row := range rows {
			table.row(row...)
		}
		if err := table.Flush(); err != nil {
			t.Error(err)
		}
		return strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	}
	t.Run("counts the columns that a terminal shows", func(t *testing.T) {
		got := lines(0, []any{"日本語", 1}, []any{"e\u0301", 2}, []any{"abcdef", 3})
		want := []string{"日本語  1", "e\u0301       2", "abcdef  3"}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%q, want %q", got, want)
		}
	})
	t.Run("fits the terminal, and its widest column gives way", func(t *testing.T) {
		long := strings.Repeat("日本語", 20)
		got := lines(40, []any{"JID", "ARGS", "ERROR"}, []any{"6f2a1c0de5", long, "E: boom"})
		for _, line := range got {
			if n := runewidth.StringWidth(line); n > 40 {
				t.Errorf("%d columns: %q", n, line)
			}
		}
		if !strings.Contains(got[1], "6f2a1c0de5  日本") || !strings.Contains(got[1], "…") ||
			!strings.HasSuffix(got[1], "E: boom") {
			t.Errorf("%q", got)
		}
	})
	t.Run("cuts no JID, and texts before times", func(t *testing.T) {
		got := lines(60, []any{"JID", "ARGS", "WHEN"}, []any{sampleJID, strings.Repeat("x", 40),
			"in 3m, 2026-11-29 03:33"})
		if want := sampleJID + "  xxxxxxxx…  in 3m, 2026-11-29 03:33"; got[1] != want {
			t.Errorf("%q, want %q", got[1], want)
		}
	})
	t.Run("is not cut if the output is no terminal", func(t *testing.T) {
		long := strings.Repeat("x", 500)
		if got := lines(0, []any{"a", long}); got[0] != "a  "+long {
			t.Errorf("%q", got)
		}
	})
}
