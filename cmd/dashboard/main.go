// Command dashboard shows the queues, jobs and processes in a browser, and changes them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/internal/version"
	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 1 && people[os.Args[1]] != nil {
		os.Exit(runPeople(ctx, os.Args[1], os.Args[2:], &console{os.Stdin, os.Stdout, os.Stderr}))
	}
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr, os.Getenv))
}

// run is the program without the globals of its process. It returns the exit code: 0 after an
// orderly stop, 2 for a mistake in the settings, 1 for any other error.
func run(ctx context.Context, args []string, out, errOut io.Writer,
	getenv func(string) string) int {
	lookup := func(key string) (string, bool) { v := getenv(key); return v, v != "" }
	r := &env.Reader{Lookup: lookup}
	s, err := readSettings(args, r)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprint(out, usage+newFlags(&settings{}).FlagUsages()+environment)
		return 0
	case err != nil:
		fmt.Fprintf(errOut, "dashboard: %v\nSee `dashboard --help`.\n", err)
		return 2
	case s.man:
		manPage(out, getenv)
		return 0
	case s.version:
		fmt.Fprintln(out, "dashboard", version.String())
		return 0
	}
	if err := newServer(s, errOut, getenv).Run(ctx); err != nil {
		fmt.Fprintf(errOut, "dashboard: %v\n", err)
		return 1
	}
	return 0
}
