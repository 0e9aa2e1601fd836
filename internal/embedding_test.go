package internal_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestEmbedding compiles, vets and tests the program of docs/embedding.md in another module:
// the page must give a user all that is needed.
func TestEmbedding(t *testing.T) {
	page, err := os.ReadFile("../docs/embedding.md")
	if err != nil {
		t.Fatal(err)
	}
	programs := goBlocks(string(page))
	if len(programs) != 2 {
		t.Fatalf("the page has %d programs, want main.go and main_test.go", len(programs))
	}
	t.Run("the page's program and its test work in another module", func(t *testing.T) {
		dir := newModule(t)
		write(t, filepath.Join(dir, "main.go"), programs[0])
		write(t, filepath.Join(dir, "main_test.go"), programs[1])
		for _, args := range [][]string{{"vet", "."}, {"test", "."}} {
			cmd := exec.Command("go", args...)
			cmd.Dir = dir
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
			}
		}
	})
	t.Run("its programs are formatted", func(t *testing.T) {
		for i, program := range programs {
			cmd := exec.Command("gofmt", "-d")
			cmd.Stdin = strings.NewReader(program)
			if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
				t.Errorf("program %d: %v\n%s", i+1, err, out)
			}
		}
	})
}

// goBlocks returns the complete Go files in a page.
func goBlocks(page string) (programs []string) {
	for _, block := range strings.Split(page, "```go\n")[1:] {
		program, _, _ := strings.Cut(block, "```")
		if strings.Contains(program, "package main\n") {
			programs = append(programs, program)
		}
	}
	return programs
}

// newModule makes a module that depends on this checkout of Kyu, with Kyu's own versions of
// other modules: `go mod tidy` would look for newer ones on the network.
func newModule(t *testing.T) (dir string) {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(root, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	const ours = "github.com/kyujobs/kyu"
	text := strings.Replace(string(mod), "module "+ours, "module example.com/shop", 1) +
		"\nrequire " + ours + " v0.0.0\n\nreplace " + ours + " => " + root + "\n"
	dir = t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), text)
	write(t, filepath.Join(dir, "go.sum"), string(sum))
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
