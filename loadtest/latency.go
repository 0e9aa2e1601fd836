package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// latencies prints the time from push to start at 200 jobs a second, with 1 and
// with 20 idle processes.
func (s *site) latencies(ctx context.Context, o options) error {
	fmt.Println("Push to start at 200 jobs/s, -c 15, idle: milliseconds")
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "\tprocesses\tp50\tp99\tmax\tcommands/job beyond those at rest")
	for _, c := range contenders(o) {
		if c.start == nil || c.log {
			continue
		}
		for _, processes := range []int{1, 20} {
			if processes > 1 && (c.name == "sidekiq" || c.name == "river") {
				continue // 20 Ruby processes, and 640 connections, measure the machine's memory
			}
			waits, perJob, err := s.trickle(ctx, c, processes, int(2000*o.scale))
			if err != nil {
				return fmt.Errorf("latency of %s: %w", c.name, err)
			}
			at := func(q float64) float64 { return waits[int(q*float64(len(waits)-1))] / 1000 }
			fmt.Fprintf(w, "%s\t%d\t%.2f\t%.2f\t%.2f\t%.2f\n", c.name, processes, at(0.5), at(0.99),
				at(1), perJob)
		}
	}
	w.Flush()
	fmt.Println()
	return nil
}

func (s *site) trickle(ctx context.Context, c contender, processes,
	n int) (waits []float64, perJob float64, err error) {
	if err := c.system.fill(ctx, s, 0, load{}); err != nil {
		return nil, 0, err
	}
	var cmds []*exec.Cmd
	defer func() {
		for _, cmd := range cmds {
			stop(cmd)
		}
	}()
	for range processes {
		cmd, err := c.start(s, 15, false)
		if err != nil {
			return nil, 0, err
		}
		cmds = append(cmds, cmd)
	}
	// until all have started, and sleep
	time.Sleep(time.Duration(2000+150*processes) * time.Millisecond)
	path := filepath.Join(s.dir, "stamps-"+strconv.Itoa(processes)+c.name)
	resting := s.commands(ctx)
	time.Sleep(idleSpan)
	calls, start := s.commands(ctx), time.Now()
	idle := float64(calls-resting) / idleSpan.Seconds()
	if p, ok := program(c.system); ok {
		_, err = s.peer(ctx, p, c.name, "trickle", n, path)
	} else {
		err = s.stamps(ctx, path, n)
	}
	if err != nil {
		return nil, 0, err
	}
	time.Sleep(2 * time.Second)
	// without the push itself
	perJob = (float64(s.commands(ctx)-calls)-idle*time.Since(start).Seconds())/float64(n) - 1
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		us, _ := strconv.ParseFloat(lines.Text(), 64)
		waits = append(waits, us)
	}
	if len(waits) < n {
		return nil, 0, fmt.Errorf("%d of %d jobs have run", len(waits), n)
	}
	slices.Sort(waits)
	return waits, perJob, nil
}

// idleSpan is how long processes are watched at rest: what they send then, as leases
// and statistics, they send under load too, and no job is to pay for it.
const idleSpan = 10 * time.Second

// stamps pushes 200 jobs a second.
func (s *site) stamps(ctx context.Context, path string, n int) error {
	client := queue.NewClient(s.store)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for range n {
		<-tick.C
		if _, err := client.Push(ctx, "Test::Stamp", []any{path, time.Now().UnixMicro()},
			queue.Options{}); err != nil {
			return err
		}
	}
	return nil
}

// idle prints what a worker without jobs costs.
func (s *site) idle(ctx context.Context, o options) error {
	workers := map[string]string{"kyu before": o.before, "kyu": o.worker}
	for _, c := range contenders(o) {
		if path := workers[c.name]; path != "" {
			if err := s.idleOf(ctx, c.name, path); err != nil {
				return err
			}
		}
	}
	return nil
}

// idleOf watches one worker, alone.
func (s *site) idleOf(ctx context.Context, name, worker string) error {
	s.raw.FlushAll(ctx)
	cmd, err := s.spawn(false, worker, "-c", "15")
	if err != nil {
		return err
	}
	defer stop(cmd)
	time.Sleep(2 * time.Second)
	const span = 20 * time.Second
	cpu, calls := cpuSeconds(cmd.Process.Pid), s.commands(ctx)
	time.Sleep(span)
	fmt.Printf("%s, idle for %v, -c 15, four queues: %.2f %% of a core, %.1f commands/s, "+
		"RSS %.1f MB\n",
		name, span, 100*(cpuSeconds(cmd.Process.Pid)-cpu)/span.Seconds(),
		float64(s.commands(ctx)-calls)/span.Seconds(), rssMB(cmd.Process.Pid))
	return nil
}
