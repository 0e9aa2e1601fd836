// Package manpage prints the man page of a program from its flags.
package manpage

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Page is the man page of a program.
type Page struct {
	Name     string // of the program
	Does     string // what it does, without a subject: "take jobs from queues"
	Version  string
	Date     time.Time
	Synopsis []string // what follows the name, for each way to call it
	Text     string   // the description
	Flags    *pflag.FlagSet
	Chapters []Chapter
	See      []string // other pages, such as "workerctl (1)"
}

// Chapter is a part of the page behind the flags.
type Chapter struct{ Title, Text string }

// Date reads SOURCE_DATE_EPOCH, the date of a page in seconds since 1970, so that the same source
// gives the same page. Its default is today.
func Date(getenv func(key string) string) time.Time {
	if n, err := strconv.ParseInt(getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		return time.Unix(n, 0)
	}
	return time.Now()
}

// Print prints the page.
func (p Page) Print(w io.Writer) {
	name := roff(p.Name)
	fmt.Fprintf(w, ".TH %s 1 %q %q Kyu\n.SH NAME\n%s \\- %s\n.SH SYNOPSIS\n",
		strings.ToUpper(name), p.Date.UTC().Format("Jan 2006"), p.Name+" "+p.Version, name,
		roff(p.Does))
	for i, s := range p.Synopsis {
		if i > 0 {
			fmt.Fprintln(w, ".br")
		}
		fmt.Fprintf(w, ".B %s\n%s\n", name, roff(s))
	}
	fmt.Fprintf(w, ".SH DESCRIPTION\n%s\n.SH OPTIONS\n", roff(p.Text))
	p.Flags.VisitAll(func(f *pflag.Flag) { fmt.Fprint(w, paragraph(f)) })
	for _, c := range p.Chapters {
		fmt.Fprintf(w, ".SH %s\n%s\n", strings.ToUpper(c.Title), roff(c.Text))
	}
	fmt.Fprintf(w, ".SH SEE ALSO\n.BR %s\n", strings.Join(p.See, ",\n.BR "))
}

// defaultOf is the default of a flag. A list gets spaces, at which its line can be broken.
func defaultOf(f *pflag.Flag) string {
	if _, list := f.Value.(pflag.SliceValue); list {
		return strings.ReplaceAll(strings.Trim(f.DefValue, "[]"), ",", ", ")
	}
	return f.DefValue
}

// paragraph is the paragraph of a flag.
func paragraph(f *pflag.Flag) string {
	value, usage := pflag.UnquoteUsage(f)
	names := `\fB` + roff("--"+f.Name) + `\fP`
	if f.Shorthand != "" {
		names = `\fB` + roff("-"+f.Shorthand) + `\fP, ` + names
	}
	if value != "" {
		names += ` \fI` + roff(value) + `\fP`
	}
	if zero := map[string]bool{"": true, "0": true, "false": true, "[]": true}; !zero[f.DefValue] {
		usage += fmt.Sprintf(" (default: %s)", defaultOf(f))
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
