package acceptance

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/kyujobs/kyu/test/kit/harness"
)

func TestTheBuildIsTheSameBytesWhereverItIsMade(t *testing.T) {
	var builds [][]byte
	for _, place := range []string{"a", "another/longer/path"} {
		dir := filepath.Join(t.TempDir(), place)
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
		builds = append(builds, b)
	}
	if !bytes.Equal(builds[0], builds[1]) {
		t.Error("two builds in two places differ")
	}
}
