package status

import (
	"context"

	"rollcall/store/pg"
)

// NearestStore is the id of the store whose id or name is most like a text; empty if
// none is. It reads all stores: it is for people who mistyped one.
func (s *Reader) NearestStore(ctx context.Context, text string) (id string, err error) {
	defer pg.Wrap(&err, "status.NearestStore")
	if !pg.Storable(text) {
		return "", nil
	}
	ids, err := pg.Column[string](ctx, s.Pool, `
		SELECT id
		FROM (
			SELECT
				id,
				greatest(similarity(id, $1), similarity(coalesce(name, ''), $1)) AS likeness
			FROM stores
		) s
		WHERE likeness > 0.3
		ORDER BY
			likeness DESC,
			id
		LIMIT 1`, text)
	if len(ids) > 0 {
		id = ids[0]
	}
	return id, err
}
