package segments

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/customers"
	"rollcall/store/pg"
)

// lookTimeout limits the comparison of a segment: a million customers take some seconds.
const lookTimeout = `SET LOCAL statement_timeout = '60s'`

// Move is an entry to, or an exit from, a watched segment.
type Move struct {
	ID       int64
	Kind     string // in or out
	Customer *int64 // who moved; nil: no one lives at the address any more
	At       time.Time
}

// Moves returns up to limit moves of a segment behind the one with id after, the oldest
// first. ErrNotFound also for another store's segment.
func (s *Segments) Moves(ctx context.Context, storeID, id string, after int64, limit int) (all []Move, err error) {
	defer pg.Wrap(&err, "segments.Moves(%q, %q)", storeID, id)
	if _, err := s.Segment(ctx, storeID, id); err != nil {
		return nil, err
	}
	rows := pg.Query(ctx, s.Pool, `
		SELECT
			m.id,
			m.kind,
			(SELECT c.id FROM customers c WHERE c.store_id = m.store_id AND c.email = m.email),
			m.at
		FROM segment_moves m
		WHERE m.segment_id = `+rowOf+`
		  AND m.id > $3
		ORDER BY m.id
		LIMIT $4`, storeID, id, after, limit)
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (m Move, err error) {
		err = row.Scan(&m.ID, &m.Kind, &m.Customer, &m.At)
		m.At = m.At.UTC()
		return m, err
	})
}

// Mover is who entered or left a watched segment.
type Mover struct {
	Kind     string // in or out
	At       time.Time
	Customer string // id; empty: not on the list any more
	Called   string // name, or address
}

// Latest returns up to limit moves of a segment, the newest first. ErrNotFound also for
// another store's segment.
func (s *Segments) Latest(ctx context.Context, storeID, id string, limit int) (all []Mover, err error) {
	defer pg.Wrap(&err, "segments.Latest(%q, %q)", storeID, id)
	if _, err := s.Segment(ctx, storeID, id); err != nil {
		return nil, err
	}
	return pg.Structs[Mover](ctx, s.Pool, `
		SELECT
			m.kind,
			m.at,
			coalesce(c.id::text, ''),
			coalesce(nullif(c.name, ''), c.email, '')
		FROM (SELECT * FROM segment_moves WHERE segment_id = `+rowOf+` ORDER BY id DESC LIMIT $3) m
		LEFT JOIN customers c ON c.store_id = m.store_id AND c.email = m.email
		ORDER BY m.id DESC`, storeID, id, limit)
}

// Look compares the watched segment whose turn it is with its last look, which is more
// than every ago, and writes down who came and who left. It reports whether there was one.
// The first look makes no moves: it is not known when those entered.
func (s *Segments) Look(ctx context.Context, every time.Duration) (looked bool, err error) {
	defer pg.Wrap(&err, "segments.Look")
	var w watched
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lookTimeout); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `
			SELECT id, coalesce(ready, id), store_id, looked_at IS NULL
			FROM segments
			WHERE watched AND coalesce(looked_at, '-infinity') < now() - $1::interval
			ORDER BY random() -- one that fails is not in the way of the others
			LIMIT 1
			FOR NO KEY UPDATE SKIP LOCKED`, every).Scan(&w.row, &w.id, &w.store, &w.first); err != nil {
			return err
		}
		return s.compare(ctx, tx, w)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// watched is a segment in hand.
type watched struct {
	row, id, store string
	first          bool
}

func (s *Segments) compare(ctx context.Context, tx pgx.Tx, w watched) error {
	args := pg.Arguments{w.row, w.store, w.first}
	audience, err := s.readers.Audience(ctx, tx, customers.Filter{Store: w.store, Segment: w.id}, &args)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		WITH members AS MATERIALIZED (`+audience+`),
		came AS (
			INSERT INTO watched_members (segment_id, store_id, email, entered_at, first)
			SELECT $1, $2, email, now(), $3
			FROM members i
			WHERE NOT EXISTS (SELECT FROM watched_members w WHERE w.segment_id = $1 AND w.email = i.email)
			ON CONFLICT DO NOTHING
			RETURNING email
		),
		went AS (
			DELETE FROM watched_members w
			WHERE w.segment_id = $1
			  AND NOT EXISTS (SELECT FROM members i WHERE i.email = w.email)
			RETURNING email
		),
		moves AS (
			INSERT INTO segment_moves (segment_id, store_id, email, kind, at)
			SELECT $1, $2, email, 'out', now() FROM went
			UNION ALL
			SELECT $1, $2, email, 'in', now() FROM came WHERE NOT $3
		)
		UPDATE segments SET looked_at = now() WHERE id = $1`, append([]any{pgx.QueryExecModeCacheDescribe}, args...)...)
	return err
}

// Prune deletes moves of more than 90 days ago, some at a time.
func (s *Segments) Prune(ctx context.Context) (err error) {
	defer pg.Wrap(&err, "segments.Prune")
	_, err = s.Pool.Exec(ctx, `
		DELETE FROM segment_moves
		WHERE id IN (SELECT id FROM segment_moves WHERE at < now() - interval '90 days' ORDER BY at LIMIT 5000)`)
	return err
}
