// Command demo shows in less than a minute what Kyu does: four queues in strict
// order, a failure that is retried, and a worker that is killed with jobs in its
// hands. It uses the Redis in REDIS_URL, or one of its own in memory. The workers
// are real processes: this program again, with the argument "worker".
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/kyujobs/kyu/cli"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == "worker" {
		os.Args = os.Args[1:]
		work()
	}
	if err := story(); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// work is the worker: all that a program of your own needs.
func work() {
	app := cli.New("worker")
	worker.Handle(app.Mux, "Demo::Notify", pause)
	worker.Handle(app.Mux, "Demo::Deliver", pause)
	worker.Handle(app.Mux, "Demo::Mail", pause)
	worker.Handle(app.Mux, "Demo::Fetch", pause)
	worker.Handle(app.Mux, "Demo::Flaky", flaky)
	app.Main()
}

// Task is what all jobs of the demo take: a text to tell them by, and a time.
type Task struct {
	Name string
	MS   int64
}

func pause(ctx context.Context, t Task) error {
	select {
	case <-time.After(time.Duration(t.MS) * time.Millisecond):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func flaky(ctx context.Context, _ Task) error {
	if _, again := queue.JobFrom(ctx).RetryCount(); again {
		return nil
	}
	return queue.RetryIn(time.Second, errors.New("the other server is not there"))
}

func story() error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	url, stop, err := redis()
	if err != nil {
		return err
	}
	defer stop()
	store, err := queue.Open(ctx, queue.Config{URL: url})
	if err != nil {
		return err
	}
	defer store.Close()
	d := &demo{client: queue.NewClient(store), url: url}
	if d.dir, err = os.MkdirTemp("", "kyu-demo-"); err != nil {
		return err
	}
	defer os.RemoveAll(d.dir)
	config := "poll_interval_average: 1\n" // look for due retries every second: a demo is short
	if err := os.WriteFile(filepath.Join(d.dir, "worker.yml"), []byte(config), 0o600); err != nil {
		return err
	}
	for _, act := range []func(context.Context) error{d.order, d.retry, d.kill} {
		if err := act(ctx); err != nil {
			return err
		}
	}
	say("That was it. Next: `make build`, `bin/worker --help`, and README.md.")
	return nil
}

// redis is the one in REDIS_URL, or one in this process.
func redis() (url string, stop func(), err error) {
	if url := os.Getenv("REDIS_URL"); url != "" {
		say("Using the Redis in REDIS_URL. If another worker serves it, it may take the demo's jobs.")
		return url, func() {}, nil
	}
	log.SetOutput(io.Discard) // miniredis's own log
	m, err := miniredis.Run()
	if err != nil {
		return "", nil, err
	}
	say("A Redis in memory is at " + m.Addr() + ".")
	return "redis://" + m.Addr(), m.Close, nil
}

type demo struct {
	client *queue.Client
	url    string
	dir    string
	worker *process
}

func (d *demo) push(ctx context.Context, class, name, q string, ms int64) error {
	_, err := d.client.Push(ctx, class, []any{name, ms}, queue.Options{Queue: q})
	return err
}

// order shows the strict order of queues.
func (d *demo) order(ctx context.Context) error {
	say("1. Twelve jobs for four queues, pushed in reverse order of importance: pull, mailers, push, default.\n" +
		"   One worker with one thread takes them: default first, pull last, each queue first in, first out.")
	for _, q := range []struct{ name, class string }{{"pull", "Demo::Fetch"}, {"mailers", "Demo::Mail"}, {"push", "Demo::Deliver"}, {"default", "Demo::Notify"}} {
		for i := range 3 {
			if err := d.push(ctx, q.class, fmt.Sprint(i+1), q.name, 100); err != nil {
				return err
			}
		}
	}
	var err error
	if d.worker, err = d.start(ctx, "first", "-c", "1"); err != nil {
		return err
	}
	return d.worker.wait(ctx, "INFO: done", 12)
}

// retry shows a failure.
func (d *demo) retry(ctx context.Context) error {
	say("2. A job that fails. It is retried with some delay (here 1 s and up to 10 s of jitter), by the same rules as in Sidekiq.")
	if err := d.push(ctx, "Demo::Flaky", "flaky", "default", 0); err != nil {
		return err
	}
	if err := d.worker.wait(ctx, "WARN: fail", 1); err != nil {
		return err
	}
	if err := d.worker.wait(ctx, "INFO: done", 1); err != nil {
		return err
	}
	return d.worker.stop()
}

// kill shows what a crash costs.
func (d *demo) kill(ctx context.Context) error {
	say("3. A worker with three jobs in its hands is killed with kill -9. Sidekiq's fetch would lose them.")
	for i := range 3 {
		if err := d.push(ctx, "Demo::Deliver", fmt.Sprint(i+1), "push", 2000); err != nil {
			return err
		}
	}
	victim, err := d.start(ctx, "victim", "-c", "3")
	if err != nil {
		return err
	}
	if err := victim.wait(ctx, "INFO: start", 3); err != nil {
		return err
	}
	victim.cmd.Process.Kill()
	victim.cmd.Wait()
	say("   Killed. Another worker starts, sees that the first is dead, and brings its jobs back to the head of their queue.")
	heir, err := d.start(ctx, "heir", "-c", "3")
	if err != nil {
		return err
	}
	if err := heir.wait(ctx, "INFO: done", 3); err != nil {
		return err
	}
	return heir.stop()
}

// process is a worker and what it prints.
type process struct {
	cmd   *exec.Cmd
	lines chan string
}

func (d *demo) start(ctx context.Context, name string, flags ...string) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	args := append([]string{"worker", "--log-format", "plain", "-t", "5", "-C", filepath.Join(d.dir, "worker.yml")}, flags...)
	p := &process{cmd: exec.CommandContext(ctx, self, args...), lines: make(chan string, 1000)}
	p.cmd.Env = append(os.Environ(), "REDIS_URL="+d.url)
	p.cmd.Stderr = os.Stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { // ends with the process's output
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			fmt.Printf("   %-6s | %s\n", name, s.Text())
			p.lines <- s.Text()
		}
	}()
	return p, nil
}

// wait blocks until n lines with text have been printed.
func (p *process) wait(ctx context.Context, text string, n int) error {
	for n > 0 {
		select {
		case line, ok := <-p.lines:
			if !ok {
				return fmt.Errorf("the worker ended before it said %q", text)
			}
			if strings.Contains(line, text) {
				n--
			}
		case <-ctx.Done():
			return fmt.Errorf("the worker did not say %q in time", text)
		}
	}
	return nil
}

func (p *process) stop() error {
	p.cmd.Process.Signal(os.Interrupt)
	for range p.lines { // to the end
	}
	return p.cmd.Wait()
}

func say(text string) { fmt.Printf("\n%s\n", text) }
