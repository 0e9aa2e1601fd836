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

	"github.com/jackc/pgx/v5"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/pgserver"
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

	postgres *pgserver.Server // nil unless a contender needs it
	pg       *pgx.Conn
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
	s.server = exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", dir,
		"--save", "", "--appendonly", "no")
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

// openPostgres starts a server that does not wait for the disk, as the Redis.
func (s *site) openPostgres(ctx context.Context) (err error) {
	if s.postgres, err = pgserver.Start("max_connections=200", "shared_buffers=256MB",
		"max_wal_size=4GB"); err != nil {
		return err
	}
	s.pg, err = pgx.Connect(ctx, s.postgres.URL)
	return err
}

func (s *site) close() {
	if s.postgres != nil {
		s.postgres.Remove()
	}
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

// treeSeconds is what a process and all its children have used, those that have
// ended included: a Postgres is many.
func treeSeconds(pid int) float64 {
	ticks := 0.0
	for _, p := range family(pid) {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		fields := strings.Fields(rest)
		for _, f := range fields[11:15] { // of itself, and of children that have ended
			n, _ := strconv.ParseFloat(f, 64)
			ticks += n
		}
	}
	return ticks / ticksPerSecond
}

// family is a process and its children.
func family(pid int) []int {
	list := []int{pid}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return list
	}
	for _, text := range strings.Fields(string(b)) {
		if child, err := strconv.Atoi(text); err == nil {
			list = append(list, child)
		}
	}
	return list
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
