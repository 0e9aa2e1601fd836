package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// command pushes or runs jobs with a rival.
type command struct {
	arguments int
	run       func(ctx context.Context, r rival, args []string) error
}

var commands = map[string]command{
	"setup":   {0, func(ctx context.Context, r rival, _ []string) error { return r.setup(ctx) }},
	"work":    {1, work},
	"fill":    {4, fill},
	"push":    {2, pushBy(onePush)},
	"trickle": {2, trickleBy(onePush)},
	"ledger":  {3, ledger},

	"pushtx":    {2, pushBy(onePushTx)},
	"trickletx": {2, trickleBy(onePushTx)},
}

// transactor is a rival that pushes jobs in transactions, each beside a row of a table.
type transactor interface {
	pushTx(ctx context.Context, j Job) error
}

func onePush(ctx context.Context, r rival, j Job) error { return r.push(ctx, j) }

func onePushTx(ctx context.Context, r rival, j Job) error {
	t, ok := r.(transactor)
	if !ok {
		return errors.New("it has no transactions")
	}
	return t.pushTx(ctx, j)
}

// numbers reads the arguments of a command that are numbers.
func numbers(args ...string) ([]int, error) {
	list := make([]int, len(args))
	for i, text := range args {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, err
		}
		list[i] = n
	}
	return list, nil
}

func work(ctx context.Context, r rival, args []string) error {
	n, err := numbers(args...)
	if err != nil {
		return err
	}
	return r.work(ctx, n[0])
}

func fill(ctx context.Context, r rival, args []string) error {
	n, err := numbers(args[:3]...)
	if err != nil {
		return err
	}
	kind := "wait"
	if args[3] == "true" {
		kind = "sleep"
	}
	jobs, text := make([]Job, n[0]), strings.Repeat("x", n[1])
	for i := range jobs {
		jobs[i] = Job{Kind: kind, N: i, Text: text, MS: int64(n[2])}
	}
	return timed(len(jobs), func() error { return r.bulk(ctx, jobs) })
}

func pushBy(one func(context.Context, rival, Job) error) func(context.Context, rival,
	[]string) error {
	return func(ctx context.Context, r rival, args []string) error {
		n, err := numbers(args...)
		if err != nil {
			return err
		}
		return timed(n[0], func() error {
			return spread(n[0], n[1], func(i int) error {
				return one(ctx, r, Job{Kind: "wait", N: i})
			})
		})
	}
}

func trickleBy(one func(context.Context, rival, Job) error) func(context.Context, rival,
	[]string) error {
	return func(ctx context.Context, r rival, args []string) error {
		n, err := numbers(args[0])
		if err != nil {
			return err
		}
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for range n[0] {
			<-tick.C
			if err := one(ctx, r, Job{Kind: "stamp", Path: args[1],
				Pushed: time.Now().UnixMicro()}); err != nil {
				return err
			}
		}
		return nil
	}
}

func ledger(ctx context.Context, r rival, args []string) error {
	n, err := numbers(args[0], args[2])
	if err != nil {
		return err
	}
	jobs := make([]Job, n[0])
	for i := range jobs {
		jobs[i] = Job{Kind: "ledger", N: i, Path: args[1], MS: int64(n[1])}
	}
	return r.bulk(ctx, jobs)
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
	return errors.Join(errs...)
}
