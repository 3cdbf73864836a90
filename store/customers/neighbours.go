package customers

import (
	"context"
	"strconv"
	"strings"

	"rollcall/store/pg"
)

// Neighbours returns the ids of the customers before and after one in the list that f
// selects and sorts; empty at its ends. The customer need not be on that list: it
// stands where its own sort key belongs. ErrNotFound also for another store's customer.
func (s *Reader) Neighbours(ctx context.Context, f Filter, id string) (previous, next string, err error) {
	defer pg.Wrap(&err, "customers.Neighbours(%q, %q)", f.Store, id)
	f.Cursor, f.Limit = "", 1
	f, _, err = f.check()
	if err != nil {
		return "", "", err
	}
	at, err := s.position(ctx, f, id)
	if err != nil {
		return "", "", err
	}
	q, err := s.prepare(ctx, s.Pool, f)
	if err != nil || len(q.facets) == 0 {
		return "", "", err
	}
	if next, _, err = q.nextTo(ctx, at); err != nil {
		return "", "", err
	}
	if q.Sort = "-" + f.Sort; strings.HasPrefix(f.Sort, "-") { // the same order, backwards
		q.Sort = f.Sort[1:]
	}
	previous, keyed, err := q.nextTo(ctx, at)
	switch {
	case err != nil:
		return "", "", err
	case at.Key != nil && !keyed: // rows without a key come last, not first
		previous = ""
	case at.Key == nil && previous == "": // the first without a key comes after the last with one
		if previous, keyed, err = q.nextTo(ctx, nil); !keyed {
			previous = ""
		}
	}
	return previous, next, err
}

// position is where a customer stands in the order of f.
func (s *Reader) position(ctx context.Context, f Filter, id string) (*pg.Position, error) {
	n, err := pg.CustomerID(f.Store, id)
	if err != nil {
		return nil, err
	}
	by, _ := orderOf(f.Sort)
	at := &pg.Position{ID: n}
	err = s.Pool.QueryRow(ctx, "SELECT "+by.text(by.key)+" FROM customers c WHERE c.store_id = $1 AND c.id = $2",
		f.Store, n).Scan(&at.Key)
	return at, pg.NotFound(err)
}

// nextTo returns the first customer after a position (nil: of all), and whether it has a
// sort key.
func (q *listQuery) nextTo(ctx context.Context, at *pg.Position) (id string, keyed bool, err error) {
	rows, err := q.read(ctx, at)
	if err != nil || len(rows) == 0 {
		return "", false, err
	}
	return strconv.FormatInt(rows[0].id, 10), rows[0].key != nil, nil
}
