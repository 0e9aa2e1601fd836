package workertest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/kyujobs/kyu/worker"
	"github.com/kyujobs/kyu/worker/workertest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type args struct {
	N     int
	Exact float64
}

func TestFake(t *testing.T) {
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
	t.Run("keeps pushed jobs", func(t *testing.T) {
		jobs := fake.Jobs("Job")
		if len(jobs) != 1 || !jobs[0].Scheduled || jobs[0].Queue != "low" {
			t.Errorf("%+v", jobs)
		}
		if n := len(fake.Jobs()); n != 2 {
			t.Errorf("%d jobs of all classes", n)
		}
	})
	t.Run("stops to drain at an error", func(t *testing.T) {
		if _, err := fake.Drain(ctx, mux); err == nil || !strings.Contains(err.Error(), "Other") {
			t.Errorf("a class without a handler: %v", err)
		}
	})
	t.Run("drains jobs that jobs push", func(t *testing.T) {
		if n, err := fake.Drain(ctx, mux); n != 1 || err != nil {
			t.Error(n, err)
		}
		if fmt.Sprint(got) != "[{1 2.5} {2 1}]" || len(fake.Jobs()) != 0 {
			t.Errorf("ran %v", got)
		}
	})
}

func TestInline(t *testing.T) {
	mux := worker.NewMux()
	boom := errors.New("boom")
	worker.Handle(mux, "Job", func(context.Context, args) error { return boom })
	t.Run("returns the handler's error from the push", func(t *testing.T) {
		_, err := queue.NewClient(&workertest.Inline{Mux: mux}).Push(t.Context(),
			"Job", []any{1, 2.0},
			queue.Options{})
		if !errors.Is(err, boom) {
			t.Error(err)
		}
	})
	t.Run("checks the arguments at the push", func(t *testing.T) {
		_, err := queue.NewClient(&workertest.Inline{Mux: mux}).Push(t.Context(),
			"Job", []any{1},
			queue.Options{})
		if err == nil || !strings.Contains(err.Error(), "wrong number of arguments") {
			t.Error(err)
		}
	})
}

