package top

import (
	"flag"
	"os"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/harness"
	"github.com/mattn/go-runewidth"
	"go.uber.org/goleak"
)

// update writes the golden frames anew.
var update = flag.Bool("update", false, "write the golden frames anew")

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv("TOP_PANIC") != "" {
		panicking()
		return
	}
	time.Local = time.UTC
	runewidth.DefaultCondition.EastAsianWidth = false // as in a locale of English
	clean := harness.Build("./cmd/workerctl")
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		println(err.Error())
		code = 1
	}
	clean()
	os.Exit(code)
}
