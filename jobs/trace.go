package jobs

import (
	"context"

	"github.com/hibiken/asynq"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// A trace travels as W3C Trace Context (https://www.w3.org/TR/trace-context/):
// in a request's headers, in a job's headers, and, because jobs are lost, in the
// inbox row. What is not sampled does not travel.

const traceparent = "traceparent"

// Traceparent names the span that ctx is in, as a traceparent header does; empty
// where nobody traces.
func Traceparent(ctx context.Context) string { return headers(ctx)[traceparent] }

// WithTraceparent returns ctx in the span that a traceparent names, if it does.
func WithTraceparent(ctx context.Context, named string) context.Context {
	if named == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{traceparent: named})
}

// InTrace returns ctx in the span in which a job was asked for, if there was one.
func InTrace(ctx context.Context, t *asynq.Task) context.Context {
	return WithTraceparent(ctx, t.Headers()[traceparent])
}

// headers are a job's, nil where nobody traces.
func headers(ctx context.Context) map[string]string {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return nil
	}
	out := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, out)
	return out
}
