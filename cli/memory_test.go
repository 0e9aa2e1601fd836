package cli

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheLeastLimitOfTheControlGroupsCounts(t *testing.T) {
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
	for self, want := range map[string]int64{
		"0::/system.slice/system-worker.slice/worker@push.service\n": 1_000_000_000,
		"0::/system.slice/other.service\n":                           2_000_000_000,
		"0::/\n":                                                     0,
		"0::/elsewhere\n":                                            0,
		"9:name=systemd:/\n8:memory:/old\n":                          500_000_000,
		"8:memory:/free\n0::/elsewhere\n":                            0,
		"nonsense\n":                                                 0,
	} {
		write("self", self)
		if got := cgroupLimit(filepath.Join(root, "self"), root); got != want {
			t.Errorf("%q: %d, want %d", self, got, want)
		}
	}
	if got := cgroupLimit(filepath.Join(root, "nowhere"), root); got != 0 {
		t.Errorf("without /proc: %d", got)
	}
}

func TestAnInstanceNamesItsQueueAndItsTag(t *testing.T) {
	for instance, want := range map[string]string{"push": "push", "push-2": "push",
		"push-10": "push", "two-words": "two-words", "2": "2", "-2": "-2"} {
		s := resolved(t, "", nil, "--instance", instance)
		if s.problems != nil || list(s.worker.Capsules[0]) != want || s.worker.Tag != instance {
			t.Errorf("%s: %s, tag %s, %v", instance, list(s.worker.Capsules[0]),
				s.worker.Tag, s.problems)
		}
	}
	s := resolved(t, "", nil, "--instance", "push-2", "-q", "a", "-g", "mine")
	if list(s.worker.Capsules[0]) != "a" || s.worker.Tag != "mine" {
		t.Errorf("%+v", s.worker)
	}
}
