package jobs

import (
	"context"
	"net/http"

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

// Named returns a link to the span that a request's traceparent names, if it does.
// A request begins a trace of our own, linked to its sender's: one that went on
// with that would let strangers decide what is sampled, by the flag that the header
// holds and by the id that ratios are told by. (OpenTelemetry's libraries call this
// a public endpoint.)
func Named(h http.Header) []trace.Link {
	sender := trace.SpanContextFromContext(WithTraceparent(context.Background(), h.Get(traceparent)))
	if !sender.IsValid() {
		return nil
	}
	return []trace.Link{{SpanContext: sender}}
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