func TestRedis(t *testing.T) {
	t.Run("serves a whole worker", func(t *testing.T) {
		store := workertest.Redis(t)
		mux := worker.NewMux()
		ran := make(chan int, 10)
		worker.Handle(mux, "Job", func(_ context.Context, a args) error { ran <- a.N; return nil })
		r, err := worker.New(store, worker.Config{Mux: mux, Capsules: []worker.Capsule{
			{Concurrency: 2, Queues: []worker.QueueWeight{{Name: "default"}, {Name: "low"}}}}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Run(ctx) }()
		client := queue.NewClient(store)
		for i := range 4 { // the later ones ring a doorbell
			if _, err := client.Push(t.Context(), "Job", []any{i, 0.5},
				queue.Options{Queue: []string{"default", "low"}[i%2]}); err != nil {
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
		points, _, err := inspect.New(store).QueueHistory(t.Context(), "low", inspect.MaxHistory)
		if err != nil || len(points) == 0 || points[len(points)-1].Out != 2 {
			t.Errorf("the history of low: %v, %v", points, err)
		}
	})
}

var errBusy = errors.New("busy")

// begin makes an empty Fake, a client of it, and a Mux.
func begin() (*workertest.Fake, *queue.Client, *worker.Mux) {
	fake := &workertest.Fake{}
	return fake, queue.NewClient(fake), worker.NewMux()
}

func outcomes(runs []workertest.Run) (list []worker.Outcome) {
	for _, r := range runs {
		list = append(list, r.Outcome)
	}
	return list
}

func TestWork(t *testing.T) {
	t.Run("retries a job that fails after n⁴+15 s until it is done", func(t *testing.T) {
		fake, client, mux := begin()
		var attempts []int
		worker.Handle(mux, "Job", func(ctx context.Context, _ int) error {
			attempts = append(attempts, queue.JobFrom(ctx).Attempt())
			if len(attempts) < 3 {
				return errBusy
			}
			return nil
		})
		client.Push(t.Context(), "Job", []any{1}, queue.Options{})
		runs, err := fake.Work(t.Context(), mux)
		if err != nil || len(runs) != 3 || !errors.Is(runs[0].Err, errBusy) {
			t.Fatalf("%+v, %v", runs, err)
		}
		if want := []int{1, 2, 3}; !slices.Equal(attempts, want) {
			t.Errorf("attempts %v, want %v", attempts, want)
		}
		waits := []time.Duration{runs[1].At.Sub(runs[0].At), runs[2].At.Sub(runs[1].At)}
		if want := []time.Duration{15 * time.Second, 16 * time.Second}; !slices.Equal(waits, want) {
			t.Errorf("waits %v, want %v", waits, want)
		}
	})
	t.Run("sends a job without retries left to the dead set, with its error", func(t *testing.T) {
		fake, client, mux := begin()
		worker.Handle(mux, "Job", func(context.Context, int) error { return errBusy })
		client.Push(t.Context(), "Job", []any{1}, queue.Options{Retry: queue.RetryMax(1)})
		runs, err := fake.Work(t.Context(), mux)
		want := []worker.Outcome{worker.OutcomeRetry, worker.OutcomeDead}
		if got := outcomes(runs); err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
		if text := runs[1].String("error_message"); text != "busy" {
			t.Errorf("the job of the second run has the message %q", text)
		}
	})
}

func TestWorkOutcomes(t *testing.T) {
	t.Run("counts a snooze as no attempt, and runs jobs in order of time", func(t *testing.T) {
		fake, client, mux := begin()
		var order []string
		worker.Handle(mux, "Snoozer", func(ctx context.Context, _ int) error {
			order = append(order, fmt.Sprint("snoozer ", queue.JobFrom(ctx).Attempt()))
			if len(order) == 1 {
				return queue.Snooze(time.Minute)
			}
			return nil
		})
		worker.Handle(mux, "Later", func(context.Context, int) error {
			order = append(order, "later")
			return nil
		})
		client.Push(t.Context(), "Snoozer", []any{1}, queue.Options{})
		client.PushIn(t.Context(), 30*time.Second, "Later", []any{1}, queue.Options{})
		if _, err := fake.Work(t.Context(), mux); err != nil {
			t.Fatal(err)
		}
		if want := []string{"snoozer 1", "later", "snoozer 1"}; !slices.Equal(order, want) {
			t.Errorf("ran %q, want %q", order, want)
		}
	})
	t.Run("does not run a job that has expired when its retry is due", func(t *testing.T) {
		fake, client, mux := begin()
		worker.Handle(mux, "Job", func(context.Context, int) error { return errBusy })
		client.Push(t.Context(), "Job", []any{1}, queue.Options{Expires: time.Second})
		runs, err := fake.Work(t.Context(), mux)
		want := []worker.Outcome{worker.OutcomeRetry, worker.OutcomeExpired}
		if got := outcomes(runs); err != nil || !slices.Equal(got, want) {
			t.Errorf("%v, %v, want %v", got, err, want)
		}
	})
	t.Run("returns an error for a job that snoozes for ever", func(t *testing.T) {
		fake, client, mux := begin()
		worker.Handle(mux, "Job", func(context.Context, int) error { return queue.Snooze(1) })
		client.Push(t.Context(), "Job", []any{1}, queue.Options{})
		if _, err := fake.Work(t.Context(), mux); err == nil {
			t.Error("no error")
		}
	})
	t.Run("gives discarded, killed and unknown jobs their own outcomes", func(t *testing.T) {
		for want, class := range map[worker.Outcome]string{worker.OutcomeDropped: "Discard",
			worker.OutcomeDead: "Kill", worker.OutcomeRetry: "NoHandler"} {
			fake, client, mux := begin()
			worker.Handle(mux, "Discard", func(context.Context, int) error {
				return queue.Discard(errBusy)
			})
			worker.Handle(mux, "Kill", func(context.Context, int) error {
				return queue.Kill(errBusy)
			})
			client.Push(t.Context(), class, []any{1}, queue.Options{})
			runs, err := fake.Work(t.Context(), mux)
			if err != nil || runs[0].Outcome != want {
				t.Errorf("%s: %v, %v, want %s", class, outcomes(runs), err, want)
			}
		}
	})
}

func TestRequirePushed(t *testing.T) {
	t.Run("returns the jobs, or fails the test", func(t *testing.T) {
		fake := &workertest.Fake{}
		queue.NewClient(fake).Push(t.Context(), "Job", []any{1}, queue.Options{})
		if jobs := fake.RequirePushed(t, 1, "Job"); string(jobs[0].Args) != "[1]" {
			t.Errorf("%s", jobs[0].Args)
		}
		failed := &failing{TB: t}
		fake.RequirePushed(failed, 2, "Job")
		if !strings.Contains(failed.text, "1 jobs of class Job") {
			t.Errorf("the message is %q", failed.text)
		}
	})
}

// failing is a test that keeps the message of a failure.
type failing struct {
	testing.TB
	text string
}

func (f *failing) Helper()                           {}
func (f *failing) Fatalf(format string, args ...any) { f.text = fmt.Sprintf(format, args...) }
