package cron

import (
	"flag"
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if os.Getenv("KYU_TEST_SCHEDULER") != "" {
		os.Exit(schedulerProcess())
	}
	flag.Parse()
	goleak.VerifyTestMain(m)
}
