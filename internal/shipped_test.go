package internal_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// shipped are the programs that users get: those that `make build` builds.
func shipped(t *testing.T) (programs []string) {
	t.Helper()
	out, err := exec.Command("make", "-s", "-n", "-C", "..", "build").Output()
	if err != nil {
		t.Fatalf("make -n build: %v", err)
	}
	for word := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(word, "./") {
			programs = append(programs, word)
		}
	}
	if want := []string{"./cmd/worker", "./cmd/workerctl",
		"./cmd/dashboard"}; !slices.Equal(programs, want) {
		t.Errorf("`make build` builds %v, want %v", programs, want)
	}
	return programs
}

// linked gives the packages of this module that programs link, each with its Go files, those of
// other build tags too.
func linked(t *testing.T, programs ...string) map[string][]string {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-deps", "-f", `{{if not .Standard}}` +
		`{{.ImportPath}} {{.Dir}} {{join .GoFiles " "}} {{join .IgnoredGoFiles " "}}{{end}}`},
		programs...)...)
	cmd.Dir = ".."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", programs, err)
	}
	packages := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		name, ours := strings.CutPrefix(words[0], "github.com/kyujobs/kyu/")
		if !ours {
			continue
		}
		packages[name] = []string{}
		for _, file := range words[2:] {
			if !strings.HasSuffix(file, "_test.go") {
				packages[name] = append(packages[name], filepath.Join(words[1], file))
			}
		}
	}
	return packages
}

func TestShippedPrograms(t *testing.T) {
	names := shipped(t)
	programs := linked(t, names...)
	t.Run("are all that the Debian package holds", func(t *testing.T) {
		list, err := os.ReadFile("../deploy/deb/nfpm.yaml")
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`src: bin/(\S+)`).FindAllSubmatch(list, -1) {
			text := strings.HasPrefix(string(m[1]), "share/") // man pages and completions
			if !text && !slices.Contains(names, "./cmd/"+string(m[1])) {
				t.Errorf("the package holds bin/%s, which is not shipped", m[1])
			}
		}
	})
	t.Run("link no package of tests or load tests", func(t *testing.T) {
		for name := range programs {
			if strings.HasPrefix(name, "test/") || strings.HasPrefix(name, "loadtest") {
				t.Errorf("a shipped program links %s", name)
			}
		}
	})
	t.Run("name no variable TEST_*", func(t *testing.T) {
		variable := regexp.MustCompile(`\bTEST_\w*`)
		for _, files := range programs {
			for _, path := range files {
				source, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if found := variable.Find(source); found != nil {
					t.Errorf("%s names %s", path, found)
				}
			}
		}
	})
}

func TestTestWorker(t *testing.T) {
	t.Run("is the shipped worker and the test jobs", func(t *testing.T) {
		worker, testWorker := linked(t, "./cmd/worker"), linked(t, "./test/kit/testworker")
		more := []string{}
		for name := range testWorker {
			if _, both := worker[name]; !both {
				more = append(more, name)
			}
		}
		slices.Sort(more)
		if want := []string{"internal/kerneltimer", "test/kit/testjobs",
			"test/kit/testworker"}; !slices.Equal(more, want) {
			t.Errorf("it links %v beside what the worker links, want %v", more, want)
		}
		delete(worker, "cmd/worker")
		for name := range worker {
			if _, both := testWorker[name]; !both {
				t.Errorf("it does not link %s, which the worker links", name)
			}
		}
	})
}
