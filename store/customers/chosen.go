package customers

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Chosen returns customers of a store by id, in this order, without those that are not
// there.
func (s *Reader) Chosen(ctx context.Context, storeID string, ids []int64) (all []Customer, err error) {
	defer pg.Wrap(&err, "customers.Chosen(%q)", storeID)
	rows := pg.Query(ctx, s.Pool, selectCustomers("NULL", lookedUp)+`
			unnest($2::bigint[]) WITH ORDINALITY AS chosen(id, nth)
		JOIN customers c ON c.id = chosen.id AND c.store_id = $1
		ORDER BY chosen.nth`, storeID, ids)
	found, err := pgx.CollectRows(rows, scanCustomer)
	if err != nil {
		return nil, err
	}
	if err := s.addNames(ctx, storeID, found); err != nil {
		return nil, err
	}
	for _, c := range found {
		all = append(all, c.Customer)
	}
	return all, nil
}
