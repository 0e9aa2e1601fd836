package main

import (
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestManPage(t *testing.T) {
	t.Run("has all flags and chapters", func(t *testing.T) {
		code, page, _ := call(t.Context(), map[string]string{"SOURCE_DATE_EPOCH": "1000000000"},
			"--man")
		newFlags(&settings{}).VisitAll(func(f *pflag.Flag) {
			if !strings.Contains(page, strings.ReplaceAll("--"+f.Name, "-", `\-`)) {
				t.Errorf("no --%s", f.Name)
			}
		})
		for _, want := range []string{`.TH DASHBOARD 1 "Sep 2001"`, ".SH ENVIRONMENT\n",
			".SH SIGNALS\n", ".SH EXITS\n"} {
			if !strings.Contains(page, want) || code != 0 {
				t.Errorf("code %d, no %q in\n%s", code, want, page)
			}
		}
	})
}
