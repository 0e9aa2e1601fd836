package testjobs

import (
	"fmt"
	"os"
	"time"

	"github.com/kyujobs/kyu/jobs"
	"github.com/kyujobs/kyu/worker"
)

// Configure changes a worker for tests, by variables of the environment; without them it changes
// nothing:
//
//	TEST_NO_POISON    no job is taken for poison, however often its process dies
//	TEST_LEASE        the lease, a duration, instead of 10 s
//	TEST_SLOW_HOOKS   how long callbacks take: "heartbeat=8s ran=2ms"
//	TEST_PANIC_HOOKS  callbacks that panic: "heartbeat ran"
//
// A callback is one of startup, heartbeat, quiet, shutdown (hooks), error, death (handlers),
// fetched, settled, ran, reclaimed (of an observer).
func Configure(c *worker.Config) {
	if os.Getenv("TEST_NO_POISON") != "" {
		c.Poison.Times = -1
	}
	if text := os.Getenv("TEST_LEASE"); text != "" {
		c.Lease = duration(text)
	}
	if slow, panics := os.Getenv("TEST_SLOW_HOOKS"), os.Getenv("TEST_PANIC_HOOKS"); slow != "" ||
		panics != "" {
		newCallbacks(slow, panics).join(c)
	}
}

// ConfigureServer changes the jobs of the four queues in the same way:
//
//	TEST_NO_BREAKERS  hosts are neither limited nor left alone when they fail
//	TEST_NO_JITTER    link previews are fetched at once
func ConfigureServer(s *jobs.Server) {
	if os.Getenv("TEST_NO_BREAKERS") != "" {
		s.Deliveries.Hosts = jobs.NewHosts(nil, 0, s.Deliveries.Log)
		s.Webhooks.Hosts = s.Deliveries.Hosts
	}
	if os.Getenv("TEST_NO_JITTER") != "" {
		s.Previews.Jitter = -1
	}
}

func duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(fmt.Errorf("a TEST_ variable: %w", err))
	}
	return d
}
