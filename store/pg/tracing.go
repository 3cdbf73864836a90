package pg

import (
	"context"
	"errors"
	"log/slog"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Traced begins a span of ctx's trace. The returned function ends it with the error:
// defer end(&err). Without tracing it costs next to nothing.
func Traced(ctx context.Context, name string, attributes ...attribute.KeyValue) (context.Context, func(*error)) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, func(*error) {}
	}
	ctx, s := parent.TracerProvider().Tracer("rollcall/store").Start(ctx, name, trace.WithAttributes(attributes...))
	return ctx, func(err *error) {
		if *err != nil {
			s.SetStatus(codes.Error, Fault(*err))
		}
		s.End()
	}
}

// Fault names the kind of an error in a word or two, without its data: traces and
// metrics may be read by others.
func Fault(err error) string {
	var pg *pgconn.PgError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &pg):
		return "SQLSTATE " + pg.Code
	case errors.Is(err, ErrAgain):
		return "again, with more locks"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case Unavailable(err):
		return "unavailable"
	case errors.Is(err, ErrNotFound):
		return "not found"
	}
	return "error"
}

// addresses matches email addresses in an error's text.
var addresses = regexp.MustCompile(`[^\s"'<>(),;:=]+@[^\s"'<>(),;:=]+`)

// plainClasses are the classes of Postgres errors whose messages quote no values.
var plainClasses = []string{"08", "23", "28", "3D", "40", "42", "53", "55", "57", "58"}

// Plain is an error's text for a log, without addresses; a Postgres error that quotes
// values is replaced by its code. The rows concerned keep the full text.
func Plain(err error) string {
	if err == nil {
		return ""
	}
	return WithoutAddresses(unquoted(err, err.Error()))
}

// PlainErrors is the ReplaceAttr of every log handler: it logs errors by Plain.
func PlainErrors(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindAny {
		if err, ok := a.Value.Any().(error); ok {
			a.Value = slog.StringValue(Plain(err))
		}
	}
	return a
}

// WithoutAddresses is text for a log, without email addresses.
func WithoutAddresses(text string) string {
	if !strings.Contains(text, "@") {
		return text
	}
	return addresses.ReplaceAllString(text, "…")
}

// unquoted replaces, in text, the messages of all Postgres errors in err.
func unquoted(err error, text string) string {
	pg, ok := err.(*pgconn.PgError) //nolint:errorlint // walks the tree itself
	if ok && !slices.Contains(plainClasses, pg.Code[:min(2, len(pg.Code))]) {
		return strings.ReplaceAll(text, pg.Error(), "SQLSTATE "+pg.Code)
	}
	switch e := err.(type) { //nolint:errorlint // likewise
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			text = unquoted(inner, text)
		}
	case interface{ Unwrap() []error }:
		for _, inner := range e.Unwrap() {
			text = unquoted(inner, text)
		}
	}
	return text
}
