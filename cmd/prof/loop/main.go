package main

import (
	"context"
	"fmt"
	"os"
	"runtime/pprof"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/queue"
)

func main() {
	ctx := context.Background()
	k, _ := strconv.Atoi(os.Args[1])
	n, _ := strconv.Atoi(os.Args[2])
	s, err := queue.Open(ctx, queue.Config{URL: "redis://localhost:7777/0"})
	if err != nil {
		panic(err)
	}
	s.Redis().FlushAll(ctx)
	c := queue.NewClient(s)
	var slice [][]any
	for i := range n {
		slice = append(slice, []any{i, "abcdefghijklmnopqrstuvwxyz"})
	}
	c.PushBulk(ctx, "Test::NoOp", slice, queue.Options{})
	o := s.Owner("bench:1:abc")
	o.Register(ctx, queue.Host{}, []string{"default"}, time.Hour)
	pf, _ := os.Create("/tmp/loop.prof")
	pprof.StartCPUProfile(pf)
	defer pprof.StopCPUProfile()
	start := time.Now()
	var done []*queue.Delivery
	got := 0
	for {
		jobs, _, err := o.Fetch(ctx, []string{"default"}, k, nil, done)
		if err != nil {
			panic(err)
		}
		if len(jobs) == 0 {
			break
		}
		got += len(jobs)
		done = jobs
	}
	e := time.Since(start)
	st, _ := s.Redis().Info(ctx, "commandstats").Result()
	_ = st
	fmt.Printf("k=%d %d jobs %.0f jobs/s %v per trip\n", k, got, float64(got)/e.Seconds(), e/time.Duration(got/k))
}
