package main

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// route finds the command that arguments name. It returns them with the words of its path first, as
// cobra wants them. Flags may stand before these words. A command whose first word is the name of
// something, such as queue NAME delete, has a command of that name in capitals below it, and the
// word itself stays an argument.
func route(root *cobra.Command, args []string) (*cobra.Command, []string) {
	cmd, rest, nouns := root, slices.Clone(args), 0
	words := wordsOf(root, args)
	for n, at := range words {
		below := child(cmd, args[at])
		if below == nil {
			break
		}
		if isNoun(below) {
			nouns++
		} else {
			rest = slices.Delete(rest, at-(n-nouns), at-(n-nouns)+1)
		}
		cmd = below
	}
	return cmd, append(strings.Fields(pathOf(cmd)), rest...)
}

// routed are the arguments with the words of their command first, also if a shell asks for what the
// last word may become.
func routed(root *cobra.Command, args []string) []string {
	last := len(args) - 1
	if last > 0 && (args[0] == cobra.ShellCompRequestCmd ||
		args[0] == cobra.ShellCompNoDescRequestCmd) {
		_, before := route(root, args[1:last])
		return slices.Concat(args[:1], before, args[last:])
	}
	_, args = route(root, args)
	return args
}

// child is the command below cmd that a word names, or nil.
func child(cmd *cobra.Command, word string) *cobra.Command {
	for _, below := range cmd.Commands() {
		if below.Name() == word || isNoun(below) {
			return below
		}
	}
	return nil
}

// isNoun reports whether any word names the command: queue NAME, held CLASS.
func isNoun(cmd *cobra.Command) bool { return cmd.Name() == strings.ToUpper(cmd.Name()) }

// wordsOf are the places of the arguments that are neither flags nor their values. A flag takes a
// value in all commands or in none.
func wordsOf(root *cobra.Command, args []string) (places []int) {
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case arg == "--":
			for i++; i < len(args); i++ {
				places = append(places, i)
			}
		case len(arg) < 2 || arg[0] != '-':
			places = append(places, i)
		case takesNext(root, arg):
			i++
		}
	}
	return places
}

// takesNext reports whether the argument after a flag is its value.
func takesNext(root *cobra.Command, arg string) (takes bool) {
	everyCommand(root, func(cmd *cobra.Command) {
		var f *pflag.Flag
		if name, long := strings.CutPrefix(arg, "--"); long {
			f = cmd.Flags().Lookup(name)
		} else if len(arg) == 2 {
			f = cmd.Flags().ShorthandLookup(arg[1:])
		}
		takes = takes || f != nil && f.NoOptDefVal == ""
	})
	return takes
}
