// Package tracing records pushes and runs of jobs as OpenTelemetry spans. A push and all
// runs of its job, retries too, are one trace. The trace's context is stored in the job's
// fields traceparent and tracestate, as OpenTelemetry's instrumentation of Sidekiq does, so
// a trace continues between Ruby and Go.
//
// A program that does not import this package does not link OpenTelemetry. Another one adds
// two middlewares:
//
//	client := queue.NewClient(store, tracing.Push(provider))
//	mux.Use(tracing.Run(provider))
package tracing

import (
	"context"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// scope is the name of the tracer.
const scope = "github.com/kyujobs/kyu/tracing"

// w3c writes and reads the context in the format W3C Trace Context.
var w3c propagation.TraceContext

// Push returns a middleware that records a span for each push, named "push CLASS", and puts
// its context into the job. It also records a push that a later middleware refuses.
func Push(p trace.TracerProvider) queue.ClientMiddleware {
	tracer := p.Tracer(scope)
	return func(ctx context.Context, j *queue.NewJob, next func(context.Context,
		*queue.NewJob) error) error {
		ctx, span := tracer.Start(ctx, "push "+j.Class, trace.WithSpanKind(trace.SpanKindProducer),
			trace.WithAttributes(attributes("send", j.Queue, j.Class, j.JID)...))
		defer span.End()
		carrier := propagation.MapCarrier{}
		w3c.Inject(ctx, carrier)
		// A copy: the jobs of a bulk push share a map.
		extra := make(map[string]any, len(j.Extra)+len(carrier))
		for key, value := range j.Extra {
			extra[key] = value
		}
		for key, value := range carrier {
			extra[key] = value
		}
		j.Extra = extra
		return record(span, next(ctx, j))
	}
}

// Run returns a middleware that records a span for each run, named "run CLASS", as a child
// of the push. The handler's context holds the span. A handler's error marks the span as
// failed.
func Run(p trace.TracerProvider) worker.Middleware {
	tracer := p.Tracer(scope)
	return func(next worker.Handler) worker.Handler {
		return func(ctx context.Context, j *queue.Job) error {
			class, _ := j.Unwrapped()
			ctx = w3c.Extract(ctx, fields{j})
			ctx, span := tracer.Start(ctx, "run "+class, trace.WithSpanKind(trace.SpanKindConsumer),
				trace.WithAttributes(attributes("process", j.Queue, class, j.JID)...))
			defer span.End()
			if n, failed := j.RetryCount(); failed {
				span.SetAttributes(attribute.Int("messaging.kyu.retry_count", n))
			}
			return record(span, next(ctx, j))
		}
	}
}

// attributes returns the attributes of OpenTelemetry's conventions for messaging.
func attributes(operation, queue, class, jid string) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("messaging.system", "sidekiq"),
		attribute.String("messaging.operation.type", operation),
		attribute.String("messaging.destination.name", queue),
		attribute.String("messaging.message.id", jid),
		attribute.String("messaging.sidekiq.job_class", class),
	}
}

// record marks the span as failed if err is not nil, and returns err.
func record(span trace.Span, err error) error {
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	return err
}

// fields is a propagation.TextMapCarrier that reads a job's top-level fields.
type fields struct{ job *queue.Job }

// Get returns the text of a field.
func (f fields) Get(key string) string { return f.job.String(key) }

// Set does nothing: a run does not change the job's bytes.
func (f fields) Set(string, string) {}

// Keys returns the names of the job's fields.
func (f fields) Keys() []string { return f.job.Fields() }
