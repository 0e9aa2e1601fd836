package manpage

import (
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

func TestPage(t *testing.T) {
	f := pflag.NewFlagSet("tool", pflag.ContinueOnError)
	f.StringP("file", "f", "a-b", "the `NAME` of a file")
	f.Bool("mine", false, "'not a request'\n.and this is none")
	f.StringSlice("words", []string{"a", "b"}, "the `WORDS`")
	var b strings.Builder
	Page{Name: "my-tool", Does: "do it", Version: "1.0", Date: time.Unix(1e9, 0),
		Synopsis: []string{"[flags]", "add NAME"}, Text: "A text.", Flags: f,
		Chapters: []Chapter{{"files", `C:\x`}}, See: []string{"a (1)", "b (2)"}}.Print(&b)
	t.Run("has all parts, escaped", func(t *testing.T) {
		const want = `.TH MY\-TOOL 1 "Sep 2001" "my-tool 1.0" Kyu
.SH NAME
my\-tool \- do it
.SH SYNOPSIS
.B my\-tool
[flags]
.br
.B my\-tool
add NAME
.SH DESCRIPTION
A text.
.SH OPTIONS
.TP
\fB\-f\fP, \fB\-\-file\fP \fINAME\fP
the NAME of a file (default: a\-b)
.TP
\fB\-\-mine\fP
\&'not a request'
\&.and this is none
.TP
\fB\-\-words\fP \fIWORDS\fP
the WORDS (default: a, b)
.SH FILES
C:\ex
.SH SEE ALSO
.BR a (1),
.BR b (2)
`
		if b.String() != want {
			t.Errorf("it is\n%s", b.String())
		}
	})
}

func TestDate(t *testing.T) {
	t.Run("is that of the source, else today", func(t *testing.T) {
		if got := Date(func(string) string { return "1000000000" }); got.Unix() != 1e9 {
			t.Error(got)
		}
		if got := Date(func(string) string { return "" }); time.Since(got) > time.Minute {
			t.Error(got)
		}
	})
}
