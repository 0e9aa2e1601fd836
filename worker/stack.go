package worker

import (
	"runtime"
	"runtime/pprof"
	"strings"
)

// goroutineName returns the name of the calling goroutine in a dump of all stacks: "goroutine 12".
func goroutineName() string {
	var b [64]byte
	name, _, _ := strings.Cut(string(b[:runtime.Stack(b[:], false)]), " [")
	return name
}

// stackOf returns the stack of one goroutine, from a dump of all stacks, or "".
func stackOf(goroutine string) string {
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for _, block := range strings.Split(string(buf), "\n\n") {
		if strings.HasPrefix(block, goroutine+" [") {
			return block
		}
	}
	return ""
}

// allStacks returns the stacks of all goroutines, equal ones once with their number.
func allStacks() string {
	var b strings.Builder
	pprof.Lookup("goroutine").WriteTo(&b, 1)
	return b.String()
}
