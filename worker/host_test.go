package worker

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/queue"
)

func TestSafeHostname(t *testing.T) {
	t.Parallel()
	t.Run("keeps the characters that are safe in keys", func(t *testing.T) {
		for name, want := range map[string]string{"web-1.example": "web-1.example", "": "localhost",
			"a:b c": "a-b-c", strings.Repeat("x", 100): strings.Repeat("x", 64)} {
			if got := safeHostname(name); got != want {
				t.Errorf("%q becomes %q, want %q", name, got, want)
			}
		}
	})
}

func TestProvenDead(t *testing.T) {
	t.Parallel()
	self := queue.Host{PID: 1, BootID: "boot", PIDNamespace: "pid:[1]"}
	t.Run("finds a process that has ended", func(t *testing.T) {
		gone := self
		cmd := exec.Command("true")
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		gone.PID = cmd.ProcessState.Pid()
		if !provenDead(self, gone) {
			t.Errorf("the process %d has ended", gone.PID)
		}
	})
	t.Run("finds another process with the same pid", func(t *testing.T) {
		other := thisHost()
		other.BootID, other.PIDNamespace = self.BootID, self.PIDNamespace
		if provenDead(self, other) {
			t.Error("this process lives")
		}
		other.Started += "0"
		if !provenDead(self, other) {
			t.Error("a process that started at another time has this pid")
		}
	})
	t.Run("says nothing about other machines and containers", func(t *testing.T) {
		for _, h := range []queue.Host{{PID: 0, BootID: "boot", PIDNamespace: "pid:[1]"},
			{PID: 1 << 22, BootID: "other", PIDNamespace: "pid:[1]"},
			{PID: 1 << 22, BootID: "boot", PIDNamespace: "pid:[2]"}, {PID: 1 << 22}} {
			if provenDead(self, h) {
				t.Errorf("%+v is judged from %+v", h, self)
			}
		}
	})
}
