package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestCompletion(t *testing.T) {
	s := withoutRedis(t)
	t.Run("is printed for each shell", func(t *testing.T) {
		for shell, want := range map[string]string{"bash": "complete -o default",
			"zsh": "#compdef workerctl", "fish": "complete -c workerctl",
			"powershell": "Register-ArgumentCompleter"} {
			s.of(t).ok(want, "completion "+shell)
		}
	})
	t.Run("is a script that bash understands", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "workerctl")
		os.WriteFile(path, []byte(s.of(t).ok("", "completion bash")), 0o600)
		if out, err := exec.Command("bash", "-n", path).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("knows no other shell", func(t *testing.T) {
		s.of(t).fails(2, `"tcsh": want bash`, "completion tcsh")
		s.of(t).fails(2, "want one of bash", "completion")
	})
}
