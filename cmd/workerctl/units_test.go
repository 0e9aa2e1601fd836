package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestParseSplit(t *testing.T) {
	t.Run("reads instances and threads", func(t *testing.T) {
		got, err := parseSplit("default=15, push=25,push-2=25")
		if want := "[{default 15 []} {push 25 []} {push-2 25 []}]"; err != nil ||
			fmt.Sprint(got) != want {
			t.Errorf("%v %v, want %v", got, err, want)
		}
	})
	t.Run("refuses anything else", func(t *testing.T) {
		for _, text := range []string{"push", "push=0", "push=many", "a b=1", "a:b=1",
			"push=1,push=2", "", "../push=1", ".push=1", "worker=5"} {
			if got, err := parseSplit(text); err == nil {
				t.Errorf("%q: %v", text, got)
			}
		}
	})
	t.Run("joins all problems", func(t *testing.T) {
		_, err := parseSplit("push=0,default=5,worker=5")
		if err == nil || strings.Count(err.Error(), "--split") != 2 ||
			!strings.Contains(err.Error(), "worker-1") {
			t.Error(err)
		}
	})
}

func TestUnits(t *testing.T) {
	s, root := withoutRedis(t), t.TempDir()
	install := "install-units --root " + root + " --split push=25,push-2=5"
	remove := "uninstall-units --root " + root
	file := func(path string) string {
		b, _ := os.ReadFile(filepath.Join(root, path))
		return string(b)
	}
	t.Run("are written with settings for each instance", func(t *testing.T) {
		s.of(t).ok("systemctl enable --now worker.target worker@push worker@push-2", install)
		if file("etc/systemd/system/worker@.service") == "" || file("etc/kyu/push-2.env") !=
			"# Of worker@push-2. Written by workerctl install-units; yours to change.\n"+
				"WORKER_ARGS=-c 5\nDB_POOL=5\n" {
			t.Error("not written")
		}
	})
	t.Run("leave the settings that exist, show them, and count them", func(t *testing.T) {
		path := filepath.Join(root, "etc/kyu/push.env")
		os.WriteFile(path, []byte("WORKER_ARGS=-c 10 -q push\nDB_POOL=12\n"), 0o644)
		out := s.of(t).ok("kept  "+path+`: WORKER_ARGS="-c 10 -q push"; this call would write `+
			"-c 25\nkept  "+path+": DB_POOL=12; this call would write 25\n", install)
		for _, want := range []string{`worker@push +10 +12\n`, `worker@push-2 +5 +5\n`,
			`in all +15 +17\n`, `push-2.env: WORKER_ARGS="-c 5", as this call would write it`} {
			if !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		if file("etc/kyu/push.env") != "WORKER_ARGS=-c 10 -q push\nDB_POOL=12\n" {
			t.Error("overwritten")
		}
		os.WriteFile(path, []byte("DB_POOL=2\n"), 0o644)
		shared := filepath.Join(root, "etc/kyu/worker.env")
		os.WriteFile(shared, []byte("WORKER_ARGS=-c 8\n"), 0o644)
		out = s.of(t).ok("WORKER_ARGS is not in it; this call would write -c 25", install)
		if !regexp.MustCompile(`worker@push +8 +8\n`).MatchString(out) ||
			!strings.Contains(out, "kept  "+shared+`: WORKER_ARGS="-c 8", for instances`) {
			t.Errorf("not counted from worker.env:\n%s", out)
		}
		os.Remove(shared)
	})
	t.Run("run as a user of the system", func(t *testing.T) {
		s.of(t).ok("worker@.service.d/user.conf", install+" --user mastodon")
		for _, unit := range []string{"worker@.service", "worker.service"} {
			text := file("etc/systemd/system/" + unit + ".d/user.conf")
			if !strings.Contains(text, "DynamicUser=no\nUser=mastodon\n") {
				t.Errorf("%s: %q", unit, text)
			}
		}
		for _, user := range []string{"root", "a b", "x\nExecStart=/bin/sh"} {
			_, errs, code := s.of(t).run("install-units", "--split", "push=1", "--root", root,
				"--user", user)
			if code != 2 || !strings.Contains(errs, "want a user of the system") {
				t.Errorf("%q: exit code %d, %s", user, code, errs)
			}
		}
	})
	t.Run("go without the settings", func(t *testing.T) {
		s.of(t).ok("--purge removes it too", remove)
		if file("etc/systemd/system/worker@.service") != "" || file("etc/kyu/push.env") == "" ||
			file("etc/systemd/system/worker@.service.d/user.conf") != "" {
			t.Error("units are left, or settings are gone")
		}
	})
	t.Run("go with the settings after a yes", func(t *testing.T) {
		s.of(t).fails(1, "nothing was done", remove+" --purge")
		s.of(t).ok("removed "+root+"/etc/kyu", remove+" --purge --yes")
		if _, err := os.Stat(filepath.Join(root, "etc/kyu")); !os.IsNotExist(err) {
			t.Error(err)
		}
	})
	t.Run("of a package are left alone", func(t *testing.T) {
		dir := filepath.Join(root, packageDir)
		os.MkdirAll(dir, 0o755)
		os.WriteFile(filepath.Join(dir, "worker@.service"), nil, 0o644)
		s.of(t).ok("the units are the package's", install)
		if file("etc/systemd/system/worker@.service") != "" {
			t.Error("a copy hides the unit of the package")
		}
		copied := filepath.Join(root, unitDir, "worker.target")
		os.WriteFile(copied, nil, 0o644)
		s.of(t).ok("warning: "+copied+" hides the unit of the package", install)
	})
}

func TestUnitsThatAWorkerRefuses(t *testing.T) {
	s, root := withoutRedis(t), t.TempDir()
	config := filepath.Join(root, "etc/kyu")
	os.MkdirAll(config, 0o755)
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(config, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("push.env", "WORKER_ARGS=-c 0 --queues push\n")
	write("pull.env", "WORKER_ARGS=-c 5 # five threads\n")
	write("mailers.env", "WORKER_ARGS=-c 5 -t 0\nDB_POOL=many\nSMTP_SERVER=localhost\n"+
		"SMTP_PORT=mail\n")
	write("redis_url", "what://\n")
	call := "install-units --root " + root + " --split push=5,pull=5,mailers=5,default=70000"
	t.Run("are all in one message, before anything is written", func(t *testing.T) {
		for _, want := range []string{
			"worker@push would not start, with " + config + "/push.env: unknown flag: --queues",
			`unexpected argument "#"`, "--timeout 0", `DB_POOL="many": want a number`,
			"SMTP_PORT", "worker@default would not start, as this call would write it: " +
				"--concurrency 70000", "the Redis URL what:", "nothing was written"} {
			s.of(t).fails(2, want, call)
		}
		if left, _ := filepath.Glob(filepath.Join(root, "etc/systemd")); len(left) > 0 {
			t.Errorf("written: %v", left)
		}
	})
	t.Run("are written with --force", func(t *testing.T) {
		s.of(t).ok("warning: worker@push would not start", call+" --force")
	})
	t.Run("are not those of instances that the call does not name", func(t *testing.T) {
		write("redis_url", "")
		s.of(t).ok("wrote", "install-units --root "+root+" --split other=5")
	})
}

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
		if got := fmt.Sprint((&installUnits{}).runningUnits()); got != "[worker@pull-2]" {
			t.Error(got)
		}
		if got := (&installUnits{root: root}).runningUnits(); got != nil {
			t.Errorf("with --root: %v", got)
		}
	})
}
