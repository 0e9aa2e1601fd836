package cli

import (
	"fmt"
	"strings"

	"github.com/kyujobs/kyu/internal/manpage"
	"github.com/spf13/pflag"
)

// helpWidth is the width of the help text, in columns.
const helpWidth = 100

// purpose is what a worker program does.
const purpose = "Takes jobs from queues in Redis and runs them."

// chapters are the parts of the help behind the flags. The man page has them too.
var chapters = []manpage.Chapter{
	{Title: "Redis", Text: "REDIS_URL, or REDIS_HOST, REDIS_PORT, REDIS_DB, REDIS_USER, " +
		"REDIS_PASSWORD;\n" +
		"each with the prefix SIDEKIQ_ comes first; NAME_FILE reads a value from a file.\n" +
		"REDIS_NAMESPACE puts a name before every key, as Sidekiq 6 with redis-namespace.\n" +
		"REDIS_SENTINELS with REDIS_SENTINEL_MASTER finds it by Sentinel; REDIS_TLS_CA, _CERT\n" +
		"and _KEY go with rediss://; REDIS_WAIT_REPLICAS=1 lets pushes wait for a replica."},
	{Title: "Signals", Text: "TERM and INT stop, TSTP quiets, TTIN writes all stacks to the log."},
	{Title: "Exits", Text: "0 stopped, 1 could not start, 2 wrong usage, 3 gave up " +
		"(stuck handlers or memory)."},
}

// help prints the help of a program with these flags.
func (a *App) help(f *pflag.FlagSet) {
	fmt.Fprintf(a.Stdout, "Usage: %s [flags]\n\n%s\n\n%s\n", a.Name, purpose,
		f.FlagUsagesWrapped(helpWidth))
	for _, c := range chapters {
		fmt.Fprintf(a.Stdout, "%-9s %s\n", c.Title+":",
			strings.ReplaceAll(c.Text, "\n", "\n"+strings.Repeat(" ", 10)))
	}
}
