package internal_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestJourney holds the types that docs/internals.md names on the way of one job.
func TestJourney(t *testing.T) {
	page, err := os.ReadFile("../docs/internals.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "## Following one job")
	section, _, _ := strings.Cut(rest, "\n## ")
	count := 0
	for _, row := range regexp.MustCompile("(?m)^\\| `(.+?)` \\| (.+) \\|$").
		FindAllStringSubmatch(section, -1) {
		declared := typesOf(t, "../"+row[1])
		for name := range strings.SplitSeq(row[2], ", ") {
			count++
			if name = strings.Trim(name, "`"); !declared[name] {
				t.Errorf("package %s has no type %s", row[1], name)
			}
		}
	}
	if !strings.Contains(section, "meets "+strconv.Itoa(count)+" types") {
		t.Errorf("the table has %d types, and the text says another number", count)
	}
}

// typesOf lists the types that a package declares outside of its tests.
func typesOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	declared := map[string]bool{}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".go") || strings.HasSuffix(f.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), dir+"/"+f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			if s, ok := n.(*ast.TypeSpec); ok {
				declared[s.Name.Name] = true
			}
			return true
		})
	}
	return declared
}
