package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"rollcall/store/pg"
)

// A log that is given an error writes its plain text, under whatever name.
func TestPlainErrors(t *testing.T) {
	var out strings.Builder
	log := slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{ReplaceAttr: pg.PlainErrors}))
	raised := &pgconn.PgError{Severity: "ERROR", Code: "P0001", Message: "no place for ava"}
	log.With("before", errors.New("ava@x.example")).Warn("failed", "error", fmt.Errorf("a: %w", raised), "none",
		error(nil), "n", 7, "any", []int{1})
	_, line, _ := strings.Cut(out.String(), " ")
	if want := "level=WARN msg=failed before=… error=\"a: SQLSTATE P0001\" none=<nil> n=7 any=[1]\n"; line != want {
		t.Errorf("it wrote %q, want %q", line, want)
	}
}

// What a log may hold of an error, and what others may read in a trace.
func TestErrorsInPublic(t *testing.T) {
	quotes := &pgconn.PgError{Severity: "ERROR", Code: "22P02",
		Message: `invalid input syntax for type numeric: "PRIVATE"`}
	raised := &pgconn.PgError{Severity: "ERROR", Code: "P0001", Message: "no place for ava@x.example"}
	server := &pgconn.PgError{Severity: "ERROR", Code: "42P01", Message: `relation "customers" does not exist`}
	for _, c := range []struct {
		err          error
		plain, fault string
	}{
		{nil, "", ""},
		{errors.New("no luck"), "no luck", "error"},
		{fmt.Errorf("store.Apply(5): %w", quotes), "store.Apply(5): SQLSTATE 22P02", "SQLSTATE 22P02"},
		{fmt.Errorf("a: %w", &DeriveError{raised}), "a: facts are stored, customers not derived: SQLSTATE P0001",
			"SQLSTATE P0001"},
		{fmt.Errorf("a: %w", errors.Join(server, quotes)),
			"a: ERROR: relation \"customers\" does not exist (SQLSTATE 42P01)\nSQLSTATE 22P02", "SQLSTATE 42P01"},
		{errors.New(`parsing "ava@x.example" failed: <bob+1@mail.example>, x@y`), `parsing "…" failed: <…>, …`, "error"},
		{fmt.Errorf("b: %w", context.DeadlineExceeded), "b: context deadline exceeded", "timeout"},
		{fmt.Errorf("b: %w", context.Canceled), "b: context canceled", "cancelled"},
		{fmt.Errorf("b: %w", io.ErrUnexpectedEOF), "b: unexpected EOF", "unavailable"},
		{pg.ErrNotFound, "not found", "not found"},
		{fmt.Errorf("c: %w", pg.ErrAgain), "c: " + pg.ErrAgain.Error(), "again, with more locks"},
	} {
		if got := pg.Plain(c.err); got != c.plain {
			t.Errorf("Plain(%v) is %q, want %q", c.err, got, c.plain)
		}
		if got := pg.Fault(c.err); got != c.fault {
			t.Errorf("Fault(%v) is %q, want %q", c.err, got, c.fault)
		}
	}
}
