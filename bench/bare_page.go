package main

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// The first page of a list as somebody would write it who needs no other: an
// index in just this order, the rows, and what things are called. The schema has
// no such index, as its own serves every filter by type, status and source too;
// this one is made for the measurement.
const (
	barePageIndex = `CREATE INDEX bare_page ON customers (store_id, last_activity_at DESC NULLS LAST, id DESC)`
	barePageSQL   = `
		SELECT
			id,
			email,
			name,
			image_url,
			type,
			status,
			source_kind,
			source_product_id,
			spent,
			refunded,
			first_seen_at,
			last_activity_at,
			last_activity,
			courses,
			purchases,
			subscriptions
		FROM customers
		WHERE store_id = $1
		ORDER BY last_activity_at DESC NULLS LAST, id DESC
		LIMIT 51`
	bareTitlesSQL = `SELECT id, title FROM products WHERE store_id = $1`
)

// barePerson is a row of it; its JSON is left as it comes.
type barePerson struct {
	ID                                int64
	Email                             string
	Name, Image                       *string
	Type, Status                      string
	Source, SourceProduct             *string
	Spent, Refunded                   []byte
	FirstSeen, LastActivity           *time.Time
	Activity                          *string
	Courses, Purchases, Subscriptions []byte
}

// besideBarePage compares the first page, as it was answered, with the bare one.
func (s *system) besideBarePage(ctx context.Context, r *Report) error {
	if _, err := s.pool.Exec(ctx, barePageIndex); err != nil {
		return err
	}
	var each []time.Duration
	for range often {
		began := time.Now()
		if err := s.barePage(ctx); err != nil {
			return err
		}
		each = append(each, time.Since(began))
	}
	if _, err := s.pool.Exec(ctx, `DROP INDEX bare_page`); err != nil {
		return err
	}
	bare, first := percentile(each, 0.50), r.Lists[0]
	r.add("    bare first page, p50", bare, "ms", "two plain queries by pgx")
	r.add("    p99", percentile(each, 0.99), "ms", "")
	r.add("    ratio of the API", first.API.P50/bare, "×", fmt.Sprintf("aim: < %d", aimRatio))
	r.add("    ratio of the page", first.Page.P50/bare, "×", "")
	return nil
}

func (s *system) barePage(ctx context.Context) error {
	rows, err := s.pool.Query(ctx, barePageSQL, longest)
	if err != nil {
		return err
	}
	if _, err := pgx.CollectRows(rows, pgx.RowToStructByPos[barePerson]); err != nil {
		return err
	}
	titles, err := s.pool.Query(ctx, bareTitlesSQL, longest)
	if err != nil {
		return err
	}
	_, err = pgx.CollectRows(titles, pgx.RowToStructByPos[struct{ ID, Title string }])
	return err
}
