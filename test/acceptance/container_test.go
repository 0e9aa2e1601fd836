package acceptance

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/test/kit/harness"
	"go.yaml.in/yaml/v3"
)

// No container engine runs on the machines of the tests, so the files are held to
// the programs: flags and commands that they name must exist.
func TestContainerFilesNameWhatExists(t *testing.T) {
	dir := filepath.Join(harness.Root(), "deploy", "docker")
	read := func(name string) string {
		t.Helper()
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	file := read("Dockerfile")
	for _, want := range []string{"FROM scratch", "USER 65532",
		`ENTRYPOINT ["/usr/bin/worker", "--http", "127.0.0.1:9394"]`,
		`CMD ["/usr/bin/workerctl", "health", "--http", "127.0.0.1:9394"]`,
		"./cmd/worker ./cmd/workerctl"} {
		if !strings.Contains(file, want) {
			t.Errorf("the Dockerfile has no %s", want)
		}
	}
	mod, err := os.ReadFile(filepath.Join(harness.Root(), "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	_, version, _ := strings.Cut(string(mod), "\ngo ")
	if minor := strings.Join(strings.SplitN(strings.Fields(version)[0], ".", 3)[:2],
		"."); !strings.Contains(file, "golang:"+minor+"-") {
		t.Errorf("the Dockerfile builds with another Go than %s", minor)
	}
	var compose struct {
		Services map[string]struct {
			Command     []string
			Environment map[string]string
			ReadOnly    bool `yaml:"read_only"`
		}
	}
	if err := yaml.Unmarshal([]byte(read("compose.yaml")), &compose); err != nil {
		t.Fatal(err)
	}
	for _, name := range fourQueues {
		s := compose.Services[name]
		if s.Environment["REDIS_URL"] == "" || !s.ReadOnly {
			t.Errorf("service %s: %+v", name, s)
		}
		args := append(append([]string{"--http", "127.0.0.1:9394"}, s.Command...), "--print-config")
		cmd := exec.Command(filepath.Join(harness.Bin, "worker"), args...)
		cmd.Env = append(os.Environ(), "REDIS_URL=redis://redis:6379/0", "DATABASE_URL=")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), name) {
			t.Errorf("worker %v: %v\n%s", args, err, out)
		}
	}
}
