package status

import (
	"context"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

// States of a watch, from good to bad.
const (
	OK      = "ok"
	Warning = "warning"
	Problem = "problem"
)

// Watch is the state of something that is checked every minute. Its JSON is the API's.
type Watch struct {
	Name         string     `json:"name"`  // source_silent/stripe, events_failing/stripe/invoice.paid
	State        string     `json:"state"` // ok, warning or problem
	Since        time.Time  `json:"since"` // when the state began
	Detail       string     `json:"detail"`
	Fix          string     `json:"fix"`     // commands, one per line; empty if the state is ok
	Leaning      *string    `json:"leaning"` // a new state that has not lasted long enough to count
	LeaningSince *time.Time `json:"leaning_since"`
	Changes      int64      `json:"changes"`    // number of changes of state
	CheckedAt    time.Time  `json:"checked_at"` // time of the last check
}

// Parts are the watch's kind and subject.
func (w Watch) Parts() (kind, subject string) {
	kind, subject, _ = strings.Cut(w.Name, "/")
	return kind, subject
}

// Watches lists the watches, the worst first; none before a worker's first check.
func (s *Reader) Watches(ctx context.Context) (_ []Watch, err error) {
	defer pg.Wrap(&err, "status.Watches")
	return pgx.CollectRows(pg.Query(ctx, s.Pool, watchesSQL), scanWatch)
}

const watchesSQL = `
	SELECT
		name,
		state,
		since,
		detail,
		fix,
		leaning,
		leaning_since,
		changes,
		checked_at
	FROM watches
	ORDER BY
		array_position(ARRAY['problem', 'warning', 'ok'], state),
		name`

func scanWatch(row pgx.CollectableRow) (w Watch, err error) {
	w, err = pgx.RowToStructByPos[Watch](row)
	w.Since, w.LeaningSince, w.CheckedAt = w.Since.UTC(), pg.UTC(w.LeaningSince), w.CheckedAt.UTC()
	return w, err
}

// WatchRound is one check of the watches.
type WatchRound struct {
	Now   time.Time
	Every time.Duration                  // interval, for all workers together; 0: check now
	Since time.Time                      // how far back traffic is read
	Alert bool                           // whether changes are delivered as alerts
	Next  func(Traffic, []Watch) []Watch // computes the new watches, see package watch
}

// ChangeKey identifies a change of a watch.
type ChangeKey struct {
	Watch  string `json:"watch"`
	Number int64  `json:"-"`
}

// LookAtWatches checks the watches, stores the result, and returns the changes to
// deliver. Of concurrent workers, or within one interval, only one does it; ours is false
// for the others.
func (s *Reader) LookAtWatches(ctx context.Context, r WatchRound) (ours bool, due []ChangeKey, err error) {
	defer pg.Wrap(&err, "status.LookAtWatches")
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		if ours, err = ourTurn(ctx, tx, r); err != nil || !ours {
			return err
		}
		traffic, err := readTraffic(ctx, tx, r.Since, r.Now)
		if err != nil {
			return err
		}
		rows := pg.Query(ctx, tx, watchesSQL)
		before, err := pgx.CollectRows(rows, scanWatch)
		if err != nil {
			return err
		}
		due, err = keepWatches(ctx, tx, r, before, r.Next(traffic, before))
		return err
	})
	return ours, due, err
}

// watchLock makes sure that only one worker checks.
const watchLock = `SELECT pg_try_advisory_xact_lock(hashtextextended('watches', 0))`

// ourTurn takes the lock, unless another worker has it or checked just now.
func ourTurn(ctx context.Context, tx pgx.Tx, r WatchRound) (turn bool, err error) {
	if err := tx.QueryRow(ctx, watchLock).Scan(&turn); err != nil || !turn {
		return false, err
	}
	var last *time.Time
	if err := tx.QueryRow(ctx, `SELECT max(checked_at) FROM watches`).Scan(&last); err != nil {
		return false, err
	}
	// A time far ahead comes from a wrong clock.
	return last == nil || r.Now.Sub(*last).Abs() >= r.Every*3/4, nil
}

// keepWatches stores the new watches and their changes.
func keepWatches(ctx context.Context, tx pgx.Tx, r WatchRound, before, after []Watch) (due []ChangeKey, err error) {
	was := map[string]string{}
	for _, w := range before {
		was[w.Name] = w.State
	}
	var batch pgx.Batch
	for _, w := range after {
		old, known := was[w.Name]
		if !known {
			old = OK
		}
		changed := w.State != old
		if changed {
			w.Changes++
		}
		batch.Queue(keepWatchSQL, w.Name, w.State, w.Since, w.Detail, w.Fix, w.Leaning, w.LeaningSince,
			w.Changes, w.CheckedAt)
		if !changed {
			continue
		}
		alert := "none"
		if r.Alert {
			alert, due = "due", append(due, ChangeKey{w.Name, w.Changes})
		}
		batch.Queue(`
			INSERT INTO watch_changes (watch, number, state, was, since, detail, fix, made_at, alert)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`, w.Name, w.Changes, w.State, old, w.Since, w.Detail, w.Fix, r.Now,
			alert)
	}
	store.ForgetCounts(&batch, r.Now)
	batch.Queue(`DELETE FROM watch_changes WHERE made_at < $1`, r.Now.Add(-keepChanges))
	return due, tx.SendBatch(ctx, &batch).Close()
}

// keepChanges is how long changes are kept, delivered or not.
const keepChanges = 90 * 24 * time.Hour

const keepWatchSQL = `
	INSERT INTO watches (name, state, since, detail, fix, leaning, leaning_since, changes, checked_at)
	VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
	ON CONFLICT (name) DO UPDATE SET
		state = EXCLUDED.state,
		since = EXCLUDED.since,
		detail = EXCLUDED.detail,
		fix = EXCLUDED.fix,
		leaning = EXCLUDED.leaning,
		leaning_since = EXCLUDED.leaning_since,
		changes = EXCLUDED.changes,
		checked_at = EXCLUDED.checked_at`
