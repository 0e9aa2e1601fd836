package worker

import (
	"runtime"
	"runtime/pprof"
	"strings"
)

// goroutineName is what a dump of all stacks calls the calling goroutine.
func goroutineName() string {
	var b [64]byte
	name, _, _ := strings.Cut(string(b[:runtime.Stack(b[:], false)]), " [")
	return name
}

// stackOf cuts one goroutine out of a dump of all.
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

// allStacks is what TTIN writes to the log: goroutines that do the same are
// counted, not repeated.
func allStacks() string {
	var b strings.Builder
	pprof.Lookup("goroutine").WriteTo(&b, 1)
	return b.String()
}
