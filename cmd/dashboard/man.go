package main

import (
	"io"

	"github.com/kyujobs/kyu/internal/manpage"
	"github.com/kyujobs/kyu/internal/version"
)

// manPage prints the man page.
func manPage(out io.Writer, getenv func(string) string) {
	manpage.Page{Name: "dashboard", Does: "show queues, jobs and processes in a browser",
		Version: version.String(), Date: manpage.Date(getenv),
		Synopsis: []string{"[flags]", "adduser NAME [--role ROLE] [--users FILE]",
			"addtoken NAME [--role ROLE] [--tokens FILE]"},
		Text: "The dashboard shows the queues, jobs and processes in a browser, and changes " +
			"them.\nWithout users, tokens and a proxy or provider that names persons, only this " +
			"machine may use it, as an admin.",
		Flags: newFlags(&settings{}),
		Chapters: []manpage.Chapter{
			{Title: "Commands", Text: "adduser: " + peopleText["adduser"] + "\nThe file is " +
				usersFile + " without --users.\n.PP\naddtoken: " + peopleText["addtoken"] +
				"\nThe file is " + tokensFile + " without --tokens."},
			{Title: "Environment", Text: "REDIS_URL and the other variables of Redis, as " +
				"worker reads them.\nIn a unit of systemd, the credentials redis_url, " +
				"dashboard_users, dashboard_tokens and\ndashboard_oidc_secret hold the address " +
				"and the files of --users, --tokens and --oidc-secret-file.\nAn empty " +
				"credential is none."},
			{Title: "Signals", Text: "TERM and INT stop."},
			{Title: "Exits", Text: "0 stopped, 1 could not start or serve, 2 wrong usage."}},
		See: []string{"worker (1)", "workerctl (1)", "systemd.service (5)"}}.Print(out)
}
