package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// program is the tree of commands. Every call builds it anew, with flags at their defaults.
func (c *call) program() *cobra.Command {
	root := c.local("workerctl COMMAND [arguments] [flags]",
		"show the queues, jobs and processes, and change them", c.noCommand)
	root.Args = commandNames
	root.SilenceErrors, root.SilenceUsage = true, true
	root.CompletionOptions.DisableDefaultCmd = true
	root.Flags().BoolVarP(&c.version, "version", "V", false, "print the version and exit")
	c.outputFlags(root)
	root.SetOut(c.out)
	root.SetErr(c.errOut)
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { printHelp(c.out, cmd) })
	help := c.helpCommand()
	root.SetHelpCommand(help)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{pathOf(cmd), withOwners(cmd, err)}
	})
	cobra.EnableCommandSorting = false // the help has the commands in this order
	root.AddCommand(
		c.pushCommand(), c.statsCommand(), c.stuckCommand(), c.queuesCommand(), c.queueCommand(),
		c.explainCommand(),
		c.retriesCommand(), c.scheduledCommand(), c.deadCommand(), c.heldCommand(),
		c.jobCommand(), c.findCommand(), c.operationsCommand(), c.undoCommand(), c.locksCommand(),
		c.lanesCommand(), c.shardsCommand(),
		c.processesCommand(), c.busyCommand(), c.runsCommand(), c.topCommand(),
		c.quietCommand(), c.stopCommand(), c.dumpCommand(),
		c.classesCommand(), c.metricsCommand(), c.historyCommand(), c.deployCommand(),
		c.deploysCommand(),
		c.iterationCommand(), c.cancelCommand(), c.cronCommand(), c.auditCommand(),
		c.migrateCommand(), c.outboxCommand(), c.doctorCommand(), c.planCommand(),
		c.installUnitsCommand(), c.uninstallUnitsCommand(), c.healthCommand(),
		c.completionCommand(), c.manCommand(), help)
	everyCommand(root, hide)
	return root
}

// hide leaves --help out of the flags that the help explains, and the word NAME of queue NAME out
// of what a shell completes.
func hide(cmd *cobra.Command) {
	cmd.InitDefaultHelpFlag()
	cmd.Flags().Lookup("help").Hidden = true
	cmd.Hidden = isNoun(cmd)
	cmd.InheritedFlags() // adds the flags of every command to its own
}

// everyCommand calls do for a command and all below it, from the top.
func everyCommand(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, below := range cmd.Commands() {
		everyCommand(below, do)
	}
}

// runner is what a command does. words are the arguments after its name and its flags.
type runner func(ctx context.Context, c *call, words []string) error

// local makes a command that runs without Redis. use is its name, and the words after it. It takes
// no words until its Args are set.
func (c *call) local(use, summary string, run runner) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: summary, Args: noWords, DisableFlagsInUseLine: true,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, words []string) error {
			c.path = pathOf(cmd)
			return run(cmd.Context(), c, words)
		}}
	cmd.Flags().SortFlags = false
	return cmd
}

// command makes a command that asks Redis, each shard by itself if there are several. A wrong call
// is refused before.
func (c *call) command(use, summary string, run runner) *cobra.Command {
	return c.spreading(each, use, summary, run)
}

// completes sets what Redis has for the words after a command.
func (c *call) completes(cmd *cobra.Command, list candidates) {
	cmd.ValidArgsFunction = c.fromRedis(list)
}

// completesFlag sets what Redis has for the value of a flag.
func (c *call) completesFlag(cmd *cobra.Command, flag string, list candidates) {
	if err := cmd.RegisterFlagCompletionFunc(flag, c.fromRedis(list)); err != nil {
		panic(err) // the command has no such flag: a mistake in this program
	}
}

// checked are Args that check refuses as a wrong call.
func checked(check func(words []string) error) cobra.PositionalArgs {
	return func(cmd *cobra.Command, words []string) error {
		if err := check(words); err != nil {
			return usageError{pathOf(cmd), err}
		}
		return nil
	}
}

// noWords are the Args of a command that takes no words but the names of commands below it.
func noWords(cmd *cobra.Command, words []string) error {
	if len(words) == 0 {
		return nil
	}
	if !cmd.HasSubCommands() {
		return usageError{pathOf(cmd), fmt.Errorf("it takes no arguments, and got %q", words[0])}
	}
	var verbs []string
	for _, below := range cmd.Commands() {
		verbs = append(verbs, below.Name())
	}
	last := len(verbs) - 1
	return usageError{pathOf(cmd), fmt.Errorf("%s: %swant %s or %s", strings.Join(words, " "),
		didYouMean(cmd, words[0]), strings.Join(verbs[:last], ", "), verbs[last])}
}

// commandNames are the Args of the program: every word is the name of a command.
func commandNames(root *cobra.Command, words []string) error {
	if len(words) == 0 {
		return nil
	}
	advice := strings.TrimSpace(didYouMean(root, words[0]))
	if advice == "" {
		advice = "there are"
		for _, cmd := range root.Commands() {
			advice += " " + cmd.Name()
		}
	}
	return usageError{"", fmt.Errorf("there is no command %q: %s", words[0], advice)}
}

// didYouMean is a question that names the commands below cmd whose names are like a word.
func didYouMean(cmd *cobra.Command, word string) string {
	cmd.SuggestionsMinimumDistance = 2
	similar := cmd.SuggestionsFor(word)
	if len(similar) == 0 {
		return ""
	}
	return "did you mean " + strings.Join(similar, " or ") + "? "
}

// pathOf are the words that name a command, without the name of the program.
func pathOf(cmd *cobra.Command) string {
	_, path, _ := strings.Cut(cmd.CommandPath(), " ")
	return path
}

// withOwners adds to the error of an unknown flag the commands that have it: those beside cmd, with
// the same first word, if there are any. If no command has it, it adds the flags that are like it.
func withOwners(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return err
	}
	first, _, _ := strings.Cut(pathOf(cmd), " ")
	var near, all []string
	everyCommand(cmd.Root(), func(other *cobra.Command) {
		if other.Flags().Lookup(unknown.GetSpecifiedName()) == nil {
			return
		}
		path := pathOf(other)
		all = append(all, path)
		if path == first || strings.HasPrefix(path, first+" ") {
			near = append(near, path)
		}
	})
	if len(near) > 0 {
		all = near
	}
	if len(all) > 0 {
		return fmt.Errorf("%w; it is a flag of %s", err, strings.Join(all, ", "))
	}
	if meant := orMeant("--"+unknown.GetSpecifiedName(), flagNames(cmd)); meant != "" {
		return fmt.Errorf("%w; %s", err, meant)
	}
	return err
}

// flagNames are the flags of a command that its help explains, with their dashes.
func flagNames(cmd *cobra.Command) (names []string) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, "--"+f.Name)
		}
	})
	return names
}
