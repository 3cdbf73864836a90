package store

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/store/pg"
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
	values := slices.Clone(n.Options.named()[BackfillKindOf(n.Kind).Scope])
	slices.Sort(values)
	return strings.Join(slices.Compact(values), ",")
}

// check refuses options that the kind does not take, too: what is asked for and
// not done would be taken for done.
func (n NewBackfill) check() error {
	kind, named := BackfillKindOf(n.Kind), n.Options.named()
	switch asOf := n.Options.AsOf; {
	case kind.Name == "":
		return pg.Refuse("kind", "%q is not one of %s", n.Kind, strings.Join(kindNames(), ", "))
	case n.ChunkSize < 0 || n.ChunkSize > kind.Most:
		return pg.Refuse("chunk_size", "%d is not from 1 to %d, the most for %s", n.ChunkSize, kind.Most, n.Kind)
	case asOf != nil && time.Until(*asOf) > facts.MaxAhead:
		return pg.Refuse("as_of", "%s is in the future: what is read later would not count until then",
			asOf.UTC().Format(time.RFC3339))
	case kind.Needs != "" && named[kind.Needs] == nil:
		return pg.Refuse(kind.Needs, "is needed for a backfill of kind %s", n.Kind)
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if !slices.Contains(kind.Takes, name) {
			return pg.Refuse(name, "a backfill of kind %s does not take it", n.Kind)
		}
		if !pg.Storable(strings.Join(named[name], " ")) {
			return pg.Refuse(name, "holds characters that are none; send UTF-8 without NUL")
		}
	}
	return nil
}

func kindNames() (names []string) {
	for _, k := range BackfillKinds {
		names = append(names, k.Name)
	}
	return names
}

const BackfillColumns = `
	id, kind, scope, options, dry_run, status, reason, expected, seen, created, updated, unchanged,
	errors, customers, chunk_size, started_by, created_at, started_at, ended_at`

func (s *Store) oneBackfill(ctx context.Context, sql string, args ...any) (Backfill, error) {
	return pg.One(ctx, s.Pool, pgx.RowToStructByPos[Backfill], sql, args...)
}

// StartBackfill writes a run down, with the chunk (number 0) that plans it; the
// caller then enqueues that. The error is *BadParam for what cannot be, and
// *AlreadyRunning if a run of the same kind and scope has not ended.
func (s *Store) StartBackfill(ctx context.Context, n NewBackfill) (b Backfill, err error) {
	defer pg.Wrap(&err, "store.StartBackfill(%s)", n.Kind)
	if err := n.check(); err != nil {
		return b, err
	}
	if n.ChunkSize == 0 {
		n.ChunkSize = BackfillKindOf(n.Kind).Chunk
	}
	if n.Options.AsOf == nil && n.Options.File == "" { // a file has a time of its own
		now, err := s.Now(ctx)
		if err != nil {
			return b, err
		}
		n.Options.AsOf = &now
	}
	b, err = s.oneBackfill(ctx, `
		WITH started AS (
			INSERT INTO backfills (kind, scope, options, dry_run, chunk_size, started_by)
			VALUES ($1, $2, $3, $4, $5, $6)
			RETURNING *
		), plan AS (
			INSERT INTO backfill_chunks (backfill_id, number) SELECT id, 0 FROM started
		)
		SELECT`+BackfillColumns+` FROM started`, n.Kind, n.scope(), n.Options, n.DryRun, n.ChunkSize, n.StartedBy)
	if pg.UniqueViolation(err) {
		return s.alreadyRunning(ctx, n.Kind, n.scope(), n.DryRun)
	}
	return b, err
}

// alreadyRunning names the run that is in the way of another.
func (s *Store) alreadyRunning(ctx context.Context, kind, scope string, dry bool) (Backfill, error) {
	b, err := s.oneBackfill(ctx, `
		SELECT`+BackfillColumns+`
		FROM backfills
		WHERE kind = $1 AND scope = $2 AND dry_run = $3 AND status IN ('queued', 'running', 'paused')`, kind, scope, dry)
	if err != nil {
		return b, err // ended just now
	}
	return b, &AlreadyRunning{b}
}

