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

// Traced begins a part of the trace that ctx is in, and returns what ends it, to
// be given the part's error: defer end(&err). Where nobody traces it costs next
// to nothing, and the store needs no setting for it.
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

// Fault names the kind of an error in a word or two, which hold nothing of what
// the error is about: for traces and figures, which others may read.
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

// addresses are what looks like an address in an error's text.
var addresses = regexp.MustCompile(`[^\s"'<>(),;:=]+@[^\s"'<>(),;:=]+`)

// plainClasses are the classes of Postgres' errors whose messages speak of the
// server, of tables and of constraints, and quote no values.
var plainClasses = []string{"08", "23", "28", "3D", "40", "42", "53", "55", "57", "58"}

// Plain is an error's text as a log may hold it: without the values that
// Postgres quotes in some of its messages, for which their code stands, and
// without addresses. The rows concerned keep the whole of it.
func Plain(err error) string {
	if err == nil {
		return ""
	}
	return WithoutAddresses(unquoted(err, err.Error()))
}

// PlainErrors lets a log have Plain's text of whatever error it is given: it is
// the ReplaceAttr of the handler of every log.
func PlainErrors(_ []string, a slog.Attr) slog.Attr {
	if a.Value.Kind() == slog.KindAny {
		if err, ok := a.Value.Any().(error); ok {
			a.Value = slog.StringValue(Plain(err))
		}
	}
	return a
}

// WithoutAddresses is a text for a log, without what looks like an address.
func WithoutAddresses(text string) string {
	if !strings.Contains(text, "@") {
		return text
	}
	return addresses.ReplaceAllString(text, "…")
}

// unquoted replaces in text what Postgres says in err, and in all errors in it.
func unquoted(err error, text string) string {
	pg, ok := err.(*pgconn.PgError) //nolint:errorlint // goes through the tree itself
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
