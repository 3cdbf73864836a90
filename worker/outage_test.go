package worker

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// What an outage is uses up no tries of an event: Postgres away, or still to be
// migrated, or a worker that ends.
func TestOutage(t *testing.T) {
	code := func(code string) error { return fmt.Errorf("store.Apply: %w", &pgconn.PgError{Code: code}) }
	for _, c := range []struct {
		err  error
		want bool
	}{
		{code("57P01"), true}, {code("42703"), true}, {code("42883"), true}, {code("42P01"), true}, {context.Canceled, true},
		{code("23505"), false}, {code("22P02"), false}, {context.DeadlineExceeded, false}, {errors.New("no luck"), false},
	} {
		if got := outage(c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}
