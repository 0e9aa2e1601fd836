package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// shells are the shells for which there are completions, in the order of the help.
var shells = []string{"bash", "zsh", "fish", "powershell"}

func (c *call) completionCommand() *cobra.Command {
	var cmd *cobra.Command
	cmd = c.local("completion bash|zsh|fish|powershell", "print a file of completions for a shell",
		func(_ context.Context, c *call, words []string) error {
			return c.completion(cmd.Root(), words[0])
		})
	cmd.Long = "print a file of completions for a shell; it completes commands, flags, queues,\n" +
		"classes, jobs and processes. The Debian package installs those of bash, zsh and fish"
	cmd.Example = "workerctl completion bash > /usr/share/bash-completion/completions/workerctl\n" +
		"workerctl completion zsh > ~/.zfunc/_workerctl"
	cmd.Args = checked(func(words []string) error {
		if len(words) != 1 {
			return errors.New("want one of bash, zsh, fish and powershell")
		}
		return nil
	})
	cmd.ValidArgs, cmd.ValidArgsFunction = shells, nil
	return cmd
}

func (c *call) completion(root *cobra.Command, shell string) error {
	switch shell {
	case "bash":
		return root.GenBashCompletionV2(c.out, true)
	case "zsh":
		return root.GenZshCompletion(c.out)
	case "fish":
		return root.GenFishCompletion(c.out, true)
	case "powershell":
		return root.GenPowerShellCompletionWithDesc(c.out)
	}
	return usageError{"completion",
		fmt.Errorf("%q: want bash, zsh, fish or powershell", shell)}
}
