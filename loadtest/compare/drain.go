package compare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"github.com/kyujobs/kyu/loadtest/lab"
	"github.com/kyujobs/kyu/queue"
)

// figure is one measurement: a rival drains a queue of no-op jobs.
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

// drains has each rival drain no-op jobs, in interleaved rounds.
func (c *comparison) drains(ctx context.Context) error {
	all, err := c.drainRounds(ctx)
	if err != nil {
		return err
	}
	for _, pinned := range []bool{false, true} {
		c.printDrains(all, pinned)
	}
	if c.before != "" {
		c.printBefore(all)
	}
	if c.json == "" {
		return nil
	}
	b, err := json.MarshalIndent(all, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(c.json, b, 0o644)
}

func (c *comparison) drainRounds(ctx context.Context) (all []figure, err error) {
	list := c.rivals()
	total := c.rounds * 2 * len(c.threads) * len(list)
	for round := range c.rounds {
		slices.Reverse(list) // no rival always comes first
		for _, pinned := range []bool{false, true} {
			for _, threads := range c.threads {
				for _, r := range list {
					f, err := c.drain(ctx, r, threads, pinned)
					if err != nil {
						return nil, fmt.Errorf("%s -c %d: %w", r.name, threads, err)
					}
					f.Round = round
					all = append(all, f)
					fmt.Fprintf(os.Stderr, "\r%d of %d  %-18s -c %-4d %9.0f jobs/s   ", len(all),
						total, r.name, threads, f.JobsPerSec)
				}
			}
		}
	}
	fmt.Fprint(os.Stderr, "\r\n")
	return all, nil
}

// drain has one rival drain its jobs once.
func (c *comparison) drain(ctx context.Context, r rival, threads int,
	pinned bool) (figure, error) {
	n := int(float64(r.jobs(threads)) * c.scale)
	if err := r.pusher.fill(ctx, n, load{bytes: 60}); err != nil {
		return figure{}, err
	}
	processes := lab.Family(r.store.pid())
	if r.start == nil {
		processes = append(processes, os.Getpid())
	}
	for _, pid := range processes {
		if err := lab.Pin(pid, pinned); err != nil {
			return figure{}, fmt.Errorf("taskset: %w", err)
		}
		defer lab.Pin(pid, false)
	}
	storeCPU, calls := lab.TreeSeconds(r.store.pid()), c.Commands(ctx)
	f, err := c.once(ctx, r, threads, pinned, n)
	if err != nil {
		return figure{}, err
	}
	f.Name, f.Threads, f.Pinned = r.name, threads, pinned
	f.StoreCPU = (lab.TreeSeconds(r.store.pid()) - storeCPU) * 1e6 / float64(n)
	f.Commands = float64(c.Commands(ctx)-calls) / float64(n)
	return f, nil
}

func (c *comparison) once(ctx context.Context, r rival, threads int, pinned bool,
	n int) (figure, error) {
	if r.start == nil {
		return c.bareLoop(ctx, threads, n)
	}
	return race(ctx, r, threads, pinned, n)
}

// bareLoop fetches n jobs and acknowledges them, with the scripts of a worker, and runs
// nothing: a worker on one connection cannot be faster.
func (c *comparison) bareLoop(ctx context.Context, threads, n int) (f figure, err error) {
	owner := c.Store.Owner(fmt.Sprintf("bare:%d:%d", os.Getpid(), threads))
	cpu, start := lab.CPUSeconds(os.Getpid()), time.Now()
	if err := owner.Register(ctx, queue.Host{}, []string{"default"}, time.Hour); err != nil {
		return f, err
	}
	var done []*queue.Delivery
	for {
		got, err := owner.Fetch(ctx, queue.FetchRequest{Queues: []string{"default"},
			Want: threads, First: c.Store.Tokens(threads), Done: done})
		if err != nil {
			return f, err
		}
		if len(got.Jobs) == 0 && len(done) == 0 {
			break
		}
		done = got.Own()
	}
	f.JobsPerSec = float64(n) / time.Since(start).Seconds()
	f.WorkerCPU = (lab.CPUSeconds(os.Getpid()) - cpu) * 1e6 / float64(n)
	return f, nil
}

// race starts a worker process and times it from its first job to its last.
func race(ctx context.Context, r rival, threads int, pinned bool, n int) (f figure, err error) {
	exec := time.Now()
	cmd, err := r.start(threads, pinned)
	if err != nil {
		return f, err
	}
	defer lab.Stop(cmd)
	if err := awaitFirst(ctx, r.store, n); err != nil {
		return f, err
	}
	f.FirstJobMS = time.Since(exec).Seconds() * 1000
	err = timeRest(ctx, r.store, cmd, &f)
	return f, err
}

// awaitFirst returns when a worker has taken the first of n jobs.
func awaitFirst(ctx context.Context, s store, n int) error {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for start := time.Now(); time.Since(start) < 30*time.Second; {
		<-tick.C
		if begun, err := s.begun(ctx, n); begun || err != nil {
			return err
		}
	}
	return errors.New("took no job within 30 s")
}

// timeRest times the worker until no job is left. It asks the store seldom, for its questions
// slow the store down.
func timeRest(ctx context.Context, s store, cmd *exec.Cmd, f *figure) error {
	start, cpu := time.Now(), lab.CPUSeconds(cmd.Process.Pid)
	jobs, err := s.left(ctx)
	if err != nil {
		return err
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for left := jobs; left > 0; {
		<-tick.C
		if left, err = s.left(ctx); err != nil {
			return err
		}
		if time.Since(start) > 5*time.Minute {
			return fmt.Errorf("is not done within 5 minutes: %d jobs are left", left)
		}
	}
	f.JobsPerSec = float64(jobs) / time.Since(start).Seconds()
	f.WorkerCPU = (lab.CPUSeconds(cmd.Process.Pid) - cpu) * 1e6 / float64(jobs)
	f.RSS = lab.ResidentMB(cmd.Process.Pid)
	return nil
}
