package store

import (
	"context"

	"rollcall/store/pg"
)

// MaySee reports whether a Clerk user owns the store or is a member of it. Of a
// store that does not exist nobody is, by the same query.
func (s *Store) MaySee(ctx context.Context, user, store string) (may bool, err error) {
	defer pg.Wrap(&err, "store.MaySee(%q, %q)", user, store)
	if user == "" || !pg.Storable(user) || !pg.Storable(store) {
		return false, nil
	}
	err = s.Pool.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT
			FROM stores
			WHERE id = $1
			  AND (owner_user_id = $2 OR $2 = ANY(member_user_ids))
		)`, store, user).Scan(&may)
	return may, err
}
