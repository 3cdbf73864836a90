package jobs

import (
	"testing"

	"github.com/hibiken/asynq"
	"go.opentelemetry.io/otel/trace"
)

// What is sampled travels as it came; nothing else does.
func TestTraceTravels(t *testing.T) {
	const sampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for in, out := range map[string]string{
		sampled: sampled,
		"":      "",
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00": "", // not sampled
		"00-4bf92f3577b34da6a3ce929d0e0e4736-01":                  "", // torn
		"00-00000000000000000000000000000000-00f067aa0ba902b7-01": "",
	} {
		ctx := WithTraceparent(t.Context(), in)
		if got := Traceparent(ctx); got != out {
			t.Errorf("%q became %q, want %q", in, got, out)
		}
		task := asynq.NewTaskWithHeaders(TypeEvent, nil, headers(ctx))
		if got := Traceparent(InTrace(t.Context(), task)); got != out {
			t.Errorf("a job in %q is in %q, want %q", in, got, out)
		}
	}
	if ctx := WithTraceparent(t.Context(), sampled); !trace.SpanContextFromContext(ctx).IsRemote() {
		t.Error("the span is not known to be somebody else's")
	}
}
