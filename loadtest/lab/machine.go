package lab

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Cores is how many processors the machine has, also those that this process may not use.
func Cores() int {
	found, _ := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*")
	return max(len(found), 1)
}

// Processor is the name of the machine's processor.
func Processor() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if _, name, ok := strings.Cut(line, ":"); ok && strings.HasPrefix(line, "model name") {
			return strings.TrimSpace(name)
		}
	}
	return runtime.GOARCH
}
