package cli

import (
	"errors"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

func TestParse(t *testing.T) {
	t.Run("prints the help, with the program's own flags", func(t *testing.T) {
		a, out, _ := app(nil)
		a.Flags.Bool("mine", false, "a flag of the program")
		if _, err := a.parse([]string{"-h"}); !errors.Is(err, pflag.ErrHelp) {
			t.Error(err)
		}
		for _, want := range []string{"Usage: worker [flags]", "--concurrency", "--mine",
			"Signals:"} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("no %s in\n%s", want, out)
			}
		}
		for line := range strings.Lines(out.String()) {
			if len(line)-1 > helpWidth {
				t.Errorf("%d columns: %s", len(line)-1, line)
			}
		}
	})
	t.Run("says which flags were given", func(t *testing.T) {
		a, _, _ := app(nil)
		o, err := a.parse([]string{"-c", "5"})
		if err != nil || !o.set("concurrency") || o.set("timeout") {
			t.Errorf("%+v %v", o, err)
		}
	})
	t.Run("refuses a queue without -q", func(t *testing.T) {
		a, _, _ := app(nil)
		if _, err := a.parse([]string{"push"}); err == nil ||
			!strings.Contains(err.Error(), "queues are given with -q") {
			t.Error(err)
		}
	})
}
