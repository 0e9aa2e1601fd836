package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// manPage prints the man page of a program with these flags. SOURCE_DATE_EPOCH is its date, in
// seconds, so that the same source gives the same page. Its default is today.
func (a *App) manPage(f *pflag.FlagSet) {
	date := time.Now()
	if n, err := strconv.ParseInt(a.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		date = time.Unix(n, 0)
	}
	name := roff(a.Name)
	fmt.Fprintf(a.Stdout, ".TH %s 1 %q %q Kyu\n.SH NAME\n%s \\- take jobs from queues in Redis "+
		"and run them\n.SH SYNOPSIS\n.B %s\n[flags]\n.SH DESCRIPTION\n%s\n.SH OPTIONS\n",
		strings.ToUpper(name), date.UTC().Format("Jan 2006"), a.Name+" "+a.version(), name, name,
		roff(purpose))
	f.VisitAll(func(flag *pflag.Flag) { fmt.Fprint(a.Stdout, manFlag(flag)) })
	for _, c := range chapters {
		fmt.Fprintf(a.Stdout, ".SH %s\n%s\n", strings.ToUpper(c.title), roff(c.text))
	}
	fmt.Fprint(a.Stdout, ".SH SEE ALSO\n.BR workerctl (1),\n.BR systemd.service (5)\n")
}

// manFlag is the paragraph of a flag.
func manFlag(f *pflag.Flag) string {
	value, usage := pflag.UnquoteUsage(f)
	names := `\fB` + roff("--"+f.Name) + `\fP`
	if f.Shorthand != "" {
		names = `\fB` + roff("-"+f.Shorthand) + `\fP, ` + names
	}
	if value != "" {
		names += ` \fI` + roff(value) + `\fP`
	}
	if zero := map[string]bool{"": true, "0": true, "false": true, "[]": true}; !zero[f.DefValue] {
		usage += fmt.Sprintf(" (default: %s)", f.DefValue)
	}
	return fmt.Sprintf(".TP\n%s\n%s\n", names, roff(usage))
}

// roff is a text in the language of man pages, where a backslash and a dash mean something, and so
// do a dot and an apostrophe at the beginning of a line.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		if strings.HasPrefix(line, ".") || strings.HasPrefix(line, "'") {
			lines[i] = `\&` + line
		}
	}
	return strings.Join(lines, "\n")
}
