package main

import (
	"context"
	"fmt"
	"time"

	"rollcall/store/value"
)

// bareValue is the least that the figures need: each payment is read, and added up for its customer.
const bareValue = `
	SELECT count(*), sum(net), min(first)
	FROM (
		SELECT currency, customer_id, sum(amount - refunded - disputed) AS net, min(paid_at) AS first, count(*)
		FROM payments
		WHERE store_id = $1
		  AND amount > 0
		GROUP BY currency, customer_id
	) p`

// value measures how long it takes to compute what the customers of the long list are worth, beside the bare limit, and
// to read it.
func (s *system) value(ctx context.Context, a *asker) {
	values := value.New(s.store)
	compute := func() {
		if !try(values.Compute(ctx, longest, time.Now())) {
			check(fmt.Errorf("another computes the figures of %s", longest))
		}
	}
	compute() // what an idle server has forgotten is read before
	bare := s.costs(ctx, func() { try(s.pool.Exec(ctx, bareValue, longest)) })
	whole := s.costs(ctx, compute)
	s.add("(m) computing what customers are worth", whole.time.Seconds(), "s", fmt.Sprintf(
		"%.1f s of Postgres' CPU; %d customers of %d have a forecast", whole.cpu.Seconds(),
		query[int](ctx, s, `SELECT count(DISTINCT customer_id) FROM value_people WHERE store_id = $1`, longest),
		query[int](ctx, s, `SELECT count(*) FROM customers WHERE store_id = $1`, longest)))
	s.add("    bare limit: payments by customer", bare.time.Seconds(), "s", fmt.Sprintf(
		"%.1f s of CPU: the figures cost %.1f times as much", bare.cpu.Seconds(),
		whole.cpu.Seconds()/max(bare.cpu.Seconds(), .01)))
	for _, of := range []struct{ name, path, page string }{
		{"reading it", "/value?currency=usd", "/value"},
		{"its cohorts", "/value/cohorts?currency=usd", "/value?cells=buyers"},
		{"who is expected to buy", "/value/customers", ""},
		{"who needs help", "/value/help", ""},
	} {
		q := question{name: of.name, api: []string{apiPath + of.path}, findsNone: true}
		if of.page != "" {
			q.pages = []string{"/store/" + longest + of.page}
		}
		s.ask(ctx, a, q)
	}
}

// cost is what something took.
type cost struct{ time, cpu time.Duration }

// costs is what do takes, with the processor's time of all processes of Postgres.
func (s *system) costs(ctx context.Context, do func()) cost {
	_, before := s.spent(ctx)
	began := time.Now()
	do()
	took := time.Since(began)
	_, after := s.spent(ctx)
	return cost{took, after - before}
}
