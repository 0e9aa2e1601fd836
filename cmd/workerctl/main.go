// Command workerctl shows the queues, jobs and processes, and changes them.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/kyujobs/kyu/internal/env"
)

// exitCode is an error of a command that has already printed everything: doctor's
// verdict (1 for warnings, 2 if something is wrong), or 2 for a call without a command.
type exitCode int

func (e exitCode) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// usageError is a mistake on the command line or in the environment: exit code 2.
type usageError struct {
	command string // the words of its path; empty if the mistake is not in the call of a command
	err     error
}

func (u usageError) Error() string { return u.err.Error() }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

// run is the program without the globals of its process. It returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, errOut io.Writer,
	getenv func(string) string) int {
	lookup := func(key string) (string, bool) { v := getenv(key); return v, v != "" }
	c := &call{in: in, out: out, errOut: errOut, columns: terminalWidth(out),
		env: &env.Reader{Lookup: lookup}}
	err := dispatch(ctx, c, args)
	err = errors.Join(err, c.printDone())
	var code exitCode
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &usage):
		fmt.Fprintf(errOut, "%s: %v\nSee `%s`.\n", spaced("workerctl", usage.command), err,
			spaced("workerctl help", usage.command))
		return 2
	default:
		fmt.Fprintf(errOut, "workerctl: %v\n", err)
		return 1
	}
}

func spaced(words ...string) string { return strings.TrimSpace(strings.Join(words, " ")) }

// dispatch runs the command that the arguments name.
func dispatch(ctx context.Context, c *call, args []string) error {
	root := c.program()
	root.SetArgs(routed(root, args))
	return root.ExecuteContext(ctx)
}
