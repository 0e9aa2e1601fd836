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
	"names of the long run's arrangements, with commas between; all if empty")

// capsule has threads and queues. A queue may have a weight or a floor after a comma.
type capsule struct {
	name    string
	threads int
	queues  []string
}

// arrangement is a way to configure a worker.
type arrangement struct {
	name     string
	capsules []capsule     // the first is that of -c and :queues:
	unknown  string        // the value of --unknown; then the class Test::Rare has no handler
	lease    time.Duration // 10 s if zero
	env      []string
}

// all are the queues of the run, without the queue of the long jobs.
var all = []string{"default", "push", "mailers", "pull", "other"}

func weighted(weights ...int) []string {
	var list []string
	for i, name := range all {
		list = append(list, fmt.Sprint(name, ",", weights[i]))
	}
	return list
}

// floored are the queues with floors of each kind.
var floored = []string{"default", "push,max=14", "mailers,late=1s", "pull,floor=10%,max=3,late=2s",
	"other,floor=5%"}

// shortLease is long enough for a Redis that is silent for three seconds.
const shortLease = 6 * time.Second

// arrangements cover what users can configure. In a full run each has about sixty processes.
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
	{name: "floors", capsules: []capsule{{"", 15, floored}, {"more", 4,
		[]string{"default", "pull,max=1"}}}, lease: shortLease},
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

// picked returns the arrangements of this run.
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
		t.Fatalf("-arrangements %s: each name must be one of %s", *chosen,
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

// waits reports whether the arrangement needs a replica.
func (a *arrangement) waits() bool { return strings.Contains(strings.Join(a.env, " "), "WAIT") }

// stopsWithin is the longest that a clean stop may take: the 5 s of -t, the grace after it, slow
// callbacks, and a restart of Redis.
const stopsWithin = 20 * time.Second

// args writes the configuration file and returns the flags. With long, all capsules also serve the
// queue of the long jobs.
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

// file returns the text of the configuration file.
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

// environment returns the variables of a process with a name.
func (a *arrangement) environment(name string) []string {
	env := append([]string{"TEST_MEMBER=" + name, "TEST_LEASE=" + a.leaseLength().String()},
		a.env...)
	if a.unknown != "" {
		env = append(env, "TEST_WITHOUT=Test::Rare")
	}
	return env
}
