package customers

import (
	"cmp"
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Lists stay fast at any length. A page is read from an index with the requested
// order, facet by facet, merged: no row is read without being shown. Other conditions
// are checked row by row on the way, which is fast unless matches are rare. So a walk
// first reads a few rows, then up to walkBudget if that promises a full page.
// Otherwise a seek finds all matches by their rarest condition and sorts them.
//
// firstSteps is the fraction of a walk's budget that is read to estimate the rest.
const firstSteps = 30

// A walk that finds all it must know in the index of its order reads light rows: several
// take as long as one that is looked up in a table.
const (
	lightRows       = 4
	lightFirstSteps = 4
)

// Customers returns a page of a store's list and the cursor of the next one, empty at
// the end. A filter that is not valid is a *pg.BadParam.
func (s *Reader) Customers(ctx context.Context, f Filter) (page []Customer, next string, err error) {
	defer pg.Wrap(&err, "customers.Customers(%q)", f.Store)
	f, after, err := f.check()
	if err != nil {
		return nil, "", err
	}
	page = []Customer{}
	if !pg.Storable(f.Store) {
		return page, "", nil
	}
	q, err := s.prepare(ctx, s.Pool, f)
	if err != nil || len(q.facets) == 0 {
		return page, "", err
	}
	rows, err := q.read(ctx, after)
	if err != nil {
		return nil, "", err
	}
	if len(rows) > f.Limit {
		rows = rows[:f.Limit]
		last := rows[f.Limit-1]
		next = pg.Position{Sort: f.Sort, Key: last.key, ID: last.id}.Encode()
	}
	if err := s.addNames(ctx, f.Store, rows); err != nil {
		return nil, "", err
	}
	for _, r := range rows {
		page = append(page, r.Customer)
	}
	return page, next, nil
}

// listQuery is a filter with what a first query found about it.
type listQuery struct {
	Filter
	*Reader
	conds   []cond   // all of them must hold
	facets  []string // to read, of those that the store has
	every   bool     // whether these are all of the store's
	passes  bool     // whether a walk may skip rows
	people  int64    // if so: about how long it may get
	idsOnly bool     // whether only ids are read
}

// prepare reads the store's facets, the segments that the filter names, and the products that its search may match.
func (s *Reader) prepare(ctx context.Context, db pg.Querier, f Filter) (*listQuery, error) {
	q := &listQuery{Filter: f, Reader: s}
	rule, err := f.AsRule()
	if err != nil {
		return nil, err
	}
	if rule, err = s.expand(ctx, db, f.Store, rule); err != nil {
		return nil, err
	}
	k := compiler{store: f.Store, now: s.now()}
	var all []string
	if all, k.sought, err = facetsAndSought(ctx, db, f.Store, rule); err != nil {
		return nil, err
	}
	q.conds = k.all(rule)
	q.facets = q.facetsOf(all)
	by, _ := orderOf(f.Sort)
	q.every = len(q.facets) == len(all)
	q.passes = slices.ContainsFunc(q.conds, func(c cond) bool { return c.facet == 0 }) || !by.facets && !q.every
	if q.passes {
		counted := all
		if by.facets {
			counted = q.facets
		}
		q.people, err = people(ctx, db, f.Store, counted)
	}
	return q, err
}

// people is the number of a store's customers in some facets, by its figures.
func people(ctx context.Context, db pg.Querier, store string, facets []string) (n int64, err error) {
	err = db.QueryRow(ctx, `
		SELECT coalesce(sum(amount), 0)::bigint
		FROM (`+allFigures+`) f
		WHERE store_id = $1 AND facet = ANY($2) AND figure = 'people'`, store, facets).Scan(&n)
	return n, err
}

// read reads the rows after a position, up to one more than the limit.
func (q *listQuery) read(ctx context.Context, after *pg.Position) (rows []listed, err error) {
	if q.passes && q.people > int64(q.WalkBudget) {
		return q.find(ctx, after)
	}
	for _, in := range q.spans(after) {
		sql, args := q.walk(in, q.Limit+1-len(rows), 0)
		more, err := q.query(ctx, sql, args)
		if rows = append(rows, more...); err != nil || len(rows) > q.Limit {
			return rows, err
		}
	}
	return rows, nil
}

// find reads rows of a list with others between: by a walk if that is fast, else by a
// seek.
func (q *listQuery) find(ctx context.Context, after *pg.Position) ([]listed, error) {
	first := q.spans(after)[0]
	all, steps := q.WalkBudget, firstSteps
	if q.reads() == readsOrder {
		all, steps = all*lightRows, lightFirstSteps
	}
	for budget := max(1, all/steps); ; budget = all {
		sql, args := q.walk(first, q.Limit+1, budget)
		rows, err := q.query(ctx, sql, args)
		if err != nil || len(rows) > q.Limit {
			return rows, err
		}
		if budget == all || len(rows)*steps <= q.Limit {
			sql, args := q.seek(after)
			return q.query(ctx, sql, args)
		}
	}
}

// query runs a statement. If rows may be skipped it is planned for its arguments, as
// the number of matches decides the best plan. Otherwise the plan is cached, because
// planning takes longer than running.
func (q *listQuery) query(ctx context.Context, sql string, args pg.Arguments) ([]listed, error) {
	if q.passes {
		args = append([]any{pgx.QueryExecModeCacheDescribe}, args...)
	}
	return pgx.CollectRows(pg.Query(ctx, q.Pool, sql, args...), scanCustomer)
}

// span is a range of an order: after a position (nil: all), with or without a key.
type span struct {
	after   *pg.Position
	without bool
}

// spans are the ranges left in the order. Rows without a key come last in both
// directions, which no single range of an index gives.
func (q *listQuery) spans(after *pg.Position) (left []span) {
	by, _ := orderOf(q.Sort)
	if after == nil || after.Key != nil {
		left = []span{{after, false}}
		after = nil
	}
	if by.null {
		left = append(left, span{after, true})
	}
	return left
}

// walk reads n rows in order and skips those that do not match; a budget other than 0
// limits the rows read.
func (q *listQuery) walk(in span, n, budget int) (string, pg.Arguments) {
	by, direction := orderOf(q.Sort)
	var args pg.Arguments
	var limit string
	switch {
	case !q.passes:
		limit = " LIMIT " + strconv.Itoa(n) // a literal: a plan for any number does not suit a few
	case budget > 0:
		limit = " LIMIT " + args.Add(budget)
	}
	sorted := " ORDER BY key" + direction + ", id" + direction
	rest := &pg.Conditions{Args: &args}
	if !by.facets && !q.every {
		rest.Add("c.facet = ANY($?)", q.facets)
	}
	q.own(rest, cond.ofOne)
	entry := &pg.Conditions{Args: &args}
	q.indexed(entry, cond.ofOne)
	if len(entry.SQL) > 0 {
		// OFFSET 0 keeps it a look-up for each row.
		rest.SQL = append(rest.SQL, "EXISTS (SELECT FROM customer_index i WHERE i.customer_id = c.id AND "+entry.String()+
			" OFFSET 0)")
	}
	from := ` (
			SELECT *
			FROM (
				` + strings.Join(q.branches(in, sorted+limit, &args), "\n\t\t\t\tUNION ALL\n\t\t\t\t") + `
			) c` + sorted + limit + `
		) c
		WHERE ` + rest.String() + sorted + " LIMIT " + strconv.Itoa(n)
	columns := selectCustomers(by.text("c.key"), lookedUp)
	switch {
	case q.idsOnly:
		return "SELECT c.id FROM" + from, args
	case q.passes && q.reads() != readsRows:
		return columns + rowsOf("SELECT c.id, c.key FROM"+from) + sorted, args
	}
	return columns + from, args
}

// rowsOf are the rows of found customers, each with its key.
func rowsOf(found string) string {
	return ` (
			SELECT
				c.*,
				f.key
			FROM (` + found + `) f
			JOIN customers c ON c.id = f.id
		) c`
}

// What a walk reads of each customer that it passes.
const (
	readsOrder   = iota // what is in the index of each order that has facets
	readsEntries        // their entry in customer_index, too
	readsRows           // their row
)

// inOrders are the columns of customers in the index of each order that has facets.
var inOrders = strings.Fields("id store_id facet first_seen_at last_activity_at spent_rank")

var columnOf = regexp.MustCompile(`\bc\.(\w+)`)

func (q *listQuery) reads() int {
	by, _ := orderOf(q.Sort)
	if !by.facets {
		return readsRows
	}
	reads := readsOrder
	for _, c := range q.conds {
		for _, column := range columnOf.FindAllStringSubmatch(c.sql, -1) {
			if c.facet == 0 && !slices.Contains(inOrders, column[1]) {
				return readsRows
			}
		}
		if c.entry || c.each != "" { // or their words
			reads = readsEntries
		}
	}
	return reads
}

// branches are the statements that read a span: one for each facet if the order has
// facets. Each ends with sorted.
func (q *listQuery) branches(in span, sorted string, args *pg.Arguments) (branches []string) {
	by, direction := orderOf(q.Sort)
	if by.keyed != nil && !in.without {
		by = *by.keyed
	}
	all := &pg.Conditions{Args: args}
	all.Add("c.store_id = $?", q.Filter.Store)
	switch {
	case by.none != "" && in.without:
		all.Add(by.none, q.Filter.Store)
		by.key = "NULL::" + by.cast // so that the order is that of the ids
	case by.null && in.without:
		all.SQL = append(all.SQL, by.key+" IS NULL")
	case by.null:
		all.SQL = append(all.SQL, by.key+" IS NOT NULL")
	}
	if by.only != "" {
		all.Add(by.only, q.Filter.Store)
	}
	q.ranged(by.key, all)
	if in.after != nil {
		all.SQL = append(all.SQL, by.after(in.after, direction, all))
	}
	columns := "c.*"
	if (q.passes || q.idsOnly) && q.reads() != readsRows {
		columns = "c." + strings.Join(inOrders, ", c.")
	}
	branch := "(SELECT " + columns + ", " + by.key + " AS key FROM " + cmp.Or(by.from, "customers c") +
		" WHERE " + all.String()
	if !by.facets {
		return []string{branch + sorted + ")"}
	}
	for _, facet := range q.facets {
		branches = append(branches, branch+" AND c.facet = "+args.Add(facet)+sorted+")")
	}
	return branches
}

// seek finds all matches, then sorts them.
func (q *listQuery) seek(after *pg.Position) (string, pg.Arguments) {
	by, direction := orderOf(q.Sort)
	var args pg.Arguments
	from, where := q.meets(&args)
	if after != nil {
		left := by.after(after, direction, where)
		switch {
		case by.null && after.Key != nil:
			left = "(" + left + " OR " + by.key + " IS NULL)"
		case by.null:
			left = by.key + " IS NULL AND " + left
		}
		where.SQL = append(where.SQL, left)
	}
	sorted := " ORDER BY key" + direction + " NULLS LAST, id" + direction
	// OFFSET 0 keeps it from being looked for in the order.
	return selectCustomers(by.text("c.key"), lookedUp) + rowsOf(`
				SELECT *
				FROM (
					SELECT
						c.id,
						`+by.key+` AS key
					FROM `+from+`
					WHERE `+where.String()+`
					OFFSET 0
				) found`+sorted+` LIMIT `+args.Add(q.Limit+1)) + sorted, args
}

// meets is the FROM and WHERE of all matching customers c. Their entries are joined if an
// index of them finds all matches, or if there is no other way.
func (q *listQuery) meets(args *pg.Arguments) (from string, where *pg.Conditions) {
	where, from = &pg.Conditions{Args: args}, "customers c"
	found := slices.ContainsFunc(q.conds, func(c cond) bool { return c.found })
	alone := func(c cond) bool { return c.entry && !found && c.alone() != "" }
	q.add(where, cond.ofAll, func(c cond) bool { return c.entry && !alone(c) })
	if len(where.SQL) > 0 {
		where.Add("i.store_id = $?", q.Filter.Store)
		from = "customer_index i JOIN customers c ON c.id = i.customer_id"
	}
	where.Add("c.store_id = $?", q.Filter.Store)
	if !q.every || from == "customers c" { // the list of all too: an index has them in order
		where.Add("c.facet = ANY($?)", q.facets)
	}
	q.own(where, cond.ofAll)
	q.add(where, cond.alone, alone)
	return from, where
}
