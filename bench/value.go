package main

import (
	"context"
	"fmt"
	"time"

	"rollcall/store/value"
)

// value measures how long it takes to compute what the customers of the long list are worth, and to read it.
func (s *system) value(ctx context.Context, a *asker) {
	values := value.New(s.store)
	began := time.Now()
	if !try(values.Compute(ctx, longest, time.Now())) {
		check(fmt.Errorf("another computes the figures of %s", longest))
	}
	s.add("(l) computing what customers are worth", time.Since(began).Seconds(), "s", "as each night")
	q := question{name: "reading it", api: []string{apiPath + "/value"}, pages: []string{"/store/" + longest + "/value"}}
	api, page := a.time(ctx, q, q.api, "identity"), a.time(ctx, q, q.pages, "gzip")
	s.add("    reading it, p50", percentile(api, 50), "ms", fmt.Sprintf("p99 %.1f; the page %.1f, p99 %.1f",
		percentile(api, 99), percentile(page, 50), percentile(page, 99)))
}
