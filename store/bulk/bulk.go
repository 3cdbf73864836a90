// Package bulk changes the tags and static segments of many customers at once. An action
// is made with all customers that it is about, and workers do it some at a time. What is
// left of it are its rows of bulk_people, which move with the customers as their tags do. So
// it goes on after any interruption, and reaches those who were meant.
package bulk

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/store/tags"
)

const (
	chunk   = 500 // customers in one transaction: webhooks about them wait until it ends
	maxOpen = 20  // actions of a store that have not ended
)

// What an action does.
const (
	Add    = "add"
	Remove = "remove"
)

// Bulk makes, does and reads bulk actions.
type Bulk struct {
	*store.Store
	readers *customers.Reader
}

// New returns the bulk actions of all stores.
func New(s *store.Store) *Bulk { return &Bulk{s, customers.New(s)} }

// Action is a bulk action. Its JSON is the API's.
type Action struct {
	ID        string     `json:"id"`
	Action    string     `json:"action"`    // add or remove
	Target    string     `json:"target"`    // id of a tag or a static segment
	Undoes    *string    `json:"undoes"`    // id of the action that it undoes
	UndoneBy  *string    `json:"undone_by"` // id of the action that undoes it
	Customers int        `json:"customers"` // selected
	Seen      int        `json:"seen"`      // of them, done
	Changed   int        `json:"changed"`   // of them, that did not have the tag, or had it if it is removed
	Status    string     `json:"status"`    // queued, running, done, cancelled or failed
	Reason    *string    `json:"reason"`    // why it failed
	StartedBy string     `json:"started_by"`
	CreatedAt time.Time  `json:"created_at"`
	EndedAt   *time.Time `json:"ended_at"`
}

// Ended tells whether nothing more happens.
func (a Action) Ended() bool { return a.EndedAt != nil }

// Percent is how far it is.
func (a Action) Percent() int {
	if a.Customers == 0 {
		return 100
	}
	return 100 * a.Seen / a.Customers
}

// selectActions selects actions a, for a WHERE to follow.
const selectActions = `
	SELECT
		a.id,
		a.action,
		a.target,
		a.undoes,
		(SELECT b.id FROM bulk_actions b WHERE b.undoes = a.id AND b.status NOT IN ('cancelled', 'failed')),
		a.customers,
		a.seen,
		a.changed,
		a.status,
		a.reason,
		a.started_by,
		a.created_at,
		a.ended_at
	FROM bulk_actions a
	WHERE a.store_id = $1`

func scan(row pgx.CollectableRow) (a Action, err error) {
	err = row.Scan(&a.ID, &a.Action, &a.Target, &a.Undoes, &a.UndoneBy, &a.Customers, &a.Seen, &a.Changed, &a.Status,
		&a.Reason, &a.StartedBy, &a.CreatedAt, &a.EndedAt)
	a.CreatedAt, a.EndedAt = a.CreatedAt.UTC(), pg.UTC(a.EndedAt)
	return a, err
}

// Action returns an action of a store; ErrNotFound also for another store's.
func (s *Bulk) Action(ctx context.Context, storeID, id string) (a Action, err error) {
	defer pg.Wrap(&err, "bulk.Action(%q, %q)", storeID, id)
	if !pg.Storable(storeID) || !pg.Storable(id) {
		return Action{}, pg.ErrNotFound
	}
	return pg.One(ctx, s.Pool, scan, selectActions+` AND a.id = $2`, storeID, id)
}

// Latest returns up to limit actions of a store, the newest first.
func (s *Bulk) Latest(ctx context.Context, storeID string, limit int) (all []Action, err error) {
	defer pg.Wrap(&err, "bulk.Latest(%q)", storeID)
	if !pg.Storable(storeID) {
		return []Action{}, nil
	}
	return pgx.CollectRows(pg.Query(ctx, s.Pool, selectActions+` ORDER BY a.number DESC LIMIT $2`, storeID, limit), scan)
}

// Cancel ends an action after the customers in hand; what it changed stays. The error is
// ErrNotFound, or a *pg.Conflict if it has ended.
func (s *Bulk) Cancel(ctx context.Context, storeID, id string) (a Action, err error) {
	defer pg.Wrap(&err, "bulk.Cancel(%q, %q)", storeID, id)
	if a, err = s.Action(ctx, storeID, id); err != nil {
		return a, err
	}
	tag, err := s.Pool.Exec(ctx, endSQL, id, "cancelled", nil)
	if err == nil && tag.RowsAffected() == 0 {
		err = pg.Conflicts("wrong_status", "This action has ended. Undo it instead.")
	}
	if err != nil {
		return a, err
	}
	return s.Action(ctx, storeID, id)
}

// endSQL ends an action before all its customers are done.
const endSQL = `
	WITH ended AS (
		UPDATE bulk_actions
		SET
			status = $2,
			reason = $3,
			moved_at = now(),
			ended_at = now()
		WHERE id = $1
		  AND status IN ('queued', 'running')
		RETURNING id
	),
	forgotten AS (
		DELETE FROM bulk_people USING ended WHERE bulk_id = ended.id
	)
	SELECT FROM ended`

// Prune deletes actions that ended 90 days ago, some at a time: they cannot be undone any
// more.
func (s *Bulk) Prune(ctx context.Context) (err error) {
	defer pg.Wrap(&err, "bulk.Prune")
	_, err = s.Pool.Exec(ctx, `
		DELETE FROM bulk_actions
		WHERE id IN (SELECT id FROM bulk_actions WHERE ended_at < now() - interval '90 days' ORDER BY ended_at LIMIT 10)`)
	return err
}

// target is SQL for the row of the tag or static segment $1 of store $2.
func target(id string) string {
	if tags.IsSegment(id) {
		return `SELECT FROM segments WHERE id = $1 AND store_id = $2 AND kind = 'static'`
	}
	return `SELECT FROM tags WHERE id = $1 AND store_id = $2`
}
