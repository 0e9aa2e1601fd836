package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/kyujobs/kyu/capability/cron"
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
	version     bool // print the version and exit

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
	config.Capabilities = []queue.Capability{unique.Capability(), cron.Capability()}
	store, err := queue.Open(ctx, config)
	if err != nil {
		return err
	}
	c.store, c.inspector = store, inspect.New(store)
	return nil
}

// number is an environment variable that is a whole number, else 0.
func (c *call) number(key string) int {
	v, _ := c.env.Get(key)
	n, _ := strconv.Atoi(v)
	return n
}

// done prints a line if there is no error, and returns the error.
func (c *call) done(err error, line string) error {
	if err == nil {
		fmt.Fprintln(c.out, line)
	}
	return err
}

// print writes a value as JSON.
func (c *call) print(v any) error {
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// output is the flag of commands that print tables for people, or JSON for programs.
type output struct{ json bool }

func (o *output) flags(f *pflag.FlagSet) {
	f.BoolVar(&o.json, "json", false, "print JSON for programs")
}

// question is the flag of commands that ask before a step that cannot be undone.
type question struct{ yes bool }

func (q *question) flags(f *pflag.FlagSet) {
	f.BoolVar(&q.yes, "yes", false, "do not ask before a step that cannot be undone")
}

// ask returns nil if the answer is yes.
func (q *question) ask(c *call, text string) error {
	if q.yes {
		return nil
	}
	fmt.Fprintf(c.out, "%s? This cannot be undone. [y/N] ", text)
	line, _ := bufio.NewReader(c.in).ReadString('\n')
	if answer := strings.ToLower(strings.TrimSpace(line)); answer == "y" || answer == "yes" {
		return nil
	}
	return errors.New("nothing was done: answer y, or give --yes")
}
