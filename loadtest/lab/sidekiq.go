package lab

import (
	_ "embed"
	"os"
	"os/exec"
)

const sidekiqProgram = "/usr/share/rubygems-integration/all/gems/sidekiq-6.4.1/bin/sidekiq"

// rubyJobs is the jobs of test/kit/testjobs in Ruby. Without the job log it logs nothing at
// all, as Kyu at level warn.
//
//go:embed jobs.rb
var rubyJobs []byte

// SpawnSidekiq starts the real Sidekiq 6.4.1 of Debian with the jobs of jobs.rb.
func (l *Lab) SpawnSidekiq(pinned, jobLog bool, flags ...string) (*exec.Cmd, error) {
	path := l.File("jobs.rb")
	if err := os.WriteFile(path, rubyJobs, 0o600); err != nil {
		return nil, err
	}
	setting := "JOB_LOG=off"
	if jobLog {
		setting = "JOB_LOG=on"
	}
	return l.Spawn(pinned, []string{setting}, "ruby",
		append([]string{sidekiqProgram, "-r", path}, flags...)...)
}
