package faults

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/test/kit/faultproxy"
	"github.com/kyujobs/kyu/test/kit/harness"
)

var fourQueues = []string{"default", "push", "mailers", "pull"}

// pollConfig writes a configuration file, and returns its path. A worker with it looks for due jobs
// at an average interval of so many seconds.
func pollConfig(s *harness.Site, seconds float64) string {
	s.Helper()
	path := filepath.Join(s.Dir, fmt.Sprintf("poll-%v.yml", seconds))
	if err := os.WriteFile(path, fmt.Appendf(nil, "poll_interval_average: %v\n", seconds),
		0o600); err != nil {
		s.Fatal(err)
	}
	return path
}

// member is a worker that reaches Redis through a proxy of its own.
type member struct {
	site    *harness.Site
	proxy   *faultproxy.Proxy
	args    []string
	env     []string
	process *harness.Process
}

// newMember starts a worker behind a proxy.
func newMember(s *harness.Site, args ...string) *member {
	s.Helper()
	m := &member{site: s, proxy: faultproxy.Start(s, s.Server.Addr), args: args}
	m.start()
	return m
}

func (m *member) start() {
	m.site.Helper()
	m.process = m.site.WorkerWith(
		append([]string{"REDIS_URL=redis://" + m.proxy.Addr + "/0"}, m.env...), m.args...)
}

// untilServing waits until a worker takes jobs.
func untilServing(s *harness.Site, p *harness.Process) *harness.Process {
	s.Helper()
	s.Until(20*time.Second, "the worker takes jobs", func() bool { return p.Says("Serving") })
	return p
}

// stillRuns fails the test if a worker has ended.
func stillRuns(t *testing.T, p *harness.Process) {
	t.Helper()
	select {
	case <-p.Done:
		t.Errorf("the worker has ended:\n%s", p.Log())
	default:
	}
}

// clientThrough opens a client that reaches Redis through a proxy.
func clientThrough(t *testing.T, p *faultproxy.Proxy) *queue.Client {
	t.Helper()
	store, err := queue.Open(context.Background(), queue.Config{URL: "redis://" + p.Addr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return queue.NewClient(store)
}
