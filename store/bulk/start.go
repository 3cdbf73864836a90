package bulk

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/store/tags"
)

// Order is a bulk action to make.
type Order struct {
	Action string // Add or Remove
	// What is added or removed: the id of a tag or of a static segment, or the name of a
	// tag, which is made if there is none.
	Target, TagName string
	// Whom it is about: all matches of a filter or, if that is nil, the customers with
	// these ids; those of other stores are left out.
	Filter    *customers.Filter
	Customers []int64
	// Expected is how many customers the person saw, who is not to change many others;
	// nil: any number.
	Expected *int
}

// Start makes an action for workers to do. It is about all whom the order selects now: who
// comes later is not meant. author is admin, user:<Clerk id> or token:<id>. The error is
// ErrNotFound without such a tag or segment, a *pg.BadParam, or a *pg.Conflict if
// the number selected differs from the expected one by more than 1%.
func (s *Bulk) Start(ctx context.Context, storeID string, o Order, author string) (a Action, err error) {
	defer pg.Wrap(&err, "bulk.Start(%q)", storeID)
	if err := o.check(storeID); err != nil {
		return a, err
	}
	n := newAction{id: newID(), store: storeID, action: o.Action, author: author}
	if o.Filter != nil {
		n.filter = o.Filter.Values()
	}
	err = s.begin(ctx, func(tx pgx.Tx) error {
		var args pg.Arguments
		audience, err := s.audience(ctx, tx, storeID, o, &args)
		if err != nil {
			return err
		}
		count, err := n.insert(ctx, tx, audience, args)
		if err != nil {
			return err
		}
		if err := o.Compare(count); err != nil {
			return err
		}
		if o.Target == "" { // beside this transaction: a tag may stay without its customers
			o.Target, err = tags.New(s.Store).Ensure(ctx, storeID, o.TagName, author)
		}
		if err == nil {
			_, err = tx.Exec(ctx, readySQL, n.id, o.Target, count, chunk)
		}
		return err
	})
	if err != nil {
		return a, err
	}
	return s.Action(ctx, storeID, n.id)
}

// Count is how many customers an order selects now. Errors are as in Start.
func (s *Bulk) Count(ctx context.Context, storeID string, o Order) (n int, err error) {
	defer pg.Wrap(&err, "bulk.Count(%q)", storeID)
	if err := o.check(storeID); err != nil {
		return 0, err
	}
	err = s.begin(ctx, func(tx pgx.Tx) error {
		var args pg.Arguments
		audience, err := s.audience(ctx, tx, storeID, o, &args)
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, `SELECT count(*) FROM (`+audience+`) a`, planned(args)...).Scan(&n)
	})
	if err == nil {
		err = o.Compare(n)
	}
	return n, err
}

// Undo makes an action that takes back what another one changed, and only that. The error
// is ErrNotFound, or a *pg.Conflict if that one is not over, or undone already.
func (s *Bulk) Undo(ctx context.Context, storeID, id, author string) (a Action, err error) {
	defer pg.Wrap(&err, "bulk.Undo(%q, %q)", storeID, id)
	if a, err = s.Action(ctx, storeID, id); err != nil {
		return a, err
	}
	if !a.Ended() {
		return a, pg.Conflicts("wrong_status", "This action is %s. Cancel it, or wait for its end, then undo it.", a.Status)
	}
	n := newAction{id: newID(), store: storeID, action: inverse[a.Action], undoes: &a.ID, author: author}
	err = s.begin(ctx, func(tx pgx.Tx) error {
		if err := s.existing(ctx, tx, storeID, a.Target); err != nil {
			return pg.Conflicts("wrong_status", "The tag or segment of this action was deleted, so there is nothing to undo.")
		}
		count, err := n.insert(ctx, tx, `
			SELECT c.id, k.email
			FROM (SELECT DISTINCT store_id, email FROM bulk_changes WHERE bulk_id = $1) k
			LEFT JOIN customers c USING (store_id, email)`, pg.Arguments{id})
		if err == nil {
			_, err = tx.Exec(ctx, readySQL, n.id, a.Target, count, chunk)
		}
		return err
	})
	if pg.UniqueViolation(err) {
		err = pg.Conflicts("wrong_status", "This action is undone already.")
	}
	if err != nil {
		return a, err
	}
	return s.Action(ctx, storeID, n.id)
}

var inverse = map[string]string{Add: Remove, Remove: Add}

func newID() string { return "bulk_" + strings.ToLower(rand.Text()[:10]) }

