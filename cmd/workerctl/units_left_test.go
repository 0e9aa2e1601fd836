package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUnitsLeft(t *testing.T) {
	s, root := withoutRedis(t), t.TempDir()
	wants := filepath.Join(root, "etc/systemd/system/worker.target.wants")
	os.MkdirAll(wants, 0o755)
	for _, unit := range []string{"worker@push", "worker@pull-2", "worker", "worker@"} {
		os.Symlink("/dev/null", filepath.Join(wants, unit+".service"))
	}
	t.Run("are named if they are enabled below --root", func(t *testing.T) {
		out := s.of(t).ok("warning: worker@pull-2 is still enabled and is in no file of this "+
			"call: systemctl --root "+root+" disable worker@pull-2\n",
			"install-units --split push=5 --root "+root)
		if strings.Count(out, "is still enabled") != 2 ||
			!strings.Contains(out, "warning: worker is still enabled") {
			t.Errorf("want worker@pull-2 and worker in\n%s", out)
		}
	})
	t.Run("are named if systemd says that they run", func(t *testing.T) {
		bin := t.TempDir()
		fake := "#!/bin/sh\n[ \"$1\" = list-units ] || exit 1\n" +
			"echo 'worker@pull-2.service loaded active running Kyu worker of the queue pull-2'\n"
		os.WriteFile(filepath.Join(bin, "systemctl"), []byte(fake), 0o755)
		t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
		call := &installUnits{shares: []share{{instance: "push"}}}
		if got := fmt.Sprint(call.runningUnits()); got != "[worker@pull-2]" {
			t.Error(got)
		}
		if got := (&installUnits{root: root}).runningUnits(); got != nil {
			t.Errorf("with --root: %v", got)
		}
	})
}
