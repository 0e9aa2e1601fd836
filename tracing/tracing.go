// Package tracing puts pushes and runs of jobs into OpenTelemetry's traces. A push
// and the runs of its job, retries too, are one trace: its context travels in the
// job's own fields traceparent and tracestate, where OpenTelemetry's
// instrumentation of Sidekiq keeps it, so a trace goes through Ruby and Go alike.
//
// A program that does not import this package does not link OpenTelemetry.
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

// scope names this package in spans.
const scope = "github.com/kyujobs/kyu/tracing"

// w3c carries the context: W3C Trace Context.
var w3c propagation.TraceContext

// Push makes a span of every push, and puts its context into the job. A job that
// middleware further in holds back has a span all the same.
func Push(p trace.TracerProvider) queue.ClientMiddleware {
	tracer := p.Tracer(scope)
	return func(ctx context.Context, j *queue.NewJob, next func(context.Context,
		*queue.NewJob) error) error {
		ctx, span := tracer.Start(ctx, "push "+j.Class, trace.WithSpanKind(trace.SpanKindProducer),
			trace.WithAttributes(attributes("send", j.Queue, j.Class, j.JID)...))
		defer span.End()
		carrier := propagation.MapCarrier{}
		w3c.Inject(ctx, carrier)
		// of a bulk push all jobs share one
		extra := make(map[string]any, len(j.Extra)+len(carrier))
		for key, value := range j.Extra {
			extra[key] = value
		}
		for key, value := range carrier {
			extra[key] = value
		}
		j.Extra = extra
		return noted(span, next(ctx, j))
	}
}

// Run makes a span of every run, a child of the push. The handler's context
// carries it on.
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
			return noted(span, next(ctx, j))
		}
	}
}

// attributes follow OpenTelemetry's conventions for messaging.
func attributes(operation, queue, class, jid string) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("messaging.system", "sidekiq"),
		attribute.String("messaging.operation.type", operation),
		attribute.String("messaging.destination.name", queue),
		attribute.String("messaging.message.id", jid),
		attribute.String("messaging.sidekiq.job_class", class),
	}
}

// noted marks a span whose work failed.
func noted(span trace.Span, err error) error {
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	return err
}

// fields reads a job's top-level strings as a carrier.
type fields struct{ job *queue.Job }

// Get is the text of a field.
func (f fields) Get(key string) string { return f.job.String(key) }

// Set does nothing: a job's bytes are not changed by running it.
func (f fields) Set(string, string) {}

// Keys are the names of the job's fields.
func (f fields) Keys() []string { return f.job.Fields() }
