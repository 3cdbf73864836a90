package segments

import (
	"context"

	"rollcall/store/customers"
	"rollcall/store/pg"
)

// Why tells why a customer of a store is in a segment, kept or ready-made, or is not; and
// what the segment is called. ErrNotFound also for another store's.
func (s *Segments) Why(ctx context.Context, storeID, id, customer string) (name string, why customers.Why,
	c customers.Customer, err error) {
	defer pg.Wrap(&err, "segments.Why(%q, %q)", storeID, id)
	g, err := s.Segment(ctx, storeID, id)
	if err != nil {
		return "", why, c, err
	}
	rule := customers.Rule{About: "segment", Parts: map[string][]string{"id": {id}}}
	why, c, err = s.readers.Why(ctx, storeID, customer, rule)
	return g.Name, why, c, err
}
