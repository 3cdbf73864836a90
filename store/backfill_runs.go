package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"rollcall/facts"
)

// NewBackfill asks for a run.
type NewBackfill struct {
	Kind      string
	Options   BackfillOptions
	DryRun    bool
	ChunkSize int    // objects in a chunk; 0: as the kind has it
	StartedBy string // who asks
}

// scope is what tells runs of one kind apart that may go on at the same time.
func (n NewBackfill) scope() string {
	o := n.Options
	switch n.Kind {
	case "courses", "subscriptions":
		return o.Store
	case "convex":
		return o.File
	}
	accounts := slices.Clone(o.Accounts)
	slices.Sort(accounts)
	return strings.Join(slices.Compact(accounts), ",")
}

func (n NewBackfill) check() error {
	kind, ok := KindNamed(n.Kind)
	switch {
	case !ok:
		return badParam("kind", "%q is not one of %s", n.Kind, strings.Join(kindNames(), ", "))
	case !storable(strings.Join(append(append([]string{n.Options.Store, n.Options.File}, n.Options.Only...), n.Options.Accounts...), " ")):
		return badParam("options", "they hold bytes that are no text")
	case n.ChunkSize < 0 || n.ChunkSize > kind.Most:
		return badParam("chunk_size", "%d is not from 1 to %d, the most for %s", n.ChunkSize, kind.Most, n.Kind)
	case n.Options.AsOf != nil && time.Until(*n.Options.AsOf) > facts.MaxAhead:
		return badParam("as_of", "%s is in the future: what is read later would not count until then", n.Options.AsOf.UTC().Format(time.RFC3339))
	case n.Kind == "convex" && n.Options.File == "":
		return badParam("file", "the path of the export is needed")
	case n.Kind == "courses" || n.Kind == "subscriptions":
		return only(n, NewBackfill{Options: BackfillOptions{Store: n.Options.Store}})
	case n.Kind == "clerk":
		return only(n, NewBackfill{})
	case n.Kind == "convex":
		return only(n, NewBackfill{Options: BackfillOptions{File: n.Options.File}})
	case n.Kind == "stripe-events":
		return only(n, NewBackfill{Options: BackfillOptions{Since: n.Options.Since, Accounts: n.Options.Accounts}})
	}
	return only(n, NewBackfill{Options: BackfillOptions{Since: n.Options.Since, Accounts: n.Options.Accounts, Only: n.Options.Only}})
}

// only refuses options that the kind has no use for: what is asked for and not
// done would be taken for done.
func only(n, takes NewBackfill) error {
	o, t := n.Options, takes.Options
	for _, c := range []struct {
		name  string
		given bool
	}{
		{"store", o.Store != t.Store}, {"since", o.Since != t.Since}, {"file", o.File != t.File},
		{"only", len(o.Only) != len(t.Only)}, {"accounts", len(o.Accounts) != len(t.Accounts)},
	} {
		if c.given {
			return badParam(c.name, "a backfill of kind %s does not take it", n.Kind)
		}
	}
	return nil
}

func kindNames() (names []string) {
	for _, k := range Kinds {
		names = append(names, k.Name)
	}
	return names
}

const backfillColumns = `
	id, kind, scope, options, dry_run, status, reason, expected, seen, created, updated, unchanged,
	errors, customers, chunk_size, started_by, created_at, started_at, ended_at`

func oneBackfill(rows pgx.Rows, err error) (Backfill, error) {
	if err != nil {
		return Backfill{}, err
	}
	b, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[Backfill])
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrNotFound
	}
	return b, err
}

// StartBackfill writes a run down, with the chunk (number 0) that plans it; the
// caller then enqueues that. The error is *BadParam for what cannot be, and
// *AlreadyRunning if a run of the same kind and scope has not ended.
func (s *Store) StartBackfill(ctx context.Context, n NewBackfill) (b Backfill, err error) {
	defer wrap(&err, "store.StartBackfill(%s)", n.Kind)
	if err := n.check(); err != nil {
		return b, err
	}
	if n.ChunkSize == 0 {
		kind, _ := KindNamed(n.Kind)
		n.ChunkSize = kind.Chunk
	}
	if n.Options.AsOf == nil && n.Kind != "convex" { // an export is of its file's time
		now, err := s.Now(ctx)
		if err != nil {
			return b, err
		}
		n.Options.AsOf = &now
	}
	b, err = oneBackfill(s.pool.Query(ctx, `
		WITH started AS (
			INSERT INTO backfills (kind, scope, options, dry_run, chunk_size, started_by)
			VALUES ($1, $2, $3, $4, $5, $6)
			RETURNING *
		), plan AS (
			INSERT INTO backfill_chunks (backfill_id, number) SELECT id, 0 FROM started
		)
		SELECT`+backfillColumns+` FROM started`, n.Kind, n.scope(), n.Options, n.DryRun, n.ChunkSize, n.StartedBy))
	if uniqueViolation(err) {
		return s.alreadyRunning(ctx, n.Kind, n.scope(), n.DryRun)
	}
	return b, err
}

// alreadyRunning names the run that is in the way of another.
func (s *Store) alreadyRunning(ctx context.Context, kind, scope string, dry bool) (Backfill, error) {
	b, err := oneBackfill(s.pool.Query(ctx, `
		SELECT`+backfillColumns+`
		FROM backfills
		WHERE kind = $1 AND scope = $2 AND dry_run = $3 AND status IN ('queued', 'running', 'paused')`, kind, scope, dry))
	if err != nil {
		return b, err // ended just now
	}
	return b, &AlreadyRunning{b}
}

func uniqueViolation(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == "23505"
}