// check checks an order.
func (o *Order) check(storeID string) error {
	_, known := inverse[o.Action]
	switch {
	case !known:
		return pg.Refuse("action", "%q is not known; allowed are add and remove", o.Action)
	case !pg.Storable(storeID), !pg.Storable(o.Target):
		return pg.ErrNotFound
	case (o.Target == "") == (o.TagName == ""):
		return pg.Refuse("tag", "is missing: give a tag, the name of one, or a static segment, and only one of them")
	case o.TagName != "" && o.Action == Remove:
		return pg.Refuse("tag_name", "is for tags to add: to remove one, give its id as tag")
	case o.Filter == nil && len(o.Customers) == 0:
		return pg.Refuse("customers", "are missing: give their ids, or a filter")
	case o.TagName != "":
		_, err := tags.CheckName(o.TagName)
		return err
	}
	return nil
}

// Compare refuses a number of customers that is not about the expected one, with a *pg.Conflict.
func (o Order) Compare(n int) error {
	if o.Expected == nil {
		return nil
	}
	if expected := float64(*o.Expected); 100*math.Abs(float64(n)-expected) <= expected { // no number overflows
		return nil
	}
	return pg.Conflicts("count_differs",
		"The list has %d now, and %d were expected. Nothing was changed. Look at it again, then repeat this.", n, *o.Expected)
}

// begin runs do in a transaction whose statements have as long as a count.
func (s *Bulk) begin(ctx context.Context, do func(pgx.Tx) error) error {
	return s.InTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, fmt.Sprintf(`SET LOCAL statement_timeout = %d`,
			s.CountTimeout.Milliseconds())); err != nil {
			return err
		}
		return do(tx)
	})
}

// existing is ErrNotFound without the tag or the static segment; one without an id is yet
// to be made.
func (s *Bulk) existing(ctx context.Context, tx pgx.Tx, storeID, id string) error {
	if id == "" {
		return nil
	}
	return pg.NotFound(tx.QueryRow(ctx, target(id)+` FOR KEY SHARE`, id, storeID).Scan())
}

// audience is SQL for the ids and addresses of those whom an order is about; ErrNotFound
// without its target.
func (s *Bulk) audience(ctx context.Context, tx pgx.Tx, storeID string, o Order, args *pg.Arguments) (string, error) {
	if err := s.existing(ctx, tx, storeID, o.Target); err != nil {
		return "", err
	}
	if o.Filter != nil {
		f := *o.Filter
		f.Store = storeID
		return s.readers.Audience(ctx, tx, f, args)
	}
	return `SELECT id, email FROM customers WHERE store_id = ` + args.Add(storeID) +
		` AND id = ANY(` + args.Add(o.Customers) + `)`, nil
}

// newAction is an action to be written.
type newAction struct {
	id, store, action string
	undoes            *string
	filter            map[string][]string
	author            string
}

// insert writes an action without its target, with those whom it is about, and returns
// their number. Those of a chunk are neighbours in the table of customers: a chunk that
// changes a page for each of them costs twice as much.
func (n newAction) insert(ctx context.Context, tx pgx.Tx, audience string, args pg.Arguments) (count int, err error) {
	var filter *string
	if n.filter != nil {
		text, err := json.Marshal(n.filter)
		if err != nil {
			return 0, err
		}
		filter = new(string)
		*filter = string(text)
	}
	var open int
	if err := tx.QueryRow(ctx, `
		SELECT count(*)
		FROM bulk_actions
		WHERE store_id = $1
		  AND status IN ('queued', 'running')`, n.store).Scan(&open); err != nil {
		return 0, err
	}
	if open >= maxOpen {
		return 0, pg.Conflicts("already_running",
			"%d actions of this store wait for their end. Wait for one, or cancel it.", open)
	}
	if _, err := tx.Exec(ctx, `
		INSERT INTO bulk_actions (id, store_id, action, target, filter, undoes, customers, started_by)
		VALUES ($1, $2, $3, '', $4, $5, 0, $6)`, n.id, n.store, n.action, filter, n.undoes, n.author); err != nil {
		return 0, err
	}
	people, err := tx.Exec(ctx, `
		INSERT INTO bulk_people (bulk_id, chunk, store_id, email)
		SELECT
			`+args.Add(n.id)+`,
			(row_number() OVER (ORDER BY id, email) - 1) / `+args.Add(chunk)+`,
			`+args.Add(n.store)+`,
			email
		FROM (`+audience+`) a`, planned(args)...)
	return int(people.RowsAffected()), err
}

// planned has a statement planned for its arguments: how many match decides the plan.
func planned(args pg.Arguments) []any {
	return append([]any{pgx.QueryExecModeCacheDescribe}, args...)
}

// readySQL completes an action. One about no one is done.
const readySQL = `
	UPDATE bulk_actions
	SET
		target = $2,
		customers = $3,
		chunks = ($3::int + $4::int - 1) / $4::int,
		status = CASE WHEN $3 = 0 THEN 'done' ELSE status END,
		ended_at = CASE WHEN $3 = 0 THEN now() END
	WHERE id = $1`
