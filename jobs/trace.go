package jobs

import (
	"context"
	"net/http"

	"github.com/hibiken/asynq"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// A trace is passed on as W3C Trace Context (https://www.w3.org/TR/trace-context/): in the headers
// of requests and jobs and, because jobs can be lost, in the inbox row. Only sampled traces are
// passed on.

const traceparent = "traceparent"

// Tracer returns a tracer of p; of nil, one that records nothing.
func Tracer(p trace.TracerProvider, name string) trace.Tracer {
	if p == nil {
		p = noop.NewTracerProvider()
	}
	return p.Tracer(name)
}

// Traceparent returns the traceparent header of ctx's span, or "" without a sampled trace.
func Traceparent(ctx context.Context) string { return headers(ctx)[traceparent] }

// WithTraceparent returns ctx in the span that a traceparent names. An invalid one changes nothing.
func WithTraceparent(ctx context.Context, named string) context.Context {
	if named == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{traceparent: named})
}

// InTrace returns ctx in the span that enqueued the job, if there was one.
func InTrace(ctx context.Context, t *asynq.Task) context.Context {
	return WithTraceparent(ctx, t.Headers()[traceparent])
}

// Named returns a link to the span in a request's traceparent header, if there is one. A request
// begins its own trace, which only links to the sender's. If it continued the sender's trace,
// strangers could control sampling, by the flag in the header or by the trace id. (OpenTelemetry
// calls this a public endpoint.)
func Named(h http.Header) []trace.Link {
	sender := trace.SpanContextFromContext(WithTraceparent(context.Background(), h.Get(traceparent)))
	if !sender.IsValid() {
		return nil
	}
	return []trace.Link{{SpanContext: sender}}
}

// headers returns a job's headers; nil without a sampled trace.
func headers(ctx context.Context) map[string]string {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return nil
	}
	out := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, out)
	return out
}
