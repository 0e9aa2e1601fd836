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

func TestUnitsKept(t *testing.T) {
	s, root := withoutRedis(t), t.TempDir()
	install := "install-units --root " + root + " --split push=25,push-2=5"
	s.ok("wrote", install)
	path := filepath.Join(root, "etc/kyu/push.env")
	t.Run("are shown, counted and not changed", func(t *testing.T) {
		os.WriteFile(path, []byte("WORKER_ARGS=-c 10 -q push\nDB_POOL=12\n"), 0o644)
		out := s.of(t).ok("kept  "+path+`: WORKER_ARGS="-c 10 -q push"; this call would write `+
			"-c 25\nkept  "+path+": DB_POOL=12; this call would write 25\n", install)
		for _, want := range []string{`worker@push +10 +12\n`, `worker@push-2 +5 +5\n`,
			`in all +15 +17\n`, `push-2.env: WORKER_ARGS="-c 5", as this call would write it`} {
			if !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("no %q in\n%s", want, out)
			}
		}
		if b, _ := os.ReadFile(path); string(b) != "WORKER_ARGS=-c 10 -q push\nDB_POOL=12\n" {
			t.Error("overwritten")
		}
	})
	t.Run("have the settings of all workers where their own say nothing", func(t *testing.T) {
		os.WriteFile(path, []byte("DB_POOL=2\n"), 0o644)
		shared := filepath.Join(root, "etc/kyu/worker.env")
		os.WriteFile(shared, []byte("WORKER_ARGS=-c 8\n"), 0o644)
		out := s.of(t).ok("WORKER_ARGS is not in it; this call would write -c 25", install)
		if !regexp.MustCompile(`worker@push +8 +8\n`).MatchString(out) ||
			!strings.Contains(out, "kept  "+shared+`: WORKER_ARGS="-c 8", for instances`) {
			t.Errorf("not counted from worker.env:\n%s", out)
		}
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