// Backfill returns a run, or ErrNotFound.
func (s *Store) Backfill(ctx context.Context, id int64) (b Backfill, err error) {
	defer wrap(&err, "store.Backfill(%d)", id)
	return oneBackfill(s.pool.Query(ctx, `SELECT`+backfillColumns+` FROM backfills WHERE id = $1`, id))
}

// Backfills lists up to limit runs, the newest first, of those before the run
// with the id given (0: from the newest).
func (s *Store) Backfills(ctx context.Context, before int64, limit int) (_ []Backfill, err error) {
	defer wrap(&err, "store.Backfills")
	rows, err := s.pool.Query(ctx, `
		SELECT`+backfillColumns+`
		FROM backfills
		WHERE $1::bigint = 0 OR id < $1::bigint
		ORDER BY id DESC
		LIMIT $2`, before, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Backfill])
}

// BackfillStream is how far a run is with one of the streams it reads.
type BackfillStream struct {
	Stream  string  `json:"stream"`
	Chunks  int64   `json:"chunks"`  // known so far
	Open    int64   `json:"open"`    // of them, still to be done
	Seen    int64   `json:"seen"`    // objects
	Waiting *string `json:"waiting"` // why an open chunk failed last and is tried again
}

// BackfillStreams tells how far a run is with each stream, in the order begun.
func (s *Store) BackfillStreams(ctx context.Context, id int64) (_ []BackfillStream, err error) {
	defer wrap(&err, "store.BackfillStreams(%d)", id)
	rows, err := s.pool.Query(ctx, `
		SELECT
			stream,
			count(*),
			count(*) FILTER (WHERE done_at IS NULL),
			coalesce(sum(objects), 0)::bigint,
			max(last_error) FILTER (WHERE done_at IS NULL)
		FROM backfill_chunks
		WHERE backfill_id = $1 AND (stream <> '' OR done_at IS NULL)
		GROUP BY stream
		ORDER BY min(number)`, id)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[BackfillStream])
}

// BackfillErrors lists up to limit of what a run could not use, and of its
// notes, in the order found, from behind the one with id after.
func (s *Store) BackfillErrors(ctx context.Context, id, after int64, limit int) (_ []BackfillError, err error) {
	defer wrap(&err, "store.BackfillErrors(%d)", id)
	rows, err := s.pool.Query(ctx, `
		SELECT id, place, what, why, note
		FROM backfill_errors
		WHERE backfill_id = $1 AND id > $2
		ORDER BY id
		LIMIT $3`, id, after, limit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (e BackfillError, err error) {
		return e, row.Scan(&e.ID, &e.Place, &e.What, &e.Why, &e.Note)
	})
}

// PauseBackfill stops a run at the end of the chunks in hand.
func (s *Store) PauseBackfill(ctx context.Context, id int64) (Backfill, error) {
	return s.order(ctx, id, `
		UPDATE backfills SET status = 'paused'
		WHERE id = $1 AND status IN ('queued', 'running')`, "queued or running")
}

// ResumeBackfill lets a run go on that was paused, or that failed for a reason
// which has been mended. The sweep asks for its chunks; if the last of them was
// done meanwhile, the run ends now.
func (s *Store) ResumeBackfill(ctx context.Context, id int64) (Backfill, error) {
	return s.order(ctx, id, `
		WITH resumed AS (
			UPDATE backfills
			SET status = CASE WHEN started_at IS NULL THEN 'queued' ELSE 'running' END,
				ended_at = NULL, reason = NULL, moved_at = '-infinity'
			WHERE id = $1 AND status IN ('paused', 'failed')
			RETURNING id
		), chunks AS (
			-- Those in hand are locked, and their holders know best.
			SELECT k.backfill_id, k.number
			FROM backfill_chunks k
			JOIN resumed ON resumed.id = k.backfill_id
			WHERE k.done_at IS NULL
			FOR UPDATE OF k SKIP LOCKED
		), ready AS (
			UPDATE backfill_chunks k SET attempts = 0, not_before = NULL
			FROM chunks
			WHERE k.backfill_id = chunks.backfill_id AND k.number = chunks.number
		)
		SELECT FROM resumed`, "paused or failed")
}

// CancelBackfill ends a run at the end of the chunks in hand. What it brought stays.
func (s *Store) CancelBackfill(ctx context.Context, id int64) (Backfill, error) {
	return s.order(ctx, id, `
		UPDATE backfills SET status = 'cancelled', ended_at = now()
		WHERE id = $1 AND status IN ('queued', 'running', 'paused', 'failed')`, "not ended")
}

// order changes a run's status by sql and returns it; *WrongStatus if it is not
// among those wanted.
func (s *Store) order(ctx context.Context, id int64, sql, want string) (b Backfill, err error) {
	defer wrap(&err, "store.order(%d)", id)
	var changed int64
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sql, id)
		if changed = tag.RowsAffected(); err != nil || changed == 0 {
			return err
		}
		_, err = (&work{tx: tx}).finish(ctx, id)
		return err
	})
	if uniqueViolation(err) {
		if b, err = s.Backfill(ctx, id); err == nil {
			b, err = s.alreadyRunning(ctx, b.Kind, b.Scope, b.DryRun)
		}
		return b, err
	}
	if err != nil {
		return b, err
	}
	b, err = s.Backfill(ctx, id)
	if err == nil && changed == 0 {
		err = &WrongStatus{ID: id, Status: b.Status, Want: want}
	}
	return b, err
}

// StripeAccounts lists the Connect accounts that stores are known by.
func (s *Store) StripeAccounts(ctx context.Context) (_ []string, err error) {
	defer wrap(&err, "store.StripeAccounts")
	rows, err := s.pool.Query(ctx, `
		SELECT DISTINCT stripe_account_id
		FROM stores
		WHERE stripe_account_id <> ''
		ORDER BY 1`)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}
