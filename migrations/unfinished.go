package migrations

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// dropUnfinished drops indexes that a migration was building when it ended: they are written to and
// serve no one. If Postgres is still building one for a process that is gone, the error is that of a
// table in use.
func dropUnfinished(ctx context.Context, db *sql.DB) error {
	all, err := sources()
	if err != nil {
		return err
	}
	tables, err := unfinished(ctx, db, all)
	for _, table := range tables {
		if err == nil {
			err = dropInvalid(ctx, db, table)
		}
	}
	return err
}

// unfinished returns the tables with an index of ours that is not valid.
func unfinished(ctx context.Context, db *sql.DB, all []file) (tables []string, err error) {
	var names []string
	for _, f := range all {
		names = append(names, f.creates...)
	}
	rows, err := db.QueryContext(ctx, `
		SELECT DISTINCT t.relname
		FROM pg_index i
		JOIN pg_class c ON c.oid = i.indexrelid
		JOIN pg_class t ON t.oid = i.indrelid
		JOIN pg_namespace n ON n.oid = t.relnamespace
		WHERE NOT i.indisvalid
		  AND n.nspname = current_schema()
		  AND c.relname = ANY ($1::text[])`, names)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var table string
		if err := rows.Scan(&table); err != nil {
			return nil, err
		}
		tables = append(tables, table)
	}
	return tables, rows.Err()
}

// dropInvalid drops a table's invalid indexes. The lock is the one that building an index holds.
func dropInvalid(ctx context.Context, db *sql.DB, table string) error {
	name := pgx.Identifier{table}.Sanitize()
	_, err := db.ExecContext(ctx, fmt.Sprintf(`
		LOCK TABLE %s IN SHARE UPDATE EXCLUSIVE MODE;
		DO $$
		DECLARE
			invalid regclass;
		BEGIN
			FOR invalid IN SELECT indexrelid FROM pg_index WHERE indrelid = '%s'::regclass AND NOT indisvalid LOOP
				EXECUTE 'DROP INDEX ' || invalid;
			END LOOP;
		END $$;`, name, name))
	return err
}
