package acceptance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/test/kit/harness"
	"go.yaml.in/yaml/v3"
)

// The machines of the tests have no container engine. So these tests check the files: the flags
// and commands that they name must exist in the programs.
func TestContainerFiles(t *testing.T) {
	t.Parallel()
	t.Run("the Dockerfile starts the programs and builds with this module's Go", testDockerfile)
	t.Run("the worker accepts each command of compose.yaml", testCompose)
}

// readFile reads a file of the repository.
func readFile(t testing.TB, path ...string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(append([]string{harness.Root()}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func testDockerfile(t *testing.T) {
	_, version, _ := strings.Cut(readFile(t, "go.mod"), "\ngo ")
	minor := strings.Join(strings.SplitN(strings.Fields(version)[0], ".", 3)[:2], ".")
	file := readFile(t, "deploy/docker/Dockerfile")
	for _, want := range []string{"FROM scratch", "USER 65532",
		`ENTRYPOINT ["/usr/bin/worker", "--http", "127.0.0.1:9394"]`,
		`CMD ["/usr/bin/workerctl", "health", "--http", "127.0.0.1:9394"]`,
		"./cmd/worker ./cmd/workerctl ./cmd/dashboard", "golang:" + minor + "-"} {
		if !strings.Contains(file, want) {
			t.Errorf("the Dockerfile has no %s", want)
		}
	}
}

func testCompose(t *testing.T) {
	var compose struct {
		Services map[string]struct {
			Command     []string
			Environment map[string]string
			ReadOnly    bool `yaml:"read_only"`
		}
	}
	text := readFile(t, "deploy/docker/compose.yaml")
	if err := yaml.Unmarshal([]byte(text), &compose); err != nil {
		t.Fatal(err)
	}
	if s := compose.Services["dashboard"]; s.Environment["REDIS_URL"] == "" || !s.ReadOnly ||
		len(s.Command) == 0 {
		t.Errorf("service dashboard: %+v", s)
	}
	for _, name := range fourQueues {
		s := compose.Services[name]
		if s.Environment["REDIS_URL"] == "" || !s.ReadOnly {
			t.Errorf("service %s has no REDIS_URL, or may write: %+v", name, s)
		}
		args := append(append([]string{"--http", "127.0.0.1:9394"}, s.Command...), "--print-config")
		out, err := run([]string{"REDIS_URL=redis://redis:6379/0"}, "worker", args...)
		if err != nil || !strings.Contains(out, name) {
			t.Errorf("worker %v: %v\n%s", args, err, out)
		}
	}
}
