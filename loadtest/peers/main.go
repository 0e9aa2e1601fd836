// Command peers lets Asynq and River do what loadtest lets Kyu and Sidekiq do. It is
// a module of its own, so that Kyu does not depend on them.
//
//	peers asynq|river setup                    create what it needs
//	peers asynq|river fill N BYTES MS GOTIMER  push N jobs as fast as it can; prints jobs/s
//	peers asynq|river push N GOROUTINES        push N jobs one by one; prints jobs/s
//	peers asynq|river trickle N PATH           push 200 jobs/s, which write how long they waited
//	peers asynq|river ledger N PATH MS         push N jobs that write when they start and end
//	peers asynq|river work THREADS             work until interrupted
//
// The store is REDIS_URL or DATABASE_URL.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Job is what all jobs take.
type Job struct {
	What   string `json:"what"` // wait, sleep, stamp or ledger
	N      int    `json:"n"`
	Text   string `json:"text,omitempty"`
	Path   string `json:"path,omitempty"`
	Pushed int64  `json:"pushed,omitempty"` // microseconds since 1970
	MS     int64  `json:"ms,omitempty"`
}

// Run does the job.
func (j Job) Run(ctx context.Context) error {
	switch j.What {
	case "stamp":
		return appendLine(j.Path, fmt.Sprint(time.Now().UnixMicro()-j.Pushed))
	case "ledger":
		if err := appendLine(j.Path, fmt.Sprint("start ", j.N)); err != nil {
			return err
		}
		if err := sleep(ctx, j.MS); err != nil {
			return err
		}
		return appendLine(j.Path, fmt.Sprint("end ", j.N))
	case "sleep":
		return sleep(ctx, j.MS)
	}
	if j.MS == 0 {
		return nil
	}
	return wait(time.Duration(j.MS) * time.Millisecond)
}

func sleep(ctx context.Context, ms int64) error {
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func appendLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(line + "\n"); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// peer is a job system.
type peer interface {
	setup(ctx context.Context) error
	push(ctx context.Context, j Job) error
	bulk(ctx context.Context, jobs []Job) error // as fast as it can
	work(ctx context.Context, threads int) error
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("want a peer and what it is to do")
	}
	open := map[string]func(context.Context) (peer, error){"asynq": newAsynq,
		"river": newRiver}[args[0]]
	if open == nil {
		return fmt.Errorf("%q: want asynq or river", args[0])
	}
	p, err := open(ctx)
	if err != nil {
		return err
	}
	number := func(i int) int {
		if i >= len(args) {
			return 0
		}
		n, _ := strconv.Atoi(args[i])
		return n
	}
	switch args[1] {
	case "setup":
		return p.setup(ctx)
	case "work":
		return p.work(ctx, number(2))
	case "fill":
		what, jobs := "wait", make([]Job, number(2))
		if len(args) > 5 && args[5] == "true" {
			what = "sleep"
		}
		for i := range jobs {
			jobs[i] = Job{What: what, N: i, Text: strings.Repeat("x", number(3)),
				MS: int64(number(4))}
		}
		return timed(len(jobs), func() error { return p.bulk(ctx, jobs) })
	case "push":
		return timed(number(2), func() error {
			return spread(number(2), number(3), func(i int) error {
				return p.push(ctx, Job{What: "wait", N: i})
			})
		})
	case "trickle":
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for range number(2) {
			<-tick.C
			if err := p.push(ctx, Job{What: "stamp", Path: args[3],
				Pushed: time.Now().UnixMicro()}); err != nil {
				return err
			}
		}
		return nil
	case "ledger":
		jobs := make([]Job, number(2))
		for i := range jobs {
			jobs[i] = Job{What: "ledger", N: i, Path: args[3], MS: int64(number(4))}
		}
		return p.bulk(ctx, jobs)
	}
	return fmt.Errorf("%q is not known", args[1])
}

// timed prints how many jobs a second fn pushes.
func timed(n int, fn func() error) error {
	start := time.Now()
	if err := fn(); err != nil {
		return err
	}
	fmt.Printf("%.0f\n", float64(n)/time.Since(start).Seconds())
	return nil
}

// spread calls fn n times from several goroutines.
func spread(n, goroutines int, fn func(i int) error) error {
	var all sync.WaitGroup
	errs := make([]error, goroutines)
	for g := range goroutines {
		all.Go(func() {
			for i := g; i < n && errs[g] == nil; i += goroutines {
				errs[g] = fn(i)
			}
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
