package faults

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/harness"
)

var chosen = flag.String("arrangements", "",
	"names of the arrangements of the ledger run, with commas between; all if empty")

// capsule is a set of queues and threads; a queue may have a weight after a comma.
type capsule struct {
	name    string
	threads int
	queues  []string
}

// arrangement is one way in which users set a worker up.
type arrangement struct {
	name     string
	capsules []capsule     // the first is the one of -c and :queues:
	unknown  string        // --unknown, and the class Test::Rare has no handler
	lease    time.Duration // 10 s if zero
	env      []string
}

// all are the queues of the run, but for the one of the long jobs.
var all = []string{"default", "push", "mailers", "pull", "other"}

func weighted(weights ...int) []string {
	var list []string
	for i, name := range all {
		list = append(list, fmt.Sprint(name, ",", weights[i]))
	}
	return list
}

// shortLease leaves room for a Redis that is silent for three seconds.
const shortLease = 6 * time.Second

// arrangements are all that users can configure. Each takes part in a full run some
// sixty times.
var arrangements = []arrangement{
	{name: "strict", capsules: []capsule{{"", 15, all}}},
	{name: "one-thread", capsules: []capsule{{"", 1, all}}, lease: shortLease},
	{name: "hundred-threads", capsules: []capsule{{"", 100, all}}},
	{name: "shared", capsules: []capsule{{"", 5, all}, {"more", 5, []string{"default"}}},
		lease: shortLease},
	{name: "shared-three", capsules: []capsule{{"", 3, all},
		{"more", 5, []string{"push", "mailers"}},
		{"last", 4, []string{"pull", "mailers", "default"}}}},
	{name: "shared-large", capsules: []capsule{{"", 100, all},
		{"single", 1, []string{"push", "other"}}}},
	{name: "weighted", capsules: []capsule{{"", 10, weighted(6, 4, 2, 1, 1)}}},
	{name: "weighted-shared", capsules: []capsule{{"", 8, weighted(6, 4, 2, 1, 3)},
		{"more", 4, []string{"push", "default"}}}},
	{name: "random", capsules: []capsule{{"", 10, weighted(1, 1, 1, 1, 1)}}, lease: shortLease},
	{name: "random-shared", capsules: []capsule{{"", 6, weighted(1, 1, 1, 1, 1)},
		{"more", 6, weighted(1, 1, 1, 1, 1)}}},
	{name: "slow-callbacks", capsules: []capsule{{"", 10, all}}, lease: shortLease, env: []string{
		"TEST_SLOW_HOOKS=startup=200ms heartbeat=8s quiet=500ms shutdown=1s error=500ms " +
			"death=500ms reclaimed=1s fetched=1ms settled=1ms ran=1ms"}},
	{name: "slow-start", capsules: []capsule{{"", 10, all}}, lease: shortLease,
		env: []string{"TEST_SLOW_HOOKS=startup=8s"}},
	{name: "panicking-callbacks", capsules: []capsule{{"", 10, all}}, env: []string{
		"TEST_PANIC_HOOKS=heartbeat quiet shutdown error death fetched settled ran reclaimed"}},
	{name: "wait", capsules: []capsule{{"", 15, all}}, env: []string{"REDIS_WAIT_REPLICAS=1"}},
	{name: "wait-for-nobody", capsules: []capsule{{"", 25, all}},
		env: []string{"REDIS_WAIT_REPLICAS=2"}},
	{name: "unknown-hold", capsules: []capsule{{"", 10, all}}, unknown: "hold"},
	{name: "unknown-forward", capsules: []capsule{{"", 10, all[:4]}}, unknown: "forward:other"},
	{name: "unknown-retry", capsules: []capsule{{"", 10, all}}, unknown: "retry"},
}

// picked are the arrangements of this run.
func picked(t *testing.T) []*arrangement {
	t.Helper()
	var list []*arrangement
	names := strings.Fields(strings.ReplaceAll(*chosen, ",", " "))
	for i := range arrangements {
		if a := &arrangements[i]; len(names) == 0 || slices.Contains(names, a.name) {
			list = append(list, a)
		}
	}
	if len(list) < len(names) || len(list) == 0 {
		t.Fatalf("-arrangements %s: want some of %s", *chosen,
			strings.Join(namesOf(arrangements), ", "))
	}
	return list
}

func namesOf(list []arrangement) (names []string) {
	for _, a := range list {
		names = append(names, a.name)
	}
	return names
}

func (a *arrangement) threads() (n int) {
	for _, c := range a.capsules {
		n += c.threads
	}
	return n
}

func (a *arrangement) leaseLength() time.Duration { return cmp.Or(a.lease, 10*time.Second) }

// waits reports whether it needs a replica.
func (a *arrangement) waits() bool { return strings.Contains(strings.Join(a.env, " "), "WAIT") }

// stopsWithin is the longest that a clean stop may take: -t, the grace, and what slow
// callbacks and a Redis that is away for a moment add.
const stopsWithin = 20 * time.Second

// args writes the configuration file and gives the flags. The queue of the long jobs is
// served where faults are rare, by all capsules.
func (a *arrangement) args(s *harness.Site, long bool) []string {
	s.Helper()
	path := filepath.Join(s.Dir, fmt.Sprintf("%s-%v.yml", a.name, long))
	if _, err := os.Stat(path); err != nil {
		if err := os.WriteFile(path, []byte(a.file(long)), 0o600); err != nil {
			s.Fatal(err)
		}
	}
	args := []string{"-c", fmt.Sprint(a.capsules[0].threads), "-C", path, "-t", "5",
		"--log-level", "warn"}
	if a.unknown != "" {
		args = append(args, "--unknown", a.unknown)
	}
	return args
}

func (a *arrangement) file(long bool) string {
	var b strings.Builder
	list := func(indent string, c capsule) {
		queues := c.queues
		if long && strings.Contains(queues[0], ",") {
			queues = append(slices.Clone(queues), longQueue+",1")
		} else if long {
			queues = append(slices.Clone(queues), longQueue)
		}
		fmt.Fprintf(&b, "%s:queues:\n", indent)
		for _, q := range queues {
			fmt.Fprintf(&b, "%s  - %s\n", indent, q)
		}
	}
	fmt.Fprintf(&b, "poll_interval_average: 1\n")
	list("", a.capsules[0])
	for i, c := range a.capsules[1:] {
		if i == 0 {
			fmt.Fprintf(&b, ":capsules:\n")
		}
		fmt.Fprintf(&b, "  %s:\n    concurrency: %d\n", c.name, c.threads)
		list("    ", c)
	}
	return b.String()
}

// environment is what a process of it has in its environment, under a name.
func (a *arrangement) environment(name string) []string {
	env := append([]string{"TEST_MEMBER=" + name, "TEST_LEASE=" + a.leaseLength().String()},
		a.env...)
	if a.unknown != "" {
		env = append(env, "TEST_WITHOUT=Test::Rare")
	}
	return env
}
