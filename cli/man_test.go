package cli

import (
	"errors"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestManPage(t *testing.T) {
	a, out, _ := app(map[string]string{"SOURCE_DATE_EPOCH": "1000000000"})
	if _, err := a.parse([]string{"--man"}); !errors.Is(err, pflag.ErrHelp) {
		t.Fatal(err)
	}
	page := out.String()
	t.Run("has all flags, with their values, defaults and signals", func(t *testing.T) {
		a.flags(&options{}).VisitAll(func(f *pflag.Flag) {
			if !strings.Contains(page, strings.ReplaceAll("--"+f.Name, "-", `\-`)) {
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
}
