package cli

import (
	"errors"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestManPage(t *testing.T) {
	a, out, _ := app(map[string]string{"SOURCE_DATE_EPOCH": "1000000000"})
	a.Flags.Bool("mine", false, "'not a request'\n.and this is none")
	if _, err := a.parse([]string{"--man"}); !errors.Is(err, pflag.ErrHelp) {
		t.Fatal(err)
	}
	page := out.String()
	t.Run("has all flags, with their values, defaults and signals", func(t *testing.T) {
		a.flags(&options{}).VisitAll(func(f *pflag.Flag) {
			if !strings.Contains(page, roff("--"+f.Name)) {
				t.Errorf("no --%s", f.Name)
			}
		})
		for _, want := range []string{`.TH WORKER 1 "Sep 2001"`,
			`\fB\-t\fP, \fB\-\-timeout\fP \fISECONDS\fP`, "(default: 25)\n", ".SH SIGNALS\n"} {
			if !strings.Contains(page, want) {
				t.Errorf("no %q in\n%s", want, page)
			}
		}
	})
	t.Run("has no text that starts like a request", func(t *testing.T) {
		if want := "\n\\&'not a request'\n\\&.and this is none\n"; !strings.Contains(page, want) {
			t.Errorf("no %q in\n%s", want, page)
		}
	})
}
