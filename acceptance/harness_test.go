// Package acceptance runs the built worker as real processes, on real servers
// and with a real Ruby Sidekiq, and shows what the project promises.
package acceptance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kyujobs/kyu/internal/redistest"
	"github.com/kyujobs/kyu/internal/testwait"
	"github.com/kyujobs/kyu/queue"
	"github.com/redis/go-redis/v9"
)

// bin is where TestMain builds the programs.
var bin string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "kyu-acceptance-")
	if err != nil {
		panic(err)
	}
	bin = dir
	build := exec.Command("go", "build", "-o", dir, "../cmd/worker", "../cmd/workerctl", "../examples/hello")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// site is a Redis and the worker processes on it.
type site struct {
	*testing.T
	server *redistest.Server
	raw    *redis.Client
	store  *queue.Store
	client *queue.Client
	dir    string
}

func newSite(t *testing.T, redisArgs ...string) *site {
	s := &site{T: t, server: redistest.Start(t, redisArgs...), dir: t.TempDir()}
	s.raw, s.store = s.server.Client(), s.server.Store()
	s.client = queue.NewClient(s.store)
	return s
}

func (s *site) until(limit time.Duration, what string, cond func() bool) {
	s.Helper()
	testwait.Until(s, limit, what, cond)
}

// process is a running program of ours.
type process struct {
	site *site
	cmd  *exec.Cmd
	log  *lockedBuffer
	done chan struct{}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// worker starts a worker with the test jobs. It is killed with the test.
func (s *site) worker(args ...string) *process {
	s.Helper()
	return s.start(filepath.Join(bin, "worker"), append([]string{"--test-jobs", "--log-format", "plain"}, args...)...)
}

func (s *site) start(program string, args ...string) *process {
	s.Helper()
	p := &process{site: s, cmd: exec.Command(program, args...), log: new(lockedBuffer), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "REDIS_URL="+s.server.URL, "DATABASE_URL=", "DB_HOST=", "DB_NAME=", "DB_USER=")
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if err := p.cmd.Start(); err != nil {
		s.Fatal(err)
	}
	go func() {
		p.cmd.Wait()
		close(p.done)
	}()
	s.Cleanup(func() {
		p.kill()
		if s.Failed() {
			s.Logf("%s %s:\n%s", program, strings.Join(args, " "), tail(p.log.String()))
		}
	})
	return p
}

func tail(text string) string {
	if len(text) > 6000 {
		text = "…" + text[len(text)-6000:]
	}
	return text
}

func (p *process) signal(s syscall.Signal) { p.cmd.Process.Signal(s) }

func (p *process) kill() {
	p.signal(syscall.SIGKILL)
	<-p.done
}

// exit waits for the end and gives the code.
func (p *process) exit(limit time.Duration) int {
	p.site.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		p.site.Fatalf("still running after %v", limit)
		return -1
	}
}

func (p *process) says(text string) bool { return strings.Contains(p.log.String(), text) }

// ledgerPath is the file that Test::Ledger jobs write to.
func (s *site) ledgerPath() string { return filepath.Join(s.dir, "ledger") }

// ledger reads what has run: how often each id has started and ended, and the
// order of the starts.
func (s *site) ledger() (starts, ends map[string]int, order []string) {
	starts, ends = map[string]int{}, map[string]int{}
	b, err := os.ReadFile(s.ledgerPath())
	if err != nil {
		return starts, ends, nil
	}
	for line := range strings.Lines(string(b)) {
		what, id, _ := strings.Cut(strings.TrimSpace(line), " ")
		if what == "start" {
			starts[id]++
			order = append(order, id)
		} else {
			ends[id]++
		}
	}
	return starts, ends, order
}

// inFlight counts the jobs in workers' hands, dead ones' too.
func (s *site) inFlight() (n int64) {
	ctx := context.Background()
	for _, key := range s.raw.Keys(ctx, "kyu:{queue:*").Val() {
		if strings.Contains(key, ":inflight:") {
			n += s.raw.HLen(ctx, key).Val()
		} else {
			n += s.raw.LLen(ctx, key).Val()
		}
	}
	return n
}

func (s *site) waiting() (n int64) {
	for _, key := range s.raw.Keys(context.Background(), "queue:*").Val() {
		n += s.raw.LLen(context.Background(), key).Val()
	}
	return n
}

func (s *site) card(set string) int64 { return s.raw.ZCard(context.Background(), set).Val() }

func (s *site) push(class string, args []any, o queue.Options) string {
	s.Helper()
	jid, err := s.client.Push(context.Background(), class, args, o)
	if err != nil {
		s.Fatal(err)
	}
	return jid
}

// ruby is a Ruby process with Sidekiq's client, API and web page.
type ruby struct {
	site *site
	in   io.WriteCloser
	out  *bufio.Scanner
}

func (s *site) ruby() *ruby {
	s.Helper()
	cmd := exec.Command("ruby", "testdata/driver.rb")
	cmd.Env = append(os.Environ(), "REDIS_URL="+s.server.URL)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		s.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.Fatalf("ruby does not start: %v: is it installed? (make deps)", err)
	}
	s.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	r := &ruby{s, in, bufio.NewScanner(out)}
	r.out.Buffer(nil, 16<<20)
	return r
}

// ask sends a question and decodes the answer into out.
func (r *ruby) ask(out any, question map[string]any) {
	r.site.Helper()
	b, _ := json.Marshal(question)
	if _, err := r.in.Write(append(b, '\n')); err != nil {
		r.site.Fatal(err)
	}
	if !r.out.Scan() {
		r.site.Fatal("ruby has ended: ", r.out.Err())
	}
	var answer struct {
		OK        json.RawMessage `json:"ok"`
		Error     string          `json:"error"`
		Backtrace []string        `json:"backtrace"`
	}
	if err := json.Unmarshal(r.out.Bytes(), &answer); err != nil || answer.Error != "" {
		r.site.Fatalf("ruby: %s %v %v", answer.Error, answer.Backtrace, err)
	}
	if out == nil {
		return
	}
	if err := json.Unmarshal(answer.OK, out); err != nil {
		r.site.Fatalf("ruby answered %.300s: %v", answer.OK, err)
	}
}
