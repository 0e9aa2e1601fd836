package workertest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
	"github.com/kyujobs/kyu/worker/workertest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type args struct {
	N     int
	Exact float64
}

func TestFakeCollectsAndDrains(t *testing.T) {
	fake := &workertest.Fake{}
	client := queue.NewClient(fake)
	mux := worker.NewMux()
	var got []string
	worker.Handle(mux, "Job", func(ctx context.Context, a args) error {
		got = append(got, fmt.Sprint(a))
		if a.N == 1 {
			_, err := client.Push(ctx, "Job", []any{2, 1.0}, queue.Options{})
			return err
		}
		return nil
	})
	ctx := t.Context()
	client.PushIn(ctx, time.Hour, "Job", []any{1, 2.5}, queue.Options{Queue: "low"})
	client.Push(ctx, "Other", nil, queue.Options{})
	if jobs := fake.Jobs("Job"); len(jobs) != 1 || !jobs[0].Scheduled || jobs[0].Queue != "low" || len(fake.Jobs()) != 2 {
		t.Errorf("%+v", jobs)
	}
	if _, err := fake.Drain(ctx, mux); err == nil || !strings.Contains(err.Error(), "Other") {
		t.Errorf("a class without a handler: %v", err)
	}
	if n, err := fake.Drain(ctx, mux); n != 1 || err != nil {
		t.Error(n, err)
	}
	if fmt.Sprint(got) != "[{1 2.5} {2 1}]" || len(fake.Jobs()) != 0 {
		t.Errorf("ran %v", got)
	}
}

func TestInlineRunsAtThePushAndReturnsTheError(t *testing.T) {
	mux := worker.NewMux()
	boom := errors.New("boom")
	worker.Handle(mux, "Job", func(context.Context, args) error { return boom })
	_, err := queue.NewClient(&workertest.Inline{Mux: mux}).Push(t.Context(), "Job", []any{1, 2.0}, queue.Options{})
	if !errors.Is(err, boom) {
		t.Error(err)
	}
	_, err = queue.NewClient(&workertest.Inline{Mux: mux}).Push(t.Context(), "Job", []any{1}, queue.Options{})
	if err == nil || !strings.Contains(err.Error(), "wrong number of arguments") {
		t.Error(err)
	}
}

func TestAWorkerRunsOnTheRedisInTheTestsProcess(t *testing.T) {
	store := workertest.Redis(t)
	mux := worker.NewMux()
	ran := make(chan int, 10)
	worker.Handle(mux, "Job", func(_ context.Context, a args) error { ran <- a.N; return nil })
	r, err := worker.New(store, worker.Config{Mux: mux, Capsules: []worker.Capsule{{Concurrency: 2, Queues: []worker.QueueWeight{{Name: "default"}, {Name: "low"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- r.Run(ctx) }()
	client := queue.NewClient(store)
	for i := range 4 { // the later ones ring a bell
		if _, err := client.Push(t.Context(), "Job", []any{i, 0.5}, queue.Options{Queue: []string{"default", "low"}[i%2]}); err != nil {
			t.Fatal(err)
		}
		if n := <-ran; n != i {
			t.Errorf("ran %d, want %d", n, i)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
