package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestMan(t *testing.T) {
	s, directory := withoutRedis(t), filepath.Join(t.TempDir(), "man1")
	t.Setenv("SOURCE_DATE_EPOCH", "1000000000")
	s.ok("", "man "+directory)
	t.Run("has a page for each command", func(t *testing.T) {
		everyCommand(tree(), func(cmd *cobra.Command) {
			name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
			text, err := os.ReadFile(filepath.Join(directory, name+".1"))
			if cmd.Name() != "help" && (err != nil || !strings.Contains(string(text), name)) {
				t.Errorf("%s: %v", name, err)
			}
		})
	})
	t.Run("has the flags and examples of its command, and the source's date", func(t *testing.T) {
		text, _ := os.ReadFile(filepath.Join(directory, "workerctl-queue-NAME-delete.1"))
		other, _ := os.ReadFile(filepath.Join(directory, "workerctl-queue-NAME.1"))
		if !strings.Contains(string(text), "workerctl queue push delete "+sampleJID) ||
			!strings.Contains(string(text), "Sep 2001") ||
			!strings.Contains(string(other), "--pause") ||
			strings.Contains(string(text), "--pause") {
			t.Errorf("%s\n%s", text, other)
		}
	})
	t.Run("wants a directory", func(t *testing.T) { s.of(t).fails(2, "want the directory", "man") })
}
