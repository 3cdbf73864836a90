// Package firstschema makes databases of the first schema that had customers, and stores
// events as the version that had it did.
package firstschema

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"rollcall/migrations"
)

// version is the last migration of the first schema that had customers.
const version = 5

//go:embed fill.sql
var fill string

// Make migrates an empty database to the first schema, and fills it with so many customers.
func Make(ctx context.Context, url string, customers int) error {
	if _, err := migrations.UpWith(ctx, url, migrations.Options{To: version}); err != nil {
		return err
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, fmt.Sprintf("SET upgrade.size = %d;\n%s", customers, fill))
	return err
}

// Execer runs a statement: a connection, or a pool.
type Execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// Receive stores an event as the receiver of the first version did.
func Receive(ctx context.Context, db Execer, source, id, eventType string, payload []byte) error {
	_, err := db.Exec(ctx, `
		INSERT INTO webhook_events (source, event_id, type, account, api_version, livemode, occurred_at, payload)
		SELECT source, event_id, type, account, api_version, livemode, occurred_at, payload::json
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bool[], $7::timestamptz[], $8::text[])
		  AS e(source, event_id, type, account, api_version, livemode, occurred_at, payload)
		ON CONFLICT (source, event_id) DO NOTHING
		RETURNING id, source, event_id`,
		[]string{source}, []string{id}, []string{eventType}, []string{""}, []string{""}, []*bool{nil},
		[]time.Time{time.Now()}, []string{string(payload)})
	return err
}
