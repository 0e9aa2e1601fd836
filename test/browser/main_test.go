// Package browser visits the pages of the dashboard with Debian's Chromium: each page of its table
// of routes, in both languages and colours, wide and narrow, with and without JavaScript.
package browser

import (
	"flag"
	"os"
	"testing"

	"github.com/kyujobs/kyu/test/kit/harness"
)

func TestMain(m *testing.M) {
	flag.Parse()
	clean := harness.Build("./cmd/dashboard", "./cmd/workerctl", "./test/kit/testworker")
	code := m.Run()
	clean()
	os.Exit(code)
}
