package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

type options struct {
	rounds       int
	scale        float64
	worker, json string
	before       string // another built worker: it and worker race alone
	peers        string // the program of Asynq and River; empty: without them
	threads      []int
	backlog      int
	only         []string // parts
	noRuby       bool
}

// figure is one measurement.
type figure struct {
	Name       string  `json:"name"`
	Threads    int     `json:"threads"`
	Pinned     bool    `json:"pinned"`
	Round      int     `json:"round"`
	JobsPerSec float64 `json:"jobs_per_second"`
	WorkerCPU  float64 `json:"worker_cpu_seconds_per_million"`
	StoreCPU   float64 `json:"store_cpu_seconds_per_million"`
	Commands   float64 `json:"redis_commands_per_job"`
	RSS        float64 `json:"rss_mb"`
	FirstJobMS float64 `json:"exec_to_first_job_ms"`
}

func peers(ctx context.Context, o options) error {
	s, err := newSite(ctx)
	if err != nil {
		return err
	}
	defer s.close()
	if o.peers != "" {
		if err := s.openPostgres(ctx); err != nil {
			return err
		}
	}
	fmt.Printf("%s, %d cores, %s, Redis %s, %s\n\n", time.Now().Format(time.DateOnly), cpus(),
		runtime.Version(), s.store.Server().Version, model())
	parts := []struct {
		name string
		run  func(context.Context, options) error
	}{{"drain", s.drainAll}, {"efficiency", s.efficiencies}, {"push", s.enqueues},
		{"latency", s.latencies}, {"payload", s.payloads}, {"network", s.network},
		{"backlog", s.backlog}, {"kill", s.killed}, {"idle", s.idle}}
	for _, p := range parts {
		if len(o.only) > 0 && !slices.Contains(o.only, p.name) {
			continue
		}
		if err := p.run(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// drainAll drains no-op jobs in interleaved rounds.
func (s *site) drainAll(ctx context.Context, o options) error {
	var all []figure
	list := contenders(o)
	total := o.rounds * 2 * len(o.threads) * len(list)
	for round := range o.rounds {
		slices.Reverse(list) // no contender always comes first
		for _, pinned := range []bool{false, true} {
			for _, threads := range o.threads {
				for _, c := range list {
					f, err := s.drain(ctx, c, threads, pinned, o.scale)
					if err != nil {
						return fmt.Errorf("%s -c %d: %w", c.name, threads, err)
					}
					f.Round = round
					all = append(all, f)
					fmt.Fprintf(os.Stderr, "\r%d of %d  %-18s -c %-4d %9.0f jobs/s   ", len(all),
						total, c.name, threads, f.JobsPerSec)
				}
			}
		}
	}
	fmt.Fprint(os.Stderr, "\r\n")
	drains(all, o)
	if o.before != "" {
		againstBefore(all, o)
	}
	if o.json == "" {
		return nil
	}
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(o.json, b, 0o644)
}

func model() string {
	b, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(b)) {
		if _, name, ok := strings.Cut(line, ":"); ok && strings.HasPrefix(line, "model name") {
			return strings.TrimSpace(name)
		}
	}
	return runtime.GOARCH
}

// drain measures one contender.
func (s *site) drain(ctx context.Context, c contender, threads int, pinned bool,
	scale float64) (figure, error) {
	f := figure{Name: c.name, Threads: threads, Pinned: pinned}
	n := int(float64(c.jobs(threads)) * scale)
	if err := c.system.fill(ctx, s, n, load{bytes: 60}); err != nil {
		return f, err
	}
	store := c.system.pid(s)
	for _, pid := range family(store) {
		if err := pin(pid, pinned); err != nil {
			return f, fmt.Errorf("taskset: %w", err)
		}
		defer pin(pid, false)
	}
	storeCPU, calls := treeSeconds(store), s.commands(ctx)
	perMillion := 1e6 / float64(n)
	if c.start == nil {
		if pinned {
			pin(os.Getpid(), true)
			defer pin(os.Getpid(), false)
		}
		own, start := cpuSeconds(os.Getpid()), time.Now()
		if _, err := bareLoop(ctx, s, threads); err != nil {
			return f, err
		}
		f.JobsPerSec = float64(n) / time.Since(start).Seconds()
		f.WorkerCPU = (cpuSeconds(os.Getpid()) - own) * perMillion
	} else if err := s.race(ctx, c, threads, pinned, n, &f); err != nil {
		return f, err
	}
	f.StoreCPU = (treeSeconds(store) - storeCPU) * perMillion
	f.Commands = float64(s.commands(ctx)-calls) / float64(n)
	return f, nil
}

// race starts a worker process and times it from its first job to its last.
func (s *site) race(ctx context.Context, c contender, threads int, pinned bool, n int,
	f *figure) error {
	exec := time.Now()
	cmd, err := c.start(s, threads, pinned)
	if err != nil {
		return err
	}
	defer stop(cmd)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for begun := false; !begun; {
		<-tick.C
		if begun, err = c.system.begun(ctx, s, n); err != nil {
			return err
		}
		if time.Since(exec) > 30*time.Second {
			return errors.New("took no job in 30 s")
		}
	}
	f.FirstJobMS = time.Since(exec).Seconds() * 1000
	start, cpu := time.Now(), cpuSeconds(cmd.Process.Pid)
	begun, err := c.system.left(ctx, s)
	if err != nil {
		return err
	}
	tick.Reset(20 * time.Millisecond) // not to disturb
	for left := begun; left > 0; {
		<-tick.C
		if left, err = c.system.left(ctx, s); err != nil {
			return err
		}
		if time.Since(start) > 5*time.Minute {
			return fmt.Errorf("does not end: %d left", left)
		}
	}
	f.JobsPerSec = float64(begun) / time.Since(start).Seconds()
	f.WorkerCPU = (cpuSeconds(cmd.Process.Pid) - cpu) * 1e6 / float64(begun)
	f.RSS = rssMB(cmd.Process.Pid)
	return nil
}

// drains prints medians, spreads and ratios.
func drains(all []figure, o options) {
	for _, pinned := range []bool{false, true} {
		title := "As the kernel schedules"
		if pinned {
			title = "Worker and Redis pinned to one core"
		}
		fmt.Printf("%s: medians of %d rounds\n", title, o.rounds)
		w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
		fmt.Fprintln(w, "-c\t\tjobs/s\tmin\tmax\t× sidekiq\t× asynq\t% of bare loop\tCPU s/M "+
			"worker\tstore\tcommands/job\tRSS MB\texec to 1st job ms")
		for _, threads := range o.threads {
			pick := func(name string, of func(figure) float64) (median, low, high float64) {
				var v []float64
				for _, f := range all {
					if f.Pinned == pinned && f.Threads == threads && f.Name == name {
						v = append(v, of(f))
					}
				}
				if len(v) == 0 {
					return 0, 0, 0
				}
				slices.Sort(v)
				return v[len(v)/2], v[0], v[len(v)-1]
			}
			speed := func(f figure) float64 { return f.JobsPerSec }
			bare, _, _ := pick("bare loop", speed)
			for _, c := range contenders(o) {
				m, low, high := pick(c.name, speed)
				rival := "sidekiq"
				if c.log {
					rival = "sidekiq, job log"
				}
				ruby, _, _ := pick(rival, speed)
				other, _, _ := pick("asynq", speed)
				med := func(of func(figure) float64) float64 {
					v, _, _ := pick(c.name, of)
					return v
				}
				fmt.Fprintf(w, "%d\t%s\t%.0f\t%.0f\t%.0f\t%.1f\t%.1f\t%.0f\t%.1f\t%.1f\t%.2f\t"+
					"%.0f\t%.0f\n", threads, c.name, m, low, high,
					ratio(m, ruby), ratio(m, other), 100*ratio(m, bare),
					med(func(f figure) float64 { return f.WorkerCPU }),
					med(func(f figure) float64 { return f.StoreCPU }),
					med(func(f figure) float64 { return f.Commands }),
					med(func(f figure) float64 { return f.RSS }),
					med(func(f figure) float64 { return f.FirstJobMS }))
			}
		}
		w.Flush()
		fmt.Println()
	}
}

// againstBefore prints how many times as fast the worker is as the one before: each round gives
// one ratio of two runs that followed each other, which a busy neighbour spoils less than two
// medians.
func againstBefore(all []figure, o options) {
	w := columns("-c\tpinned\tworker / before: median\tquartiles\tCPU of the worker / before")
	for _, pinned := range []bool{false, true} {
		for _, threads := range o.threads {
			var speed, cpu []float64
			for round := range o.rounds {
				var now, before figure
				for _, f := range all {
					switch {
					case f.Pinned != pinned || f.Threads != threads || f.Round != round:
					case f.Name == "kyu":
						now = f
					case f.Name == "kyu before":
						before = f
					}
				}
				speed = append(speed, ratio(now.JobsPerSec, before.JobsPerSec))
				cpu = append(cpu, ratio(now.WorkerCPU, before.WorkerCPU))
			}
			slices.Sort(speed)
			fmt.Fprintf(w, "%d\t%v\t%.3f\t%.3f to %.3f\t%.3f\n", threads, pinned, median(speed),
				speed[len(speed)/4], speed[len(speed)*3/4], median(cpu))
		}
	}
	w.Flush()
	fmt.Println()
}

func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}
