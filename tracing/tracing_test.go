package tracing_test

import (
	"context"
	"errors"
	"testing"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/tracing"
	"github.com/kyujobs/kyu/worker"
	"github.com/kyujobs/kyu/worker/workertest"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	oteltrace "go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func provider(t *testing.T) (*trace.TracerProvider, *tracetest.SpanRecorder) {
	spans := tracetest.NewSpanRecorder()
	p := trace.NewTracerProvider(trace.WithSpanProcessor(spans))
	t.Cleanup(func() { p.Shutdown(context.Background()) })
	return p, spans
}

func TestTrace(t *testing.T) {
	t.Run("of a push continues in its run", func(t *testing.T) {
		p, spans := provider(t)
		fake, mux := &workertest.Fake{}, worker.NewMux()
		mux.Use(tracing.Run(p))
		var inside oteltrace.SpanContext
		mux.HandleJob("Job", func(ctx context.Context, _ *queue.Job) error {
			inside = oteltrace.SpanContextFromContext(ctx)
			return errors.New("boom")
		})
		client := queue.NewClient(fake, tracing.Push(p))
		if _, err := client.Push(t.Context(), "Job", nil,
			queue.Options{Queue: "low", Extra: map[string]any{"mine": 1}}); err != nil {
			t.Fatal(err)
		}
		job := fake.Jobs()[0]
		if job.String("traceparent") == "" || job.Field("mine") != "1" {
			t.Fatalf("pushed %s", job.Raw())
		}
		if _, err := fake.Drain(t.Context(), mux); err == nil {
			t.Fatal("no error from the handler")
		}
		ended := spans.Ended()
		if len(ended) != 2 {
			t.Fatalf("%d spans", len(ended))
		}
		push, run := ended[0], ended[1]
		if push.Name() != "push Job" || run.Name() != "run Job" {
			t.Errorf("the spans are named %s and %s", push.Name(), run.Name())
		}
		if !run.Parent().Equal(push.SpanContext().WithRemote(true)) {
			t.Errorf("the parent of the run is %v, want the push %v", run.Parent(),
				push.SpanContext())
		}
		if !inside.Equal(run.SpanContext()) {
			t.Errorf("the handler has the span %v, want the run %v", inside, run.SpanContext())
		}
		if run.Status().Code != codes.Error || push.Status().Code == codes.Error {
			t.Errorf("status %v, %v", push.Status(), run.Status())
		}
	})
	t.Run("of each job of a bulk push has its own span", func(t *testing.T) {
		p, _ := provider(t)
		fake := &workertest.Fake{}
		extra := map[string]any{"mine": 1}
		if _, err := queue.NewClient(fake, tracing.Push(p)).PushBulk(t.Context(), "Job",
			[][]any{{1}, {2}}, queue.Options{Extra: extra}); err != nil {
			t.Fatal(err)
		}
		jobs := fake.Jobs()
		if jobs[0].String("traceparent") == jobs[1].String("traceparent") || len(extra) != 1 {
			t.Errorf("%s %s, the caller's map is %v", jobs[0].Raw(), jobs[1].Raw(), extra)
		}
	})
}

func TestTraceFromAJob(t *testing.T) {
	t.Run("that Ruby pushed continues in its run", func(t *testing.T) {
		p, spans := provider(t)
		mux := worker.NewMux()
		mux.Use(tracing.Run(p))
		mux.HandleJob("Job", func(context.Context, *queue.Job) error { return nil })
		const raw = `{"class":"Job","args":[],"jid":"x","retry_count":2,` +
			`"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}`
		if err := mux.Run(t.Context(), raw); err != nil {
			t.Fatal(err)
		}
		got := spans.Ended()[0].SpanContext().TraceID().String()
		if got != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("trace %s", got)
		}
	})
	t.Run("starts anew with a run whose job has a malformed context", func(t *testing.T) {
		p, spans := provider(t)
		mux := worker.NewMux()
		mux.Use(tracing.Run(p))
		mux.HandleJob("Job", func(context.Context, *queue.Job) error { return nil })
		if err := mux.Run(t.Context(),
			`{"class":"Job","args":[],"jid":"y","traceparent":"nonsense"}`); err != nil {
			t.Fatal(err)
		}
		if spans.Ended()[0].Parent().IsValid() {
			t.Error("the run has a parent")
		}
	})
}
