package starvation

import (
	"fmt"
	"slices"
	"strconv"
)

// threads of each arrangement, and so its connections to Postgres.
const threads = 20

// arrangement is a way to spread the threads over the queues.
type arrangement struct {
	Name      string
	Story     string
	short     string     // begins the title of its panel
	processes [][]string // the flags of each
}

func arrangements() []arrangement {
	return []arrangement{
		{"single", "strict order: -c 20 -q default -q push -q mailers -q pull", "One process",
			[][]string{with(20, each(queues...))}},
		{"split", "-c 3 default, -c 7 push, -c 1 mailers, -c 9 pull",
			"A process per queue", [][]string{
				with(3, each("default")), with(7, each("push")), with(1, each("mailers")),
				with(9, each("pull"))}},
		{"weighted", "-c 20 -q default,8 -q push,6 -q mailers,2 -q pull,1",
			"Weights", [][]string{with(20, each("default,8", "push,6", "mailers,2", "pull,1"))}},
		{"rotated", "four processes, -c 5 each, each with another queue first", "Rotated order",
			[][]string{
				with(5, each("default", "push", "mailers", "pull")),
				with(5, each("push", "mailers", "pull", "default")),
				with(5, each("mailers", "pull", "default", "push")),
				with(5, each("pull", "default", "push", "mailers"))}},
		{"floor", "-c 20 -q default -q push -q mailers,floor=2% -q pull,floor=20%", "Floors",
			[][]string{with(20, each("default", "push", "mailers,floor=2%", "pull,floor=20%"))}},
		{"lanes", "strict order with --lanes push,key=args.4,max=5", "A lane per host",
			[][]string{withLanes(with(20, each(queues...)))}},
	}
}

// hostMax is how many jobs of one host run at once with lanes: a quarter of the threads, as the
// worker's own rule for push says.
const hostMax = threads / 4

// withLanes gives the deliveries to each host a lane.
func withLanes(flags []string) []string { return withRule(flags, hostMax) }

// withRule gives the deliveries to each host a lane of so many jobs at once.
func withRule(flags []string, most int) []string {
	return append(flags, "--lanes", fmt.Sprintf("push,key=args.4,max=%d", most))
}

// playable are the arrangements that a runtime has: Sidekiq has neither floors nor lanes.
func playable(runtime string) []arrangement {
	return slices.DeleteFunc(arrangements(), func(a arrangement) bool {
		return (a.Name == "floor" || a.Name == "lanes") && runtime != "kyu"
	})
}

// named finds an arrangement by its name.
func named(name string) func(arrangement) bool {
	return func(a arrangement) bool { return a.Name == name }
}

// each gives the flags that serve queues.
func each(queues ...string) (flags []string) {
	for _, q := range queues {
		flags = append(flags, "-q", q)
	}
	return flags
}

// with puts the number of threads before other flags.
func with(threads int, flags []string) []string {
	return append([]string{"-c", strconv.Itoa(threads)}, flags...)
}
