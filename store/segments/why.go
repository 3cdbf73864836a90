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
	if ready := customers.ReadySegmentOf(id); ready != nil {
		name = ready.Name
	} else if g, err := s.Segment(ctx, storeID, id); err != nil {
		return "", why, c, err
	} else {
		name = g.Name
	}
	rule := customers.Rule{About: "segment", Parts: map[string][]string{"id": {id}}}
	why, c, err = s.readers.Why(ctx, storeID, customer, rule)
	return name, why, c, err
}
