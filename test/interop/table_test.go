package interop

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/kyujobs/kyu/test/kit/harness"
)

// The table of docs/sidekiq.md is written by a run of this suite: by hand with
// -update, and compared by every full run.
var update = flag.Bool("update", false, "write the table into docs/sidekiq.md")

const (
	cases     = 91
	tableFrom = "<!-- table: go test ./test/interop -update -->\n"
	tableTo   = "<!-- end of table -->\n"
)

func TestMain(m *testing.M) {
	flag.Parse()
	clean := harness.Build("./cmd/worker", "./cmd/workerctl", "./test/kit/testworker")
	code := m.Run()
	clean()
	if len(results.cases) == cases {
		fmt.Print(table())
		if code == 0 {
			code = compare(table())
		}
	}
	os.Exit(code)
}

// table is the outcome of all cases, for people.
func table() string {
	var ids, whys []string
	for id, r := range results.cases {
		ids = append(ids, id)
		if len(r.passed) < 4 && !slices.Contains(whys, r.why) {
			whys = append(whys, r.why)
		}
	}
	slices.Sort(ids)
	slices.Sort(whys)
	var b strings.Builder
	b.WriteString("| case | what must be so | 6.4.1 | 7.3 | 8.1 |\n| --- | --- | --- | " +
		"--- | --- |\n")
	count := map[string]int{}
	for _, id := range ids {
		r := results.cases[id]
		fmt.Fprintf(&b, "| %s | %s |", id, r.says)
		for _, v := range all {
			cell := "golden"
			if v == 6 {
				cell = "passed"
			}
			passed, run := r.passed[v]
			switch {
			case !run:
				cell = fmt.Sprintf("– (%c)", 'a'+slices.Index(whys, r.why))
				count["not applicable"]++
			case !passed:
				cell = "FAILED"
				count["failed"]++
			default:
				count[cell]++
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	b.WriteString("\n" + wrapped("", fmt.Sprintf("%d cases: %d passed with the real Sidekiq "+
		"6.4.1, %d with golden data of 7.3 or 8.1, %d not applicable, %d failed.",
		len(ids), count["passed"], count["golden"], count["not applicable"], count["failed"])))
	b.WriteString("\n")
	for i, why := range whys {
		b.WriteString(wrapped("  ", fmt.Sprintf("- (%c) %s.", 'a'+i, why)))
	}
	return b.String()
}

// wrapped breaks a paragraph into lines of at most 100 characters; those after the first are
// indented.
func wrapped(indent, text string) string {
	var b strings.Builder
	width := 0
	for _, word := range strings.Fields(text) {
		switch n := utf8.RuneCountInString(word); {
		case width == 0:
			width = n
		case width+1+n > 100:
			b.WriteString("\n" + indent)
			width = len(indent) + n
		default:
			b.WriteString(" ")
			width += 1 + n
		}
		b.WriteString(word)
	}
	return b.String() + "\n"
}

// compare holds the documentation to the run.
func compare(got string) int {
	path := filepath.Join(harness.Root(), "docs", "sidekiq.md")
	page, err := os.ReadFile(path)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	head, rest, found := strings.Cut(string(page), tableFrom)
	old, tail, closed := strings.Cut(rest, tableTo)
	switch {
	case !found || !closed:
		fmt.Println("docs/sidekiq.md has no place for the table")
		return 1
	case strings.TrimSpace(old) == strings.TrimSpace(got):
		return 0
	case *update:
		if err := os.WriteFile(path, []byte(head+tableFrom+"\n"+got+"\n"+tableTo+tail),
			0o644); err != nil {
			fmt.Println(err)
			return 1
		}
		return 0
	}
	fmt.Println("the table in docs/sidekiq.md is not what this run shows: " +
		"go test ./test/interop -update")
	return 1
}
