// Package lab holds the parts that the experiments of loadtest share: a Redis, processes with
// the CPU time and RAM that they use, the jobs of the real Sidekiq, statistics, and charts.
package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

// Lab is a Redis without persistence, which nothing else uses, and a folder for files.
type Lab struct {
	Dir    string // removed by Close
	URL    string // of the Redis
	Raw    *redis.Client
	Store  *queue.Store
	Client *queue.Client

	server *exec.Cmd
}

// Open starts a Redis on a free port of the loopback interface.
func Open(ctx context.Context) (*Lab, error) {
	dir, err := os.MkdirTemp("", "kyu-loadtest-")
	if err != nil {
		return nil, err
	}
	l := &Lab{Dir: dir}
	if err := l.open(ctx); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func (l *Lab) open(ctx context.Context) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	server := exec.Command("redis-server", "--port", port, "--bind", "127.0.0.1", "--dir", l.Dir,
		"--save", "", "--appendonly", "no")
	if err := server.Start(); err != nil {
		return fmt.Errorf("redis-server does not start: %w: run `make deps`", err)
	}
	l.server, l.URL = server, "redis://127.0.0.1:"+port+"/0"
	l.Raw = redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + port, Protocol: 2})
	for range 200 {
		if err = l.Raw.Ping(ctx).Err(); err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if err != nil {
		return fmt.Errorf("redis-server does not answer: %w", err)
	}
	if l.Store, err = queue.Open(ctx, queue.Config{URL: l.URL}); err != nil {
		return err
	}
	l.Client = queue.NewClient(l.Store)
	return nil
}

func freePort() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer listener.Close()
	return strconv.Itoa(listener.Addr().(*net.TCPAddr).Port), nil
}

// Close stops the Redis and removes the folder.
func (l *Lab) Close() {
	if l.server != nil {
		l.server.Process.Kill()
		l.server.Wait()
	}
	os.RemoveAll(l.Dir)
}

// RedisPID is the process of the Redis.
func (l *Lab) RedisPID() int { return l.server.Process.Pid }

// File is the path of a file in the lab's folder.
func (l *Lab) File(name string) string { return filepath.Join(l.Dir, name) }
