package main

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/kyujobs/kyu/internal/version"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// manCommand writes the man pages of the Debian package.
func (c *call) manCommand() *cobra.Command {
	var cmd *cobra.Command
	cmd = c.local("man DIRECTORY", "write the man pages of all commands",
		func(_ context.Context, _ *call, words []string) error {
			return writeManPages(cmd.Root(), words[0])
		})
	cmd.Long = "write a man page for each command into a directory; SOURCE_DATE_EPOCH is their date"
	cmd.Example = "workerctl man /usr/local/share/man/man1"
	cmd.Args = checked(func(words []string) error {
		if len(words) != 1 {
			return errors.New("want the directory of the pages")
		}
		return nil
	})
	cmd.ValidArgsFunction = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs)
	return cmd
}

func writeManPages(root *cobra.Command, directory string) error {
	everyCommand(root, func(cmd *cobra.Command) {
		cmd.Hidden, cmd.DisableAutoGenTag = false, true
		cmd.Long = manText(cmd)
	})
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	return doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "Kyu " + version.String(),
		Manual: "Kyu"}, directory)
}

// manText is the description of a command, as sentences.
func manText(cmd *cobra.Command) string {
	text := does(cmd)
	if !cmd.HasParent() {
		text = "It shows the queues, jobs and processes, and changes them. Redis is found as the " +
			"worker finds it: REDIS_URL, or REDIS_HOST and so on"
	}
	text = strings.ReplaceAll(text, "\n", " ")
	return strings.ToUpper(text[:1]) + text[1:] + "."
}
