package cli

import (
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
)

// limitMemory tells Go's runtime to stay below nine tenths of the memory that the unit or
// container may use. Near that limit the garbage collector runs more often, before the
// kernel kills the process. GOMEMLIMIT, if it is set, comes first.
func (a *App) limitMemory(log *slog.Logger) {
	if a.Getenv("GOMEMLIMIT") != "" {
		return // the runtime has read it
	}
	if limit := cgroupLimit("/proc/self/cgroup", "/sys/fs/cgroup"); limit > 0 {
		debug.SetMemoryLimit(limit / 10 * 9)
		log.Info("Memory is limited by the control group", "limit", limit, "soft_limit", limit/10*9)
	}
}

// cgroupLimit is the least memory limit, in bytes, of the control group that the file self
// names and of those above it; 0 if there is none. It reads version 2 of control groups,
// and of version 1 only the group itself.
func cgroupLimit(self, root string) int64 {
	b, err := os.ReadFile(self)
	if err != nil {
		return 0
	}
	least := int64(math.MaxInt64)
	for line := range strings.Lines(string(b)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) != 3 {
			continue
		}
		switch {
		case parts[1] == "":
			for dir := parts[2]; dir != "/" && dir != "."; dir = filepath.Dir(dir) {
				least = min(least, readLimit(filepath.Join(root, dir, "memory.max")))
			}
		case parts[1] == "memory":
			least = min(least,
				readLimit(filepath.Join(root, "memory", parts[2], "memory.limit_in_bytes")))
		}
	}
	if least >= 1<<60 { // version 1 writes "no limit" as a number near 2^63
		return 0
	}
	return least
}

// readLimit is the limit in a file, or MaxInt64 if there is none.
func readLimit(path string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return math.MaxInt64
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil || n <= 0 {
		return math.MaxInt64 // "max"
	}
	return n
}
