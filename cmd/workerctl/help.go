package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/kyujobs/kyu/internal/version"
	"github.com/spf13/cobra"
)

// helpWidth is the width of help texts, in columns.
const helpWidth = 100

func (c *call) helpCommand() *cobra.Command {
	var cmd *cobra.Command
	cmd = c.local("help [COMMAND]", "the arguments and flags of a command",
		func(_ context.Context, c *call, words []string) error {
			return c.help(cmd.Root(), words)
		})
	cmd.Long = "show how a command is called, with examples and its flags; without a COMMAND,\n" +
		"list the commands"
	cmd.Example = "workerctl help queue\nworkerctl help retries delete"
	cmd.Args = cobra.ArbitraryArgs
	cmd.ValidArgsFunction = completeNames
	return cmd
}

func (c *call) help(root *cobra.Command, words []string) error {
	cmd, rest := route(root, words)
	rest = rest[len(strings.Fields(pathOf(cmd))):]
	for at := cmd; at != nil; at = at.Parent() {
		if isNoun(at) {
			rest = rest[min(1, len(rest)):] // the name in queue NAME
		}
	}
	if len(rest) > 0 {
		return noSuchHelp(cmd, rest)
	}
	printHelp(c.out, cmd)
	return nil
}

// completeNames completes the names of commands.
func completeNames(cmd *cobra.Command, words []string,
	prefix string) (names []cobra.Completion, _ cobra.ShellCompDirective) {
	at, _ := route(cmd.Root(), words)
	for _, below := range at.Commands() {
		if strings.HasPrefix(below.Name(), prefix) && !below.Hidden {
			names = append(names, cobra.CompletionWithDesc(below.Name(), below.Short))
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// noSuchHelp is the error of a word that names no command below cmd.
func noSuchHelp(cmd *cobra.Command, rest []string) error {
	if cmd.HasParent() {
		return usageError{"help", fmt.Errorf("%s has no command %q", pathOf(cmd), rest[0])}
	}
	return commandNames(cmd, rest)
}

// noCommand answers a call that has only flags, or nothing.
func (c *call) noCommand(_ context.Context, _ *call, _ []string) error {
	if c.version {
		fmt.Fprintln(c.out, "workerctl", version.String())
		return nil
	}
	printCommands(c.out, c.program())
	return exitCode(2)
}

func printCommands(out io.Writer, root *cobra.Command) {
	fmt.Fprint(out, "Usage: workerctl COMMAND [arguments] [flags]\n\n")
	for _, cmd := range root.Commands() {
		fmt.Fprintf(out, "  %-16s %s\n", cmd.Name(), cmd.Short)
	}
	fmt.Fprint(out, `
"workerctl COMMAND --help" shows the arguments and the flags of a command, with examples,
and "workerctl --version" prints the version. Every command prints JSON with -o json, and
lists of it with -o jsonl. Redis is found as the worker finds it: REDIS_URL, or REDIS_HOST
and so on.
`)
}

func printHelp(out io.Writer, cmd *cobra.Command) {
	if !cmd.HasParent() {
		printCommands(out, cmd)
		return
	}
	fmt.Fprint(out, "Usage:\n")
	if cmd.Long != "" || !cmd.HasSubCommands() {
		printUsage(out, cmd)
	}
	for _, below := range cmd.Commands() {
		everyCommand(below, func(below *cobra.Command) { printUsage(out, below) })
	}
	if cmd.Example != "" {
		fmt.Fprintf(out, "\nExamples:\n  %s\n", strings.ReplaceAll(cmd.Example, "\n", "\n  "))
	}
	if flags := cmd.LocalFlags().FlagUsagesWrapped(helpWidth); flags != "" {
		fmt.Fprintf(out, "\nFlags:\n%s", flags)
	}
	fmt.Fprintf(out, "\nFlags of every command:\n%s",
		cmd.Root().PersistentFlags().FlagUsagesWrapped(helpWidth))
	if cmd.HasSubCommands() {
		fmt.Fprintf(out, "\n`%s --help` shows the flags of one of them.\n",
			cmd.Commands()[len(cmd.Commands())-1].CommandPath())
	}
}

// printUsage prints how a command is called, and what it does.
func printUsage(out io.Writer, cmd *cobra.Command) {
	fmt.Fprintf(out, "  %s\n      %s\n", cmd.UseLine(),
		strings.ReplaceAll(does(cmd), "\n", "\n      "))
}

// does says what a command does.
func does(cmd *cobra.Command) string {
	if cmd.Long != "" {
		return cmd.Long
	}
	return cmd.Short
}
