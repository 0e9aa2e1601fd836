package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// process is a running worker.
type process struct {
	cmd   *exec.Cmd
	lines chan string // its output
}

// start starts bin/worker, and prints its output behind name.
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
	go func() { // ends at the end of the output
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			fmt.Printf("   %-6s | %s\n", name, s.Text())
			p.lines <- s.Text()
		}
	}()
	return p, nil
}

// wait blocks until the worker has printed n more lines with text.
func (p *process) wait(ctx context.Context, text string, n int) error {
	for n > 0 {
		select {
		case line, ok := <-p.lines:
			if !ok {
				return fmt.Errorf("the worker ended before it printed %q", text)
			}
			if strings.Contains(line, text) {
				n--
			}
		case <-ctx.Done():
			return fmt.Errorf("the worker did not print %q in time", text)
		}
	}
	return nil
}

func (p *process) stop() error {
	p.cmd.Process.Signal(os.Interrupt)
	for range p.lines { // until the output ends
	}
	return p.cmd.Wait()
}
