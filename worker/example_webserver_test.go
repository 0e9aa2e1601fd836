package worker_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
	"golang.org/x/sync/errgroup"
)

// serve runs a web server and a Runner until ctx ends, or one of them fails. Then the Runner takes
// no more jobs, the running requests end, and after them the running jobs.
func serve(ctx context.Context, l net.Listener, pages http.Handler, runner *worker.Runner) error {
	server := &http.Server{Handler: pages, ReadHeaderTimeout: 5 * time.Second,
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) }}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return runner.Run(context.WithoutCancel(ctx)) })
	g.Go(func() error {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-ctx.Done()
		runner.Quiet()      // it takes no more jobs
		defer runner.Stop() // its running jobs have Config.Timeout to end, 25 s
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		return server.Shutdown(last) // running requests have 10 s to end, and may still push jobs
	})
	return g.Wait()
}

// A web server that runs its own jobs. One context ends both: first the requests end, then the
// jobs. In a program the context ends with a signal (signal.NotifyContext).
func Example_webServer() {
	redis, err := miniredis.Run() // a Redis in this process
	if err != nil {
		log.Fatal(err)
	}
	defer redis.Close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	store, err := queue.Open(ctx, queue.Config{URL: "redis://" + redis.Addr()})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	client, requestEnds := queue.NewClient(store), make(chan struct{})
	mux := worker.NewMux()
	worker.Handle(mux, "WelcomeWorker", func(ctx context.Context, user string) error {
		stop() // while the request and this job run
		<-requestEnds
		fmt.Println("job for", user, "ends")
		return nil
	})
	runner, err := worker.New(store, worker.Config{Mux: mux, Capsules: []worker.Capsule{
		{Concurrency: 5, Queues: []worker.QueueWeight{{Name: "default"}}}}})
	if err != nil {
		log.Fatal(err)
	}
	pages := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		client.Push(r.Context(), "WelcomeWorker", []any{"Ai"}, queue.Options{})
		<-ctx.Done()
		fmt.Println("request ends")
		close(requestEnds)
	})

	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	go http.Post("http://"+l.Addr().String(), "", nil) // somebody signs up
	fmt.Println("server ends:", serve(ctx, l, pages, runner))
	// Output:
	// request ends
	// job for Ai ends
	// server ends: <nil>
}
