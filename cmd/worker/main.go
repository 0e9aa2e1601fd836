// Command worker runs the jobs of a Mastodon-like server's four queues.
package main

import (
	"github.com/kyujobs/kyu/cli"
	"github.com/kyujobs/kyu/internal/testjobs"
)

func main() {
	app := cli.New("worker")
	test := app.Flags.Bool("test-jobs", false, "add the classes Test::*, for load and fault tests")
	_ = test
	testjobs.Register(app.Mux, nil)
	app.Main()
}
