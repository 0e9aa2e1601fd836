package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/kyujobs/kyu/capability/cron"
	"github.com/kyujobs/kyu/capability/lanes"
	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/internal/env"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/pflag"
)

// call is one call of the program: its streams, its environment, and its Redis.
type call struct {
	in          io.Reader
	out, errOut io.Writer
	env         *env.Reader
	version     bool     // print the version and exit
	form        form     // of what is printed
	columns     int      // of the terminal; 0 if out is none
	every       seconds  // between two looks of --watch; 0: one look
	did         []string // what was done, if it is to be printed as JSON
	as          string   // the person, for the audit; "": the user
	path        string   // the words of the command

	store     *queue.Store       // nil for commands that run without Redis
	inspector *inspect.Inspector // of store
}

// open connects to the Redis that the environment names. The caller closes the store if
// there is no error.
func (c *call) open(ctx context.Context) error {
	config := queue.ConfigFromEnv(c.env)
	if err := c.env.Err(); err != nil {
		return usageError{"", err}
	}
	return c.openStore(ctx, config)
}

func (c *call) openStore(ctx context.Context, config queue.Config) error {
	// A job is deleted with its locks, and with what a schedule notes of it.
	config.Capabilities = []queue.Capability{unique.Capability(), cron.Capability(),
		lanes.Capability()}
	store, err := queue.Open(ctx, config)
	if err != nil {
		return err
	}
	c.store, c.inspector = store, inspect.New(store)
	return nil
}

// question is the flag of commands that ask before a step that cannot be undone.
type question struct{ yes bool }

func (q *question) flags(f *pflag.FlagSet) {
	f.BoolVar(&q.yes, "yes", false, "do not ask before a step that cannot be undone")
}

// ask returns nil if the answer is yes.
func (q *question) ask(c *call, text string) error {
	return q.askGently(c, text, "This cannot be undone.")
}

// askGently is ask with another warning.
func (q *question) askGently(c *call, text, warning string) error {
	if q.yes {
		return nil
	}
	to := c.out
	if c.json() {
		to = c.errOut
	}
	fmt.Fprintf(to, "%s? %s [y/N] ", text, warning)
	line, _ := bufio.NewReader(c.in).ReadString('\n')
	if answer := strings.ToLower(strings.TrimSpace(line)); answer == "y" || answer == "yes" {
		return nil
	}
	return errors.New("nothing was done: answer y, or give --yes")
}
