package acceptance

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/kyujobs/kyu/test/kit/harness"
)

func TestBuild(t *testing.T) {
	t.Parallel()
	t.Run("builds in two folders have the same bytes", func(t *testing.T) {
		if !bytes.Equal(buildIn(t, "a"), buildIn(t, "another/longer/path")) {
			t.Error("they differ")
		}
	})
}

// buildIn copies the module into a folder, runs make build there, and returns the worker.
func buildIn(t *testing.T, folder string) []byte {
	t.Helper()
	dir := filepath.Join(t.TempDir(), folder)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, step := range [][]string{{"sh", "-c",
		`tar -c --exclude=./bin --exclude=./.git . | tar -x -C "$1"`, "sh", dir},
		{"make", "-s", "-C", dir, "build"}} {
		cmd := exec.Command(step[0], step[1:]...)
		cmd.Dir = harness.Root()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", step, err, out)
		}
	}
	b, err := os.ReadFile(filepath.Join(dir, "bin/worker"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
