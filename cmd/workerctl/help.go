package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/kyujobs/kyu/internal/version"
	"github.com/spf13/pflag"
)

// helpWidth is the width of help texts, in columns.
const helpWidth = 100

func helpCommand() command {
	return command{name: "help", summary: "the arguments and flags of a command", local: true,
		forms: []form{{"", "list the commands"},
			{"COMMAND", "show how a command is called, and its flags"}},
		check: checkHelp, run: help}
}

func checkHelp(words []string) error {
	if len(words) > 1 {
		return errors.New("want one command at most")
	}
	return nil
}

func help(_ context.Context, c *call, words []string) error {
	if len(words) == 0 {
		printCommands(c.out)
		return nil
	}
	m, err := find(words[0])
	if err != nil {
		return err
	}
	m.printHelp(c.out)
	return nil
}

// withoutCommand answers a call that has only flags, or nothing.
func (c *call) withoutCommand(args []string) error {
	f := flagSet("workerctl")
	showVersion := f.BoolP("version", "V", false, "print the version and exit")
	err := f.Parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		printCommands(c.out)
		return nil
	case err != nil:
		return usageError{"", withOwners(err)}
	case *showVersion:
		fmt.Fprintln(c.out, "workerctl", version.String())
		return nil
	}
	printCommands(c.out)
	return exitCode(2)
}

func printCommands(out io.Writer) {
	fmt.Fprint(out, "Usage: workerctl COMMAND [arguments] [flags]\n\n")
	for _, m := range commands() {
		fmt.Fprintf(out, "  %-16s %s\n", m.name, m.summary)
	}
	fmt.Fprint(out, "\n`workerctl help COMMAND` shows the arguments and the flags of a command,\n"+
		"and `workerctl --version` prints the version. Most commands print JSON with --json.\n"+
		"Redis is found as the worker finds it: REDIS_URL, or REDIS_HOST and so on.\n")
}

func (m command) printHelp(out io.Writer) {
	fmt.Fprint(out, "Usage:\n")
	for _, f := range m.forms {
		fmt.Fprintf(out, "  %s\n      %s\n", spaced("workerctl", m.name, f.words),
			strings.ReplaceAll(f.does, "\n", "\n      "))
	}
	if flags := m.flagSet().FlagUsagesWrapped(helpWidth); flags != "" {
		fmt.Fprintf(out, "\nFlags:\n%s", flags)
	}
}
