package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/customers"
)

// longest is the store of the market whose list is measured.
const longest = "store_0"

//go:embed market.sql
var marketFacts string

//go:embed market_customers.sql
var marketCustomers string

// marketChunk is how many customers one statement writes.
const marketChunk = 50_000

// loadMarket writes a market whose longest list has so many customers, and
// proves on one of its stores that it is as if it had been told.
func (s *system) loadMarket(ctx context.Context, most int) error {
	if err := s.empty(ctx); err != nil {
		return err
	}
	if err := s.writeMarket(ctx, most); err != nil {
		return err
	}
	if err := s.store.FoldFigures(ctx); err != nil {
		return err
	}
	for _, sql := range []string{`VACUUM ANALYZE`, `CHECKPOINT`} { // as the server does by itself, in time
		if _, err := s.pool.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return s.prove(ctx, most)
}

// writeMarket does it on one connection, for the temporary tables.
func (s *system) writeMarket(ctx context.Context, most int) (err error) {
	conn, err := pgx.Connect(ctx, s.servers.DatabaseURL)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(ctx)) }()
	if _, err := conn.Exec(ctx, fmt.Sprintf("SET work_mem = '256MB'; SET maintenance_work_mem = '512MB'; SET "+
		"bench.customers = '%d'", most)); err != nil {
		return err
	}
	if err := withoutIndexes(ctx, conn, []string{"users", "enrollments", "payments", "subscriptions"}, func() error {
		_, err := conn.Exec(ctx, marketFacts)
		return err
	}); err != nil {
		return err
	}
	return withoutIndexes(ctx, conn, []string{"customers", "customer_index"},
		func() error { return writeCustomers(ctx, conn) })
}

// writeCustomers writes all customers, chunk by chunk; what is kept beside them
// their triggers write.
func writeCustomers(ctx context.Context, conn *pgx.Conn) error {
	var people int
	if err := conn.QueryRow(ctx, `SELECT count(*) FROM people`).Scan(&people); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `CREATE INDEX ON people (id); ANALYZE people, users, products, enrollments, payments, subscriptions`); err != nil {
		return err
	}
	for first := 1; first <= people; first += marketChunk {
		// Planned for each chunk: a plan for any range is one for few.
		if _, err := conn.Exec(ctx, marketCustomers, pgx.QueryExecModeCacheDescribe, first, first+marketChunk-1); err != nil {
			return err
		}
	}
	_, err := conn.Exec(ctx, `SELECT setval(pg_get_serial_sequence('customers', 'id'), (SELECT max(id) FROM customers))`)
	return err
}

// withoutIndexes takes the tables' indexes away while it runs load, all but
// those of keys: to make them anew is many times as fast as to keep them up.
func withoutIndexes(ctx context.Context, conn *pgx.Conn, tables []string, load func() error) error {
	rows, err := conn.Query(ctx, `
		SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid)
		FROM pg_index i
		WHERE i.indrelid::regclass::text = ANY($1) AND NOT i.indisunique`, tables)
	if err != nil {
		return err
	}
	indexes, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Name, Definition string }])
	if err != nil {
		return err
	}
	for _, i := range indexes {
		if _, err := conn.Exec(ctx, `DROP INDEX `+i.Name); err != nil {
			return err
		}
	}
	if err := load(); err != nil {
		return err
	}
	for _, i := range indexes {
		if _, err := conn.Exec(ctx, i.Definition); err != nil {
			return err
		}
	}
	return nil
}

// prove has one of the stores audited, and the long list counted. All stores
// are drawn by the same rules.
func (s *system) prove(ctx context.Context, most int) error {
	audit, err := s.store.AuditFacts(ctx, store.AuditOptions{Store: "store_7", Examples: 3})
	if err != nil {
		return err
	}
	if !audit.Clean() || audit.Customers == 0 {
		return fmt.Errorf("the market is not what its facts come to: %+v", audit)
	}
	stats, err := customers.New(s.store).Stats(ctx, customers.Filter{Store: longest})
	if err == nil && stats.Total != int64(most) {
		err = fmt.Errorf("%d customers on the long list, not %d", stats.Total, most)
	}
	return err
}

// marketSize says how large the market is.
func (s *system) marketSize(ctx context.Context) (text string, err error) {
	var people, stores, enrollments, payments int
	var bytes float64
	err = s.pool.QueryRow(ctx, `
		SELECT
			(SELECT count(*) FROM customers),
			(SELECT count(*) FROM stores),
			(SELECT count(*) FROM enrollments WHERE store_id = $1),
			(SELECT count(*) FROM payments WHERE store_id = $1),
			pg_database_size(current_database())::float8 / 1e9`, longest).Scan(&people, &stores, &enrollments, &payments, &bytes)
	return fmt.Sprintf("with %d enrollments and %d payments; %d customers in all %d stores, %.1f GB", enrollments,
		payments, people, stores, bytes), err
}
