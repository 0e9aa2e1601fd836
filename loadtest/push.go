package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kyujobs/kyu/queue"
)

// enqueues measure pushing.
func (s *site) enqueues(ctx context.Context, o options) error {
	fmt.Println("Pushing, jobs/s; medians of 3")
	w := columns("\tone by one\tby 16 goroutines\tin bulk")
	client := queue.NewClient(s.store)
	n := int(10_000 * o.scale)
	one := func(goroutines, n int) (float64, error) {
		start := time.Now()
		var all sync.WaitGroup
		errs := make([]error, goroutines)
		for g := range goroutines {
			all.Go(func() {
				for range n / goroutines {
					if _, err := client.Push(ctx, "Test::NoOp", []any{g},
						queue.Options{}); err != nil {
						errs[g] = err
						return
					}
				}
			})
		}
		all.Wait()
		return float64(n) / time.Since(start).Seconds(), errs[0]
	}
	bulk := func() (float64, error) {
		start := time.Now()
		err := lists{}.fill(ctx, s, n*50, load{bytes: 60})
		return float64(n*50) / time.Since(start).Seconds(), err
	}
	row := func(name string, measures ...func() (float64, error)) error {
		fmt.Fprint(w, name)
		for _, m := range measures {
			var tries []float64
			for range 3 {
				s.raw.FlushAll(ctx)
				v, err := m()
				if err != nil {
					return fmt.Errorf("pushing, %s: %w", name, err)
				}
				tries = append(tries, v)
			}
			fmt.Fprintf(w, "\t%.0f", median(tries))
		}
		fmt.Fprintln(w)
		return nil
	}
	if err := row("kyu", func() (float64, error) { return one(1, n) },
		func() (float64, error) { return one(16, n*4) }, bulk); err != nil {
		return err
	}
	if !o.noRuby {
		if err := row("sidekiq", func() (float64, error) { return s.rubyPush(ctx, n, "one") },
			func() (float64, error) { return s.rubyPush(ctx, n, "threads") },
			func() (float64, error) { return s.rubyPush(ctx, n*10, "bulk") }); err != nil {
			return err
		}
	}
	if o.peers != "" {
		for _, name := range []string{"asynq", "river"} {
			m := map[string]int{"asynq": n, "river": n / 5}[name]
			if err := row(name, func() (float64, error) {
				return s.peer(ctx, o.peers, name, "push", m, 1)
			}, func() (float64, error) { return s.peer(ctx, o.peers, name, "push", m*4, 16) },
				func() (float64, error) {
					return s.peer(ctx, o.peers, name, "fill", m*5, 60, 0, false)
				}); err != nil {
				return err
			}
		}
	}
	w.Flush()
	fmt.Println("Asynq pushes nothing in bulk: 16 goroutines push one by one.")
	fmt.Println()
	return nil
}

const rubyPusher = `require "sidekiq"
Sidekiq.configure_client { |c| c.redis = { url: ENV.fetch("REDIS_URL"), size: 16 } }
n, how = Integer(ARGV[0]), ARGV[1]
one = ->(i) { Sidekiq::Client.push("class" => "Test::NoOp", "args" => [i]) }
start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
case how
when "one" then n.times(&one)
when "threads" then 16.times.map { |t| Thread.new { (n / 16).times(&one) } }.each(&:join)
when "bulk"
  text = "x" * 60
  (0...n).each_slice(1000) { |s|
    Sidekiq::Client.push_bulk("class" => "Test::NoOp", "args" => s.map { |i| [i, text] }) }
end
puts n / (Process.clock_gettime(Process::CLOCK_MONOTONIC) - start)
`

// rubyPush lets Ruby's client push.
func (s *site) rubyPush(ctx context.Context, n int, how string) (float64, error) {
	path := filepath.Join(s.dir, "push.rb")
	if err := os.WriteFile(path, []byte(rubyPusher), 0o600); err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, "ruby", path, strconv.Itoa(n), how)
	cmd.Env = append(os.Environ(), "REDIS_URL="+s.url)
	out, err := cmd.Output()
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}
