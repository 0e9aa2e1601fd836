// Command testworker is cmd/worker (the program of internal/mastodon) with the classes Test::*,
// for tests and load tests. `make build` does not build it, and no package holds it.
package main

import (
	"context"

	"github.com/kyujobs/kyu/cli"
	"github.com/kyujobs/kyu/internal/mastodon"
	"github.com/kyujobs/kyu/test/kit/testjobs"
	"github.com/kyujobs/kyu/worker"
)

func main() {
	w := mastodon.New("testworker")
	wanted := w.Flags.Bool("test-jobs", false, "also run the classes Test::*, and obey the "+
		"variables TEST_*; without it this program is cmd/worker")
	w.Capabilities = append(w.Capabilities, testjobs.Tally())
	open, adjust := w.Open, w.Adjust
	w.Open = func(ctx context.Context, b *cli.Boot) (closer func(), err error) {
		closer, err = open(ctx, b)
		if err == nil && *wanted {
			testjobs.Register(b.Mux, w.Database, b.Store)
			testjobs.ConfigureServer(w.Jobs)
		}
		return closer, err
	}
	w.Adjust = func(c *worker.Config) {
		adjust(c)
		if *wanted {
			testjobs.Configure(c)
		}
	}
	w.Main()
}
