// Package acceptance runs the built programs as real processes, on real servers,
// and shows what the project promises.
package acceptance

import (
	"testing"

	"github.com/kyujobs/kyu/test/kit/harness"
)

func TestMain(m *testing.M) {
	harness.Main(m, "./cmd/worker", "./cmd/workerctl", "./test/kit/testworker",
		"./examples/hello", "./examples/demo")
}
