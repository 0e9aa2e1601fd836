package cli

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCgroupLimit(t *testing.T) {
	root := t.TempDir()
	write := func(path, text string) {
		t.Helper()
		path = filepath.Join(root, path)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("system.slice/memory.max", "2000000000\n")
	write("system.slice/system-worker.slice/memory.max", "max\n")
	write("system.slice/system-worker.slice/worker@push.service/memory.max", "1000000000\n")
	write("memory/old/memory.limit_in_bytes", "500000000\n")
	write("memory/free/memory.limit_in_bytes", "9223372036854771712\n")
	for _, x := range []struct {
		name, self string
		want       int64
	}{
		{"is the group's own, if that is the least",
			"0::/system.slice/system-worker.slice/worker@push.service\n", 1_000_000_000},
		{"is that of a group above", "0::/system.slice/other.service\n", 2_000_000_000},
		{"is 0 in the root", "0::/\n", 0},
		{"is 0 without files", "0::/elsewhere\n", 0},
		{"is read from version 1", "9:name=systemd:/\n8:memory:/old\n", 500_000_000},
		{"is 0 if version 1 has no limit", "8:memory:/free\n0::/elsewhere\n", 0},
		{"is 0 if the file is not understood", "nonsense\n", 0},
	} {
		t.Run(x.name, func(t *testing.T) {
			write("self", x.self)
			if got := cgroupLimit(filepath.Join(root, "self"), root); got != x.want {
				t.Errorf("%q: %d, want %d", x.self, got, x.want)
			}
		})
	}
	t.Run("is 0 without /proc", func(t *testing.T) {
		if got := cgroupLimit(filepath.Join(root, "nowhere"), root); got != 0 {
			t.Error(got)
		}
	})
}
