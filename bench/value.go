package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
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
	server := parentOf(query[int](ctx, s, `SELECT pg_backend_pid()`))
	cpu, began := cpuOf(server), time.Now()
	do()
	return cost{time.Since(began), cpuOf(server) - cpu}
}

// stat are the fields of /proc/n/stat behind the name: the parent is the second.
func stat(process string) []string {
	text, err := os.ReadFile("/proc/" + process + "/stat")
	if err != nil {
		return nil // it has ended
	}
	return strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
}

func parentOf(process int) string { return stat(strconv.Itoa(process))[1] }

// cpuOf is the processor's time of a process and its children, those that have ended too.
func cpuOf(process string) time.Duration {
	ticks := 0
	for _, one := range try(os.ReadDir("/proc")) {
		if fields := stat(one.Name()); fields != nil && (one.Name() == process || fields[1] == process) {
			for _, n := range fields[11:15] {
				ticks += try(strconv.Atoi(n))
			}
		}
	}
	return time.Duration(ticks) * time.Second / 100
}
