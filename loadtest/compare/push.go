package compare

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kyujobs/kyu/loadtest/lab"
	"github.com/kyujobs/kyu/queue"
)

// pushSpeeds measure how many jobs a second a rival's client pushes.
type pushSpeeds struct {
	name                      string
	oneByOne, sixteen, inBulk func(context.Context) (float64, error)
}

// pushes measure pushing.
func (c *comparison) pushes(ctx context.Context) error {
	fmt.Fprintln(c.out, "Pushing, jobs/s; medians of 3")
	w := lab.Table(c.out, "\tone by one\tby 16 goroutines\tin bulk")
	n := int(10_000 * c.scale)
	clients := []pushSpeeds{c.kyuPushes(n)}
	if !c.noRuby {
		clients = append(clients, c.rubyPushes(n))
	}
	if c.program != "" {
		clients = append(clients, programPushes(program{c, "asynq"}, n),
			programPushes(program{c, "river"}, n/5))
	}
	for _, client := range clients {
		if err := c.pushRow(ctx, w, client); err != nil {
			return fmt.Errorf("%s: %w", client.name, err)
		}
	}
	w.Flush()
	fmt.Fprintln(c.out, "Asynq pushes nothing in bulk: 16 goroutines push one by one.")
	fmt.Fprintln(c.out)
	return nil
}

// pushRow prints the medians of 3 tries.
func (c *comparison) pushRow(ctx context.Context, w io.Writer, client pushSpeeds) error {
	fmt.Fprint(w, client.name)
	for _, measure := range []func(context.Context) (float64, error){client.oneByOne,
		client.sixteen, client.inBulk} {
		var tries []float64
		for range 3 {
			c.Raw.FlushAll(ctx)
			speed, err := measure(ctx)
			if err != nil {
				return err
			}
			tries = append(tries, speed)
		}
		fmt.Fprintf(w, "\t%.0f", lab.Median(tries))
	}
	fmt.Fprintln(w)
	return nil
}

func (c *comparison) kyuPushes(n int) pushSpeeds {
	return pushSpeeds{"kyu",
		func(ctx context.Context) (float64, error) { return c.pushBy(ctx, 1, n) },
		func(ctx context.Context) (float64, error) { return c.pushBy(ctx, 16, n*4) },
		func(ctx context.Context) (float64, error) {
			start := time.Now()
			err := sidekiqLists{c.Lab}.fill(ctx, n*50, load{bytes: 60})
			return float64(n*50) / time.Since(start).Seconds(), err
		}}
}

// pushBy pushes n jobs one by one, from several goroutines.
func (c *comparison) pushBy(ctx context.Context, goroutines, n int) (float64, error) {
	start := time.Now()
	errs := make([]error, goroutines)
	var all sync.WaitGroup
	for g := range goroutines {
		all.Go(func() {
			for i := 0; i < n/goroutines && errs[g] == nil; i++ {
				_, errs[g] = c.Client.Push(ctx, "Test::NoOp", []any{g}, queue.Options{})
			}
		})
	}
	all.Wait()
	return float64(n) / time.Since(start).Seconds(), errors.Join(errs...)
}

func (c *comparison) rubyPushes(n int) pushSpeeds {
	push := func(n int, how string) func(context.Context) (float64, error) {
		return func(ctx context.Context) (float64, error) { return c.rubyPush(ctx, n, how) }
	}
	return pushSpeeds{"sidekiq", push(n, "one"), push(n, "threads"), push(n*10, "bulk")}
}

//go:embed push.rb
var rubyPusher []byte

// rubyPush has Sidekiq's client push.
func (c *comparison) rubyPush(ctx context.Context, n int, how string) (float64, error) {
	path := c.File("push.rb")
	if err := os.WriteFile(path, rubyPusher, 0o600); err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, "ruby", path, strconv.Itoa(n), how)
	cmd.Env = append(os.Environ(), "REDIS_URL="+c.URL)
	out, err := cmd.Output()
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}

func programPushes(p program, n int) pushSpeeds {
	run := func(args ...any) func(context.Context) (float64, error) {
		return func(ctx context.Context) (float64, error) { return p.run(ctx, args...) }
	}
	return pushSpeeds{p.name, run("push", n, 1), run("push", n*4, 16),
		run("fill", n*5, 60, 0, false)}
}
