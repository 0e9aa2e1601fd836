package internal_test

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// maxColumns is the greatest width of a line of code or prose, in columns of a terminal.
const maxColumns = 100

func TestColumns(t *testing.T) {
	t.Run("a line of code or prose is at most 100 wide", func(t *testing.T) {
		out, err := exec.Command("git", "-C", "..", "ls-files", "-z",
			"*.go", "*.lua", "*.md", "*.sh").Output()
		if err != nil {
			t.Fatalf("git ls-files: %v", err)
		}
		for path := range strings.SplitSeq(strings.Trim(string(out), "\x00"), "\x00") {
			for _, n := range wide(t, filepath.Join("..", path)) {
				t.Errorf("%s:%d is wider than %d columns", path, n, maxColumns)
			}
		}
	})
	t.Run("a tab counts as four, a Japanese character as two", func(t *testing.T) {
		for line, want := range map[string]int{"": 0, "\ta": 5, "é–": 2, "キュー。": 8} {
			if got := columns(line); got != want {
				t.Errorf("%q is %d wide, want %d", line, got, want)
			}
		}
	})
}

// wide lists the numbers of a file's lines that are too wide. In prose, tables, code, the
// output of programs and words that cannot be broken may be wider.
func wide(t *testing.T, path string) (numbers []int) {
	t.Helper()
	f, err := os.Open(path)
	if os.IsNotExist(err) {
		return nil // deleted, but the deletion is not committed yet
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	prose, fenced := filepath.Ext(path) == ".md", false
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for n := 1; lines.Scan(); n++ {
		line := lines.Text()
		if strings.HasPrefix(strings.TrimSpace(line), "```") {
			fenced = !fenced
		}
		verbatim := prose && (fenced || strings.HasPrefix(line, "    ") ||
			strings.HasPrefix(line, "|") || len(strings.Fields(line)) == 1 ||
			strings.HasPrefix(line, "!["))
		if columns(line) > maxColumns && !verbatim {
			numbers = append(numbers, n)
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return numbers
}

// columns returns the width of a line on a terminal whose tabs are 4 columns wide.
func columns(line string) (n int) {
	for _, r := range line {
		switch {
		case r == '\t':
			n += 4
		case r >= 0x1100 && r <= 0x115f, r >= 0x2e80 && r <= 0xa4cf, r >= 0xac00 && r <= 0xd7a3,
			r >= 0xf900 && r <= 0xfaff, r >= 0xfe30 && r <= 0xfe6f, r >= 0xff00 && r <= 0xff60,
			r >= 0xffe0 && r <= 0xffe6:
			n += 2 // full-width characters (Unicode's East Asian Width W and F)
		default:
			n++
		}
	}
	return n
}
