package interop

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/kyujobs/kyu/test/kit/harness"
)

// row is a row of the table in docs/sidekiq.md: one case.
type row struct {
	id, says string
	with     versions // those that it applies to
	why      string   // it does not apply to the others
	ruby     string   // golden data cannot stand in for a running Sidekiq; empty: they can
	run      func(k *kase)
	alone    bool // no other case runs beside it, because it measures less than a second
}

// left says why a case is not run with a version. It is empty if the case is run.
func (r *row) left(version int) string {
	switch {
	case !slices.Contains(r.with, version):
		return r.why
	case version != major:
		return r.ruby
	}
	return ""
}

// versions of Sidekiq, by their first numbers.
type versions []int

var (
	all   = versions{6, 7, 8}
	six   = versions{6}
	seven = versions{7}
	eight = versions{8}
	later = versions{7, 8}
)

// major is the version of the Sidekiq that runs.
var major = harness.SidekiqMajor()

// tried are the versions of this run. Golden data of 7 and 8 complete a run with 6.
var tried = map[bool]versions{true: all, false: {major}}[major == 6]

// Reasons why a case is not run with a version.
const (
	noRuby = "needs a running Sidekiq of that version, which `make interop-new` has; the golden " +
		"checks of other cases cover what it would read"
	sameWire = "this case reads and writes nothing that differs from 6.4.1"
	notIn6   = "6.4.1 does not have this feature"
)

// A run of all cases prints the table and compares it with docs/sidekiq.md. With -update it
// writes the table there.
var update = flag.Bool("update", false, "write the table into docs/sidekiq.md")

const (
	cases     = 91
	tableFrom = "<!-- table: go test ./test/interop -update -->\n"
	tableTo   = "<!-- end of table -->\n"
)

func TestMain(m *testing.M) {
	flag.Parse()
	harness.Parallel(4)
	clean := harness.Build("./cmd/worker", "./cmd/workerctl", "./test/kit/testworker")
	code := m.Run()
	clean()
	if len(tried) > 1 && results.complete() {
		fmt.Print(table())
		if code == 0 {
			code = compare(table())
		}
	}
	os.Exit(code)
}

// results are the outcomes by id and version.
var results = outcomes{cases: map[string]*outcome{}}

type outcomes struct {
	sync.Mutex
	cases map[string]*outcome
}

type outcome struct {
	row
	passed map[int]bool // by version; only those that were run
}

// note keeps the outcome of a case with a version.
func note(r row, version int, passed bool) {
	results.Lock()
	defer results.Unlock()
	o := results.cases[r.id]
	if o == nil {
		o = &outcome{row: r, passed: map[int]bool{}}
		results.cases[r.id] = o
	}
	o.passed[version] = passed
}

// complete reports whether every case was run with each of its versions.
func (o *outcomes) complete() bool {
	for _, c := range o.cases {
		for _, v := range tried {
			if _, run := c.passed[v]; !run && c.left(v) == "" {
				return false
			}
		}
	}
	return len(o.cases) == cases
}

// table is the outcome of all cases, in Markdown.
func table() string {
	var ids, whys []string
	for id, r := range results.cases {
		ids = append(ids, id)
		for _, v := range tried {
			if why := r.left(v); why != "" && !slices.Contains(whys, why) {
				whys = append(whys, why)
			}
		}
	}
	slices.Sort(ids)
	slices.Sort(whys)
	var b strings.Builder
	b.WriteString("| case | what is checked | 6.4.1 | 7.3 | 8.1 |\n| --- | --- | --- | --- | " +
		"--- |\n")
	count := map[string]int{}
	for _, id := range ids {
		r := results.cases[id]
		fmt.Fprintf(&b, "| %s | %s |", id, r.says)
		for _, v := range all {
			cell := r.cell(v)
			count[cell]++
			if cell == notRun {
				cell = fmt.Sprintf("– (%c)", 'a'+slices.Index(whys, r.left(v)))
			}
			fmt.Fprintf(&b, " %s |", cell)
		}
		b.WriteString("\n")
	}
	b.WriteString("\n" + wrapped("", fmt.Sprintf("%d cases: %d passed with the real Sidekiq "+
		"6.4.1, %d with golden data of 7.3 or 8.1, %d left out, %d failed.",
		len(ids), count["passed"], count["golden"], count[notRun], count["FAILED"])))
	b.WriteString("\n")
	for i, why := range whys {
		b.WriteString(wrapped("  ", fmt.Sprintf("- (%c) %s.", 'a'+i, why)))
	}
	return b.String()
}

const notRun = "not run"

// cell is what the table says of a version.
func (o *outcome) cell(version int) string {
	passed, run := o.passed[version]
	switch {
	case !run:
		return notRun
	case !passed:
		return "FAILED"
	case version == 6:
		return "passed"
	default:
		return "golden"
	}
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

// compare returns the exit code: 0 if the table in docs/sidekiq.md is that of this run.
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
	fmt.Println("the table in docs/sidekiq.md differs from this run's: " +
		"go test ./test/interop -update")
	return 1
}
