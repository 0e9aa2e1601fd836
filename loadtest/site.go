package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

// ticksPerSecond is the unit of CPU time in /proc, fixed on Linux.
const ticksPerSecond = 100

// site is a redis-server of our own, without persistence.
type site struct {
	dir    string
	url    string
	server *exec.Cmd
	raw    *redis.Client
	store  *queue.Store
}

func newSite(ctx context.Context) (*site, error) {
	dir, err := os.MkdirTemp("", "kyu-loadtest-")
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	l.Close()
	s := &site{dir: dir, url: "redis://127.0.0.1:" + port + "/0"}
	s.server = exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no")
	if err := s.server.Start(); err != nil {
		return nil, fmt.Errorf("redis-server does not start: %w: run `make deps`", err)
	}
	s.raw = redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + port, Protocol: 2})
	for range 200 {
		if err = s.raw.Ping(ctx).Err(); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		return nil, err
	}
	s.store, err = queue.Open(ctx, queue.Config{URL: s.url})
	return s, err
}

func (s *site) close() {
	s.server.Process.Kill()
	s.server.Wait()
	os.RemoveAll(s.dir)
}

// pin binds a process with all its threads to core 0, or frees it again.
func pin(pid int, pinned bool) error {
	cores := "0-" + strconv.Itoa(cpus()-1)
	if pinned {
		cores = "0"
	}
	return exec.Command("taskset", "-acp", cores, strconv.Itoa(pid)).Run()
}

func cpus() int {
	found, _ := filepath.Glob("/sys/devices/system/cpu/cpu[0-9]*")
	return max(len(found), 1)
}

// cpuSeconds is what a process has used so far.
func cpuSeconds(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / ticksPerSecond
}

// rssMB is what a process holds in RAM.
func rssMB(pid int) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb / 1024
		}
	}
	return 0
}

// commands counts the calls that the server has executed of those that move
// jobs; what scripts do inside does not count.
func (s *site) commands(ctx context.Context) (n int) {
	info := s.raw.Info(ctx, "commandstats").Val()
	for _, name := range []string{"evalsha", "blmove", "brpop", "ping", "client|unblock", "exec"} {
		for line := range strings.Lines(info) {
			if rest, ok := strings.CutPrefix(line, "cmdstat_"+name+":calls="); ok {
				calls, _ := strconv.Atoi(rest[:strings.IndexByte(rest, ',')])
				n += calls
			}
		}
	}
	return n
}

// fill pushes n no-op jobs of about 200 bytes.
func (s *site) fill(ctx context.Context, n int) error {
	args := make([][]any, n)
	for i := range args {
		args[i] = []any{i, "abcdefghijklmnopqrstuvwxyzabcdef"}
	}
	_, err := queue.NewClient(s.store).PushBulk(ctx, "Test::NoOp", args, queue.Options{})
	return err
}

// left is how many jobs are not done yet: waiting, or in a Kyu worker's hands.
func (s *site) left(ctx context.Context) int64 {
	n := s.raw.LLen(ctx, "queue:default").Val()
	if n > 0 {
		return n
	}
	for _, key := range s.raw.Keys(ctx, "kyu:{queue:default}:*").Val() {
		if strings.Contains(key, ":inflight:") {
			n += s.raw.HLen(ctx, key).Val()
		}
	}
	return n
}
