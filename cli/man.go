package cli

import (
	"github.com/kyujobs/kyu/internal/manpage"
	"github.com/spf13/pflag"
)

// manPage prints the man page of a program with these flags.
func (a *App) manPage(f *pflag.FlagSet) {
	manpage.Page{Name: a.Name, Does: "take jobs from queues in Redis and run them",
		Version: a.version(), Date: manpage.Date(a.Getenv), Synopsis: []string{"[flags]"},
		Text: purpose, Flags: f, Chapters: chapters,
		See: []string{"workerctl (1)", "systemd.service (5)"}}.Print(a.Stdout)
}
