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

// limitMemory tells Go's runtime to stay below nine tenths of what the unit or
// container may use, so that the garbage collector works harder before the kernel
// kills. GOMEMLIMIT, if it is set, comes first.
func (a *App) limitMemory(log *slog.Logger) {
	if a.Getenv("GOMEMLIMIT") != "" {
		return // the runtime has read it
	}
	if limit := cgroupLimit("/proc/self/cgroup", "/sys/fs/cgroup"); limit > 0 {
		debug.SetMemoryLimit(limit / 10 * 9)
		log.Info("Memory is limited by the control group", "limit", limit, "soft_limit", limit/10*9)
	}
}

// cgroupLimit is the least memory limit of the control group that self names and
// those above it, in bytes; 0 if there is none. It reads version 2 of control
// groups, and of version 1 the group itself.
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
	if least >= 1<<60 { // version 1 says "no limit" with a number
		return 0
	}
	return least
}

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
