package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// contender is somebody who drains a queue.
type contender struct {
	name    string
	promise string                // what becomes of a job whose worker is killed
	jobs    func(threads int) int // how many it is given: a few seconds' worth
	system  system
	// start begins to drain in a process of its own; nil for the bare loop.
	start func(s *site, threads int, pinned bool) (*exec.Cmd, error)
	log   bool // it logs its jobs, as it does by default
}

// load is what each of the jobs is.
type load struct {
	bytes int // of its arguments
	ms    int // that it waits
	// for a timer of Go's runtime; else for one of the kernel, as for the answer of a server
	goTimer bool
}

// system is where a contender's jobs are.
type system interface {
	// fill empties the store and pushes n jobs.
	fill(ctx context.Context, s *site, n int, l load) error
	// left is how many jobs are not done yet. It may be dearer than begun.
	left(ctx context.Context, s *site) (int64, error)
	// begun reports whether a job of n has been taken.
	begun(ctx context.Context, s *site, n int) (bool, error)
	// pid is the store's process.
	pid(s *site) int
}

func contenders(o options) []contender {
	kyu := func(worker, level string) func(*site, int, bool) (*exec.Cmd, error) {
		return func(s *site, threads int, pinned bool) (*exec.Cmd, error) {
			return s.spawn(pinned, worker, "--test-jobs", "-q", "default",
				"-c", strconv.Itoa(threads), "--log-level", level)
		}
	}
	sidekiq := func(logging string) func(*site, int, bool) (*exec.Cmd, error) {
		return func(s *site, threads int, pinned bool) (*exec.Cmd, error) {
			path := filepath.Join(s.dir, "jobs.rb")
			if err := os.WriteFile(path, []byte(rubyJobs), 0o600); err != nil {
				return nil, err
			}
			return s.spawn(pinned, "env", "JOB_LOG="+logging, "ruby", sidekiqBin, "-r", path,
				"-q", "default", "-c", strconv.Itoa(threads))
		}
	}
	peer := func(name string) func(*site, int, bool) (*exec.Cmd, error) {
		return func(s *site, threads int, pinned bool) (*exec.Cmd, error) {
			return s.spawn(pinned, o.peers, name, "work", strconv.Itoa(threads))
		}
	}
	fast := func(threads int) int {
		return map[bool]int{true: 30_000, false: 200_000}[threads == 1]
	}
	slow := func(int) int { return 25_000 }
	if o.before != "" {
		return []contender{
			{"kyu before", "", fast, lists{}, kyu(o.before, "warn"), false},
			{"kyu", "", fast, lists{}, kyu(o.worker, "warn"), false},
		}
	}
	list := []contender{
		{"bare loop", "", fast, lists{}, nil, false},
		{"kyu", "runs again", fast, lists{}, kyu(o.worker, "warn"), false},
		{"kyu, job log", "", func(t int) int { return fast(t) / 2 }, lists{},
			kyu(o.worker, "info"), true},
	}
	if !o.noRuby {
		list = append(list,
			contender{"sidekiq", "is lost (BRPOP)", slow, lists{}, sidekiq("off"), false},
			contender{"sidekiq, job log", "", slow, lists{}, sidekiq("on"), true})
	}
	if o.peers != "" {
		list = append(list, contender{"asynq", "runs again, costs a retry", func(t int) int {
			return map[bool]int{true: 10_000, false: 40_000}[t == 1]
		}, asynq{o.peers}, peer("asynq"), false},
			contender{"river", "runs again after an hour", func(t int) int {
				return map[bool]int{true: 2000, false: 20_000}[t == 1]
			}, river{o.peers}, peer("river"), false})
	}
	return list
}

const sidekiqBin = "/usr/share/rubygems-integration/all/gems/sidekiq-6.4.1/bin/sidekiq"

// rubyJobs is the same jobs for Sidekiq. Without the job log it logs nothing at
// all, as Kyu at level warn.
const rubyJobs = `$VERBOSE = nil
require "sidekiq"
quiet = Class.new do
  def initialize(*) = nil
  def call(item, queue) = yield
  def prepare(item) = yield
end
Sidekiq.configure_server do |c|
  c.redis = { url: ENV.fetch("REDIS_URL") }
  if ENV["JOB_LOG"] == "off"
    c.logger.level = Logger::WARN
    c.options[:job_logger] = quiet
  end
end
module Test
  class NoOp
    include Sidekiq::Worker
    def perform(*) = nil
  end
  class Wait
    include Sidekiq::Worker
    def perform(ms) = sleep(ms / 1e3)
  end
  class Ledger
    include Sidekiq::Worker
    def perform(path, id, ms)
      File.open(path, "a") { |f| f.write("start #{id}\n") }
      sleep ms / 1e3
      File.open(path, "a") { |f| f.write("end #{id}\n") }
    end
  end
  class Work
    include Sidekiq::Worker
    def perform(path, queue, pushed, takes)
      start = Process.clock_gettime(Process::CLOCK_REALTIME, :microsecond)
      sleep takes / 1e6
      File.open(path, "a") { |f|
        f.write("#{queue} #{pushed} #{start} " \
          "#{Process.clock_gettime(Process::CLOCK_REALTIME, :microsecond)}\n") }
    end
  end
  class Stamp
    include Sidekiq::Worker
    def perform(path, pushed)
      waited = Process.clock_gettime(Process::CLOCK_REALTIME, :microsecond) - pushed
      File.open(path, "a") { |f| f.write("#{waited}\n") }
    end
  end
end
`

func (s *site) spawn(pinned bool, name string, args ...string) (*exec.Cmd, error) {
	if pinned {
		args = append([]string{"-c", "0", name}, args...)
		name = "taskset"
	}
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "REDIS_URL="+s.url, "DATABASE_URL=", "DB_HOST=")
	if s.postgres != nil && slices.Contains(args, "river") {
		cmd.Env = append(cmd.Env, "DATABASE_URL="+s.postgres.URL)
	}
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	cmd.Stdout, cmd.Stderr = null, null
	return cmd, cmd.Start()
}

func stop(cmd *exec.Cmd) {
	cmd.Process.Signal(os.Interrupt)
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		cmd.Process.Kill()
		<-ended
	}
}

// bareLoop fetches and acknowledges by the same scripts, and runs nothing: the
// limit of what a worker on one connection can do.
func bareLoop(ctx context.Context, s *site, k int) (int, error) {
	o := s.store.Owner(fmt.Sprintf("bare:%d:%d", os.Getpid(), k))
	if err := o.Register(ctx, queue.Host{}, []string{"default"}, time.Hour); err != nil {
		return 0, err
	}
	var done []*queue.Delivery
	for n := 0; ; {
		got, err := o.Fetch(ctx, queue.FetchRequest{Queues: []string{"default"}, Want: k,
			First: s.store.Tokens(k), Done: done})
		if err != nil || (len(got.Jobs) == 0 && len(done) == 0) {
			return n, err
		}
		n += len(got.Jobs)
		done = got.Own()
	}
}
