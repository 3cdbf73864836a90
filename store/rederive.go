package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Rules is the version of the rules by which facts are resolved and customers
// derived. Raise it with every change of what they come to, migrations included:
// workers then derive again what an earlier version derived.
const Rules = 6

// Derivation tells by which rules the customers are derived, and how far deriving
// them again is.
type Derivation struct {
	Rules       int        `json:"rules"`       // by which every customer is derived
	Needed      int        `json:"needed"`      // those of this program
	Facts       int64      `json:"facts"`       // looked at by the run at work, or by the last one
	Differences int64      `json:"differences"` // that it found
	LastError   *string    `json:"last_error"`  // why it does not go on
	StartedAt   *time.Time `json:"started_at"`
	FinishedAt  *time.Time `json:"finished_at"`
}

// Pending reports whether customers are yet to be derived by the program's rules.
func (d Derivation) Pending() bool { return d.Rules < d.Needed }

// Derivation reads it.
func (s *Store) Derivation(ctx context.Context) (d Derivation, err error) {
	defer pg.Wrap(&err, "store.Derivation")
	d.Needed = Rules
	err = s.Pool.QueryRow(ctx, `
		SELECT rules, facts, differences, last_error, started_at, finished_at
		FROM derivation`).Scan(&d.Rules, &d.Facts, &d.Differences, &d.LastError, &d.StartedAt, &d.FinishedAt)
	return d, err
}

// rederiving is where a run is.
type rederiving struct {
	stage string
	last  RowKey
}

// Rederive derives everything again, if that was last done by earlier rules, and
// reports whether it came to the end. A run that moved within grace is in another
// worker's hands. It goes on where the last one stopped. rest, if not nil, is
// called between two chunks.
func (s *Store) Rederive(ctx context.Context, grace time.Duration, rest func(context.Context) error) (
	finished bool, err error,
) {
	defer pg.Wrap(&err, "store.Rederive")
	at, err := s.takeRederiving(ctx, grace)
	if errors.Is(err, pgx.ErrNoRows) || pg.Outdated(err) { // nothing to do, or not yet
		return false, nil
	}
	for err == nil && !finished {
		if rest != nil {
			if err = rest(ctx); err != nil {
				break
			}
		}
		finished, at, err = s.rederiveStep(ctx, at)
	}
	if errors.Is(err, pgx.ErrNoRows) { // another goes on with it, or a rebuild did it
		return false, nil
	}
	if pg.Outdated(err) { // the schema is being upgraded: the next round goes on
		_, err = s.Pool.Exec(ctx, `UPDATE derivation SET moved_at = '-infinity' WHERE target = $1`, Rules)
		return false, err
	}
	if err != nil && !pg.Transient(err) {
		_, noted := s.Pool.Exec(ctx, `
			UPDATE derivation
			SET last_error = $1
			WHERE target = $2`, AsText(err.Error()), Rules)
		err = errors.Join(err, noted)
	}
	return finished, err
}

// takeRederiving takes the run that is to be gone on with, or begins one.
func (s *Store) takeRederiving(ctx context.Context, grace time.Duration) (at rederiving, err error) {
	err = s.Pool.QueryRow(ctx, `
		UPDATE derivation SET
			target      = $1,
			stage       = CASE WHEN target = $1 THEN stage ELSE $3 END,
			after_a     = CASE WHEN target = $1 THEN after_a ELSE '' END,
			after_b     = CASE WHEN target = $1 THEN after_b ELSE '' END,
			facts       = CASE WHEN target = $1 THEN facts ELSE 0 END,
			differences = CASE WHEN target = $1 THEN differences ELSE 0 END,
			started_at  = CASE WHEN target = $1 THEN started_at ELSE now() END,
			moved_at    = clock_timestamp()
		WHERE rules < $1
		  AND (target IS NULL OR target < $1 OR target = $1 AND moved_at < clock_timestamp() - $2::interval)
		RETURNING stage, after_a, after_b`, Rules, grace, stages[0].name).Scan(&at.stage, &at.last.A, &at.last.B)
	at.last.Kind = at.stage
	return at, err
}

// rederiveStep does a step of a rebuild and writes down where the next one begins.
// A run that another went on with meanwhile is left to them: the error is
// pgx.ErrNoRows.
func (s *Store) rederiveStep(ctx context.Context, at rederiving) (finished bool, next rederiving, err error) {
	keys, changes, err := s.rebuildStep(ctx, "", at.last, s.reattachApart)
	if err != nil {
		return false, at, err
	}
	next = at
	if len(keys) > 0 {
		next.last = keys[len(keys)-1]
	} else if i := 1 + slices.IndexFunc(stages, func(s stageOf) bool { return s.name == at.stage }); i < len(stages) {
		next = rederiving{stages[i].name, RowKey{Kind: stages[i].name}}
	} else {
		finished = true
	}
	err = s.Pool.QueryRow(ctx, `
		UPDATE derivation SET
			stage       = $5,
			after_a     = $6,
			after_b     = $7,
			facts       = facts + $8,
			differences = differences + $9,
			last_error  = NULL,
			moved_at    = clock_timestamp(),
			rules       = CASE WHEN $10 THEN target ELSE rules END,
			finished_at = CASE WHEN $10 THEN now() END,
			target      = CASE WHEN NOT $10 THEN target END
		WHERE (target, stage, after_a, after_b) = ($1, $2, $3, $4)
		RETURNING true`, Rules, at.stage, at.last.A, at.last.B, next.stage, next.last.A, next.last.B,
		len(keys), changes.Sum(), finished).Scan(new(bool))
	return finished, next, err
}

// reattachApart attaches rows. One that cannot be, because its customer cannot be
// computed, keeps back no other: audits name it.
func (s *Store) reattachApart(ctx context.Context, keys []RowKey) (changes Changes, err error) {
	changes, err = s.reattach(ctx, keys)
	switch {
	case !pg.Permanent(err):
		return changes, err
	case len(keys) == 1:
		return changes, nil
	}
	for half := range slices.Chunk(keys, (len(keys)+1)/2) {
		some, err := s.reattachApart(ctx, half)
		changes.add(some)
		if err != nil {
			return changes, err
		}
	}
	return changes, nil
}

// derived writes down that a rebuild derived everything.
func (s *Store) derived(ctx context.Context, changes Changes) error {
	_, err := s.Pool.Exec(ctx, `
		UPDATE derivation
		SET rules = $1, target = NULL, differences = $2, last_error = NULL, finished_at = now()
		WHERE rules < $1`, Rules, changes.Sum())
	return err
}

// forgetDerivation forgets where a run is, as keys of facts name people. Its stage
// begins again.
func (w *work) forgetDerivation(ctx context.Context) error {
	_, err := w.tx.Exec(ctx, `
		UPDATE derivation
		SET after_a = '', after_b = '', last_error = NULL, moved_at = '-infinity'
		WHERE target IS NOT NULL`)
	return err
}