// Backfill returns a run, or ErrNotFound.
func (s *Store) Backfill(ctx context.Context, id int64) (b Backfill, err error) {
	defer pg.Wrap(&err, "store.Backfill(%d)", id)
	return s.oneBackfill(ctx, `SELECT`+BackfillColumns+` FROM backfills WHERE id = $1`, id)
}

// FullBackfill is a run with all that is known of it. Its JSON is the API's.
type FullBackfill struct {
	Backfill
	Streams  []BackfillStream `json:"streams"`
	Passed   []Passed         `json:"passed_over"`
	Findings []BackfillError  `json:"findings"` // the first errors and notes
}

// FullBackfill returns a run with up to limit of its errors and notes, or ErrNotFound.
func (s *Store) FullBackfill(ctx context.Context, id int64, limit int) (f FullBackfill, err error) {
	if f.Backfill, err = s.Backfill(ctx, id); err != nil {
		return f, err
	}
	if f.Streams, err = s.BackfillStreams(ctx, id); err != nil {
		return f, err
	}
	if f.Passed, err = s.BackfillPassed(ctx, id); err != nil {
		return f, err
	}
	f.Findings, err = s.BackfillErrors(ctx, id, 0, limit)
	return f, err
}

// Backfills lists up to limit runs, the newest first, of those before the run
// with the id given (0: from the newest).
func (s *Store) Backfills(ctx context.Context, before int64, limit int) (_ []Backfill, err error) {
	defer pg.Wrap(&err, "store.Backfills")
	return pg.Structs[Backfill](ctx, s.Pool, `
		SELECT`+BackfillColumns+`
		FROM backfills
		WHERE $1::bigint = 0 OR id < $1::bigint
		ORDER BY id DESC
		LIMIT $2`, before, limit)
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
	defer pg.Wrap(&err, "store.BackfillStreams(%d)", id)
	return pg.Structs[BackfillStream](ctx, s.Pool, `
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
}

// BackfillErrors lists up to limit of what a run could not use, and of its
// notes, in the order found, from behind the one with id after.
func (s *Store) BackfillErrors(ctx context.Context, id, after int64, limit int) (_ []BackfillError, err error) {
	defer pg.Wrap(&err, "store.BackfillErrors(%d)", id)
	rows := pg.Query(ctx, s.Pool, `
		SELECT id, place, what, why, note
		FROM backfill_errors
		WHERE backfill_id = $1 AND id > $2
		ORDER BY id
		LIMIT $3`, id, after, limit)
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
// which has been fixed. The sweep asks for its chunks; if the last of them was
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
	defer pg.Wrap(&err, "store.order(%d)", id)
	var changed int64
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, sql, id)
		if changed = tag.RowsAffected(); err != nil || changed == 0 {
			return err
		}
		_, err = (&work{tx: tx}).finish(ctx, id)
		return err
	})
	if pg.UniqueViolation(err) {
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
	defer pg.Wrap(&err, "store.StripeAccounts")
	return pg.Column[string](ctx, s.Pool, `
		SELECT DISTINCT stripe_account_id
		FROM stores
		WHERE stripe_account_id <> ''
		ORDER BY 1`)
}

// Passed is how many objects of a stream a run passed over for one reason, or
// some field of theirs.
type Passed struct {
	Stream  string `json:"stream"` // as "users"
	Reason  string `json:"reason"` // as "without a Clerk id", to be read behind the stream
	Objects int64  `json:"objects"`
}

// BackfillPassed lists what a run has passed over, in the order of the streams' names.
func (s *Store) BackfillPassed(ctx context.Context, id int64) (_ []Passed, err error) {
	defer pg.Wrap(&err, "store.BackfillPassed(%d)", id)
	return pg.Structs[Passed](ctx, s.Pool, `
		SELECT stream, reason, objects
		FROM backfill_passed
		WHERE backfill_id = $1
		ORDER BY stream, reason`, id)
}
