package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// rootVariable is the variable of the environment that names the folder of another Debian. Tests
// then run its Ruby and its Sidekiq, and not the machine's. scripts/interop-new.sh sets it.
const rootVariable = "TEST_RUBY_ROOT"

// gems is the folder in which Debian installs Sidekiq.
const gems = "/usr/share/rubygems-integration/all/gems/"

// enter runs a program inside the other Debian. The test's files and /proc are mounted there in a
// namespace of this process alone, so no mount is left when the process has ended.
const enter = `root=$1 files=$2; shift 2; mkdir -p "$root$files" &&
mount --bind "$files" "$root$files" && mount --rbind /proc "$root/proc" && exec chroot "$root" "$@"`

// ruby is the command line that runs Ruby with args.
func ruby(args ...string) []string {
	command := append([]string{"ruby"}, args...)
	root := os.Getenv(rootVariable)
	if root == "" {
		return command
	}
	return append([]string{"unshare", "--mount", "sh", "-c", enter, "sh", root, os.TempDir()},
		command...)
}

// sidekiq is the folder of the installed Sidekiq as Ruby sees it, empty if there is none.
var sidekiq = sync.OnceValue(func() string {
	root := os.Getenv(rootVariable)
	found, err := filepath.Glob(root + gems + "sidekiq-[0-9]*")
	if err != nil || len(found) == 0 {
		return ""
	}
	return strings.TrimPrefix(found[0], root)
})

// SidekiqVersion is the version of the Sidekiq that the tests run, such as 6.4.1. It is empty if
// none is installed.
func SidekiqVersion() string {
	_, version, _ := strings.Cut(filepath.Base(sidekiq()), "-")
	return version
}

// SidekiqMajor is the first number of that version, 0 if there is no Sidekiq.
func SidekiqMajor() int {
	major, _, _ := strings.Cut(SidekiqVersion(), ".")
	n, _ := strconv.Atoi(major)
	return n
}

// Sidekiqmon runs Sidekiq's monitor with a worker's rights, and returns what it prints.
func (s *Site) Sidekiqmon() string {
	s.Helper()
	line := ruby("-W0", sidekiq()+"/bin/sidekiqmon")
	cmd := exec.CommandContext(s.Context(), line[0], line[1:]...)
	cmd.Env = append(os.Environ(), "REDIS_URL="+s.Server.URL)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.Errorf("sidekiqmon: %v\n%s", err, out)
	}
	return string(out)
}
