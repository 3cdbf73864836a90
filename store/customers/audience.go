package customers

import (
	"context"

	"rollcall/store/pg"
)

// Audience is SQL for the id and the email of all matches of f, with its arguments added
// to args. It ignores sort, cursor and limit. A filter that is not valid is a
// *pg.BadParam.
func (s *Reader) Audience(ctx context.Context, db pg.Querier, f Filter, args *pg.Arguments) (sql string, err error) {
	defer pg.Wrap(&err, "customers.Audience(%q)", f.Store)
	f.Sort, f.Cursor, f.Limit = "", "", 0
	if f, _, err = f.check(); err != nil {
		return "", err
	}
	if !pg.Storable(f.Store) {
		return "", pg.ErrNotFound
	}
	q, err := s.prepare(ctx, db, f)
	if err != nil {
		return "", err
	}
	from, where := q.meets(args)
	return `
		SELECT
			c.id,
			c.email
		FROM ` + from + `
		WHERE ` + where.String(), nil
}
