package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"rollcall/store/bulk"
	"rollcall/store/customers"
	"rollcall/store/segments"
)

// many is how many customers the bulk action of the measurement tags.
const many = 100_000

// bulk measures how long it takes to tag many customers of the long list and to undo it,
// what the list takes meanwhile, and what a tag and a segment take then.
func (s *system) bulk(ctx context.Context, a *asker) {
	actions := bulk.New(s.store)
	ids := query[[]int64](ctx, s, fmt.Sprintf(`
		SELECT array_agg(id)
		FROM (SELECT id FROM customers WHERE store_id = $1 ORDER BY hashint8(id) LIMIT %d) c`, many), longest)
	began := time.Now()
	tagged := try(actions.Start(ctx, longest, bulk.Order{Action: bulk.Add, TagName: "bench", Customers: ids}, "admin"))
	meanwhile := s.doBulk(ctx, a, actions)
	s.add("(k) tagging customers", time.Since(began).Seconds(), "s", fmt.Sprintf("%d of the long list, by bulk", len(ids)))
	s.add("    the list meanwhile, p50", percentile(meanwhile, 50), "ms",
		fmt.Sprintf("p99 %.1f", percentile(meanwhile, 99)))
	rule := json.RawMessage(`{"all":[{"tag":"` + tagged.Target + `"},{"none":[{"enrollment":{"course":"course_0_1"}}]}]}`)
	segment := try(segments.New(s.store).Create(ctx, longest, segments.Segment{Name: "bench " + tagged.ID,
		Kind: segments.Dynamic, Rule: rule}, "admin"))
	for _, q := range []question{
		ofList("a tag with two more filters", []string{"tag=" + tagged.Target + "&type=paying&course=course_0_2"}),
		{name: "a segment's figures", api: under(apiPath+"/stats?segment=", []string{segment.ID})},
	} {
		each := a.time(ctx, q, q.api, "identity")
		s.add("    "+q.name, percentile(each, 50), "ms", fmt.Sprintf("p99 %.1f", percentile(each, 99)))
	}
	rule = json.RawMessage(`{"none":[{"segment":"` + segment.ID + `"},{"segment":"stuck"}]}`)
	nested := try(segments.New(s.store).Create(ctx, longest, segments.Segment{Name: "none of " + tagged.ID,
		Kind: segments.Dynamic, Rule: rule}, "admin"))
	s.segment(ctx, a, "a segment", segment.ID)
	s.segment(ctx, a, "none of two segments", nested.ID)
	for _, ready := range customers.ReadySegments {
		s.segment(ctx, a, ready.Name, ready.ID)
	}
	check(segments.New(s.store).Delete(ctx, longest, nested.ID))
	check(segments.New(s.store).Delete(ctx, longest, segment.ID))
	began = time.Now()
	try(actions.Undo(ctx, longest, tagged.ID, "admin"))
	s.doBulk(ctx, a, actions)
	s.add("    the undo of it", time.Since(began).Seconds(), "s", "")
}

// doBulk does all bulk actions, as a worker does, and asks for the list meanwhile.
func (s *system) doBulk(ctx context.Context, a *asker, actions *bulk.Bulk) (each []time.Duration) {
	done := make(chan error, 1)
	go func() {
		for {
			if worked, err := actions.Step(ctx); err != nil || !worked {
				done <- err
				return
			}
		}
	}()
	for {
		began := time.Now()
		a.get(ctx, apiPath+"/customers", "identity")
		each = append(each, time.Since(began))
		select {
		case err := <-done:
			check(err)
			return each
		default:
		}
	}
}

// segment measures the first page of a segment, and its count.
func (s *system) segment(ctx context.Context, a *asker, name, id string) {
	page := a.time(ctx, question{findsNone: true}, under(apiPath+"/customers?segment=", []string{id}), "identity")
	var counted []time.Duration
	for range 5 { // not by a page, which keeps a count for a minute
		began := time.Now()
		try(customers.New(s.store).Count(ctx, customers.Filter{Store: longest, Segment: id}))
		counted = append(counted, time.Since(began))
	}
	s.add("    "+name+", first page", percentile(page, 50), "ms", fmt.Sprintf("p99 %.1f; its count p50 %.0f, p99 %.0f",
		percentile(page, 99), percentile(counted, 50), percentile(counted, 99)))
}
