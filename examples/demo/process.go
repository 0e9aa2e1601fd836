package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// process is a worker and what it prints.
type process struct {
	cmd   *exec.Cmd
	lines chan string
}

// start starts the worker that `make build` has made.
func (d *demo) start(ctx context.Context, name string, flags ...string) (*process, error) {
	args := append([]string{"--log-format", "plain", "-t", "5", "-C", d.config}, flags...)
	p := &process{cmd: exec.CommandContext(ctx, d.program, args...), lines: make(chan string, 1000)}
	p.cmd.Env = append(os.Environ(), d.env...)
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
