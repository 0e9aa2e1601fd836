// Package acceptance runs the built programs as real processes, on real servers, and checks what
// the project promises.
package acceptance

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/kyujobs/kyu/test/kit/harness"
)

// fourQueues are the queues that a worker serves without -q, the most important first.
var fourQueues = []string{"default", "push", "mailers", "pull"}

func TestMain(m *testing.M) {
	flag.Parse()
	harness.Parallel(4)
	clean := harness.Build("./cmd/worker", "./cmd/workerctl", "./cmd/dashboard",
		"./test/kit/testworker",
		"./examples/hello", "./examples/demo")
	harness.BuildAs("testworker-failpoints", "failpoints", "./test/kit/testworker")
	code := m.Run()
	clean()
	os.Exit(code)
}

// beside runs a test beside others, on a Redis of its own; args are settings of the Redis.
func beside(t *testing.T, says string, f func(s *harness.Site), args ...string) {
	t.Run(says, func(t *testing.T) {
		t.Parallel()
		f(harness.New(t, args...))
	})
}

// run runs a program without the test's Postgres, and returns its output and error.
func run(env []string, program string, args ...string) (out string, err error) {
	cmd := exec.Command(filepath.Join(harness.Bin, program), args...)
	cmd.Env = append(append(os.Environ(), "DATABASE_URL=", "DB_HOST="), env...)
	b, err := cmd.CombinedOutput()
	return string(b), err
}
