package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// columns is a table on the terminal.
func columns(head string) *tabwriter.Writer {
	w := tabwriter.NewWriter(os.Stdout, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, head)
	return w
}

// median of an odd number of tries.
func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}

// workers are the contenders that run jobs, without those that log them.
func workers(o options) []contender {
	return slices.DeleteFunc(contenders(o), func(c contender) bool {
		return c.start == nil || c.log
	})
}

// efficiencies compare the time that jobs of 10 ms take with what they would take if
// nothing else did. The jobs wait for the kernel, as most jobs do; and once more for a
// timer of Go's runtime, which wakes up to a millisecond late (epoll_wait counts in
// them) and so measures itself.
func (s *site) efficiencies(ctx context.Context, o options) error {
	fmt.Println("Jobs of 10 ms: ideal time / actual time, from the first job to the last; " +
		"medians of 3")
	w := columns("\t-c 15\t-c 100\tGo's timers: -c 15\t-c 100")
	for _, c := range workers(o) {
		fmt.Fprint(w, c.name)
		for _, goTimer := range []bool{false, true} {
			for _, threads := range []int{15, 100} {
				if goTimer && c.name == "sidekiq" {
					fmt.Fprint(w, "\t")
					continue
				}
				e, err := s.efficiency(ctx, c, threads, int(float64(threads)*600*o.scale),
					load{ms: 10, goTimer: goTimer})
				if err != nil {
					return fmt.Errorf("10 ms jobs, %s -c %d: %w", c.name, threads, err)
				}
				fmt.Fprintf(w, "\t%.3f", e)
			}
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	fmt.Println()
	return nil
}

// efficiency of a contender with n jobs, the median of 3 tries.
func (s *site) efficiency(ctx context.Context, c contender, threads, n int,
	l load) (float64, error) {
	var tries []float64
	for range 3 {
		if err := c.system.fill(ctx, s, n, l); err != nil {
			return 0, err
		}
		var f figure
		if err := s.race(ctx, c, threads, false, n, &f); err != nil {
			return 0, err
		}
		tries = append(tries, f.JobsPerSec*float64(l.ms)/1000/float64(threads))
	}
	return median(tries), nil
}

// payloads drain jobs of the size of a delivery.
func (s *site) payloads(ctx context.Context, o options) error {
	fmt.Println("Drain of jobs of 3.3 kB, -c 15, jobs/s; medians of 3")
	w := columns("\tjobs/s")
	for _, c := range workers(o) {
		var tries []float64
		for range 3 {
			n := int(float64(c.jobs(15)) * o.scale / 4)
			if err := c.system.fill(ctx, s, n, load{bytes: 3100}); err != nil {
				return err
			}
			var f figure
			if err := s.race(ctx, c, 15, false, n, &f); err != nil {
				return fmt.Errorf("3.3 kB, %s: %w", c.name, err)
			}
			tries = append(tries, f.JobsPerSec)
		}
		fmt.Fprintf(w, "%s\t%.0f\n", c.name, median(tries))
	}
	w.Flush()
	fmt.Println()
	return nil
}

// network drains over a connection that takes a millisecond longer there and back.
func (s *site) network(ctx context.Context, o options) error {
	fmt.Println("Drain with 1 ms of network in between, jobs/s")
	relay, err := newRelay(strings.TrimSuffix(strings.TrimPrefix(s.url, "redis://"), "/0"),
		500*time.Microsecond)
	if err != nil {
		return err
	}
	defer relay.close()
	direct := s.url
	defer func() { s.url = direct }()
	w := columns("\t-c 15\t-c 100")
	for _, c := range workers(o) {
		if c.name == "river" {
			continue
		}
		fmt.Fprint(w, c.name)
		for _, threads := range []int{15, 100} {
			n := int(20_000 * o.scale)
			if c.name == "kyu" {
				n *= 5
			}
			s.url = direct
			if err := c.system.fill(ctx, s, n, load{bytes: 60}); err != nil {
				return err
			}
			s.url = relay.url
			var f figure
			if err := s.race(ctx, c, threads, false, n, &f); err != nil {
				return fmt.Errorf("1 ms, %s -c %d: %w", c.name, threads, err)
			}
			fmt.Fprintf(w, "\t%.0f", f.JobsPerSec)
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	fmt.Println()
	return nil
}

// backlog compares a fetch from a long queue with one from a short one.
func (s *site) backlog(ctx context.Context, o options) error {
	measure := func() (p50, p99 float64, err error) {
		owner := s.store.Owner(fmt.Sprintf("backlog:%d:%d", os.Getpid(), time.Now().UnixNano()))
		if err := owner.Register(ctx, queue.Host{}, []string{"default"}, time.Hour); err != nil {
			return 0, 0, err
		}
		var done []*queue.Delivery
		var took []float64
		for range 5000 {
			start := time.Now()
			got, err := owner.Fetch(ctx, queue.FetchRequest{Queues: []string{"default"}, Want: 1,
				First: s.store.Tokens(1), Done: done})
			if err != nil {
				return 0, 0, err
			}
			took = append(took, time.Since(start).Seconds()*1e6)
			done = got.Own()
		}
		slices.Sort(took)
		return took[len(took)/2], took[len(took)*99/100], nil
	}
	fmt.Println("Fetch and acknowledge one job, microseconds; medians of 5 times 5,000")
	w := columns("backlog\tp50\tp99")
	for _, n := range []int{30_000, o.backlog} {
		s.raw.FlushAll(ctx)
		for left := n; left > 0; left -= 1_000_000 {
			args := make([][]any, min(left, 1_000_000))
			for i := range args {
				args[i] = []any{i, "abcdefghijklmnopqrstuvwxyzabcdef"}
			}
			if _, err := queue.NewClient(s.store).PushBulk(ctx, "Test::NoOp", args,
				queue.Options{}); err != nil {
				return err
			}
		}
		var p50s, p99s []float64
		for range 5 {
			p50, p99, err := measure()
			if err != nil {
				return err
			}
			p50s, p99s = append(p50s, p50), append(p99s, p99)
		}
		fmt.Fprintf(w, "%d\t%.0f\t%.0f\n", n, median(p50s), median(p99s))
	}
	w.Flush()
	s.raw.FlushAll(ctx)
	fmt.Println()
	return nil
}

// ordeal is how often a worker is killed with kill -9, and under what load.
type ordeal struct {
	kills, jobs, ms int
	wait            time.Duration // for the last job, from the last kill on
}

var ordeals = []ordeal{{1, 600, 100, 2 * time.Minute}, {20, 6000, 50, 5 * time.Minute}}

// killed kills workers with kill -9 in the middle of their jobs, starts another each
// time, and counts by the ledger that the jobs write.
func (s *site) killed(ctx context.Context, o options) error {
	for _, x := range ordeals {
		fmt.Printf("kill -9 of a worker with 15 jobs in its hands, %d times, another started at "+
			"once; %d jobs of %d ms\n", x.kills, x.jobs, x.ms)
		w := columns("\tnever ended\tended twice\tall ended after\tin a crash a running job, by " +
			"its documentation")
		for _, c := range workers(o) {
			lost, twice, took, err := s.kill(ctx, c, x)
			if err != nil {
				return fmt.Errorf("kill -9, %s: %w", c.name, err)
			}
			after := took.Round(100 * time.Millisecond).String()
			if lost > 0 {
				after = fmt.Sprintf("not within %v", x.wait)
			}
			fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\n", c.name, lost, twice, after, c.promise)
		}
		w.Flush()
		fmt.Println()
	}
	return nil
}

func (s *site) kill(ctx context.Context, c contender,
	x ordeal) (lost, twice int, took time.Duration, err error) {
	if err := c.system.fill(ctx, s, 0, load{}); err != nil {
		return 0, 0, 0, err
	}
	path := filepath.Join(s.dir, fmt.Sprint("killed-", x.kills, "-", c.name))
	if p, ok := program(c.system); ok {
		_, err = s.peer(ctx, p, c.name, "ledger", x.jobs, path, x.ms)
	} else {
		args := make([][]any, x.jobs)
		for i := range args {
			args[i] = []any{path, strconv.Itoa(i), x.ms}
		}
		_, err = queue.NewClient(s.store).PushBulk(ctx, "Test::Ledger", args, queue.Options{})
	}
	if err != nil {
		return 0, 0, 0, err
	}
	now, err := c.start(s, 15, false)
	if err != nil {
		return 0, 0, 0, err
	}
	defer func() { stop(now) }()
	killed := time.Now()
	for range x.kills {
		before := len(ends(path))
		limit := time.Now().Add(20 * time.Second)
		for len(ends(path)) < before+x.jobs/(2*x.kills+1) && time.Now().Before(limit) &&
			ctx.Err() == nil {
			time.Sleep(10 * time.Millisecond)
		}
		for _, pid := range append(family(now.Process.Pid)[1:], now.Process.Pid) {
			exec.Command("kill", "-9", strconv.Itoa(pid)).Run()
		}
		now.Wait()
		killed = time.Now()
		if now, err = c.start(s, 15, false); err != nil {
			return 0, 0, 0, err
		}
	}
	for len(ends(path)) < x.jobs && time.Since(killed) < x.wait && ctx.Err() == nil {
		time.Sleep(50 * time.Millisecond)
	}
	if err := ctx.Err(); err != nil {
		return 0, 0, 0, err // what did not end was not lost
	}
	took = time.Since(killed)
	counts := ends(path)
	for _, n := range counts {
		if n > 1 {
			twice++
		}
	}
	return x.jobs - len(counts), twice, took, nil
}

// ends reads which jobs have ended, and how often.
func ends(path string) map[string]int {
	counts := map[string]int{}
	f, err := os.Open(path)
	if err != nil {
		return counts
	}
	defer f.Close()
	b, err := io.ReadAll(bufio.NewReader(f))
	if err != nil {
		return counts
	}
	for line := range strings.Lines(string(b)) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "end "); ok {
			counts[id]++
		}
	}
	return counts
}
