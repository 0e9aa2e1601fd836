package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// command is a row of the table of commands.
type command struct {
	name    string
	summary string // its line in the list of commands
	forms   []form
	local   bool // it runs without Redis

	// flags adds the flags that the command owns; nil if it has none.
	flags func(*pflag.FlagSet)
	// check reads the words after the name, and the flags, and refuses wrong ones; nil if
	// the command takes no words.
	check func(words []string) error
	run   func(ctx context.Context, c *call, words []string) error
}

// form is one way to call a command.
type form struct {
	words string // after the name
	does  string
}

// commands is the table, in the order of the help. Every call builds it anew, with flags
// at their defaults.
func commands() []command {
	return []command{
		pushCommand(), statsCommand(), queuesCommand(), queueCommand(),
		retriesCommand(), scheduledCommand(), deadCommand(), heldCommand(), jobCommand(),
		locksCommand(),
		processesCommand(), busyCommand(), quietCommand(), stopCommand(), dumpCommand(),
		metricsCommand(), deployCommand(), deploysCommand(),
		iterationCommand(), cancelCommand(), cronCommand(),
		migrateCommand(), doctorCommand(), planCommand(),
		installUnitsCommand(), uninstallUnitsCommand(), healthCommand(), helpCommand(),
	}
}

// find gives the command of a name.
func find(name string) (command, error) {
	var names []string
	for _, m := range commands() {
		if m.name == name {
			return m, nil
		}
		names = append(names, m.name)
	}
	return command{}, usageError{"", fmt.Errorf("there is no command %q; there are %s", name,
		strings.Join(names, ", "))}
}

// flagSet is an empty set that leaves the printing of help and errors to its caller.
func flagSet(name string) *pflag.FlagSet {
	f := pflag.NewFlagSet(name, pflag.ContinueOnError)
	f.SortFlags, f.Usage = false, func() {}
	return f
}

func (m command) flagSet() *pflag.FlagSet {
	f := flagSet(m.name)
	if m.flags != nil {
		m.flags(f)
	}
	return f
}

// call runs the command with flags and words. It refuses a wrong call before it asks Redis.
func (m command) call(ctx context.Context, c *call, args []string) error {
	f := m.flagSet()
	err := f.Parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		m.printHelp(c.out)
		return nil
	case err != nil:
		return usageError{m.name, withOwners(err)}
	case m.check == nil && f.NArg() > 0:
		return usageError{m.name, fmt.Errorf("it takes no arguments, and got %q", f.Arg(0))}
	case m.check != nil:
		if err := m.check(f.Args()); err != nil {
			return usageError{m.name, err}
		}
	}
	if !m.local {
		if err := c.open(ctx); err != nil {
			return err
		}
		defer c.store.Close()
	}
	return m.run(ctx, c, f.Args())
}

// withOwners adds to the error of an unknown flag the commands that have it.
func withOwners(err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	var owners []string
	for _, m := range commands() {
		if m.flagSet().Lookup(unknown.GetSpecifiedName()) != nil {
			owners = append(owners, m.name)
		}
	}
	if len(owners) == 0 {
		return err
	}
	return fmt.Errorf("%w; it is a flag of %s", err, strings.Join(owners, ", "))
}
