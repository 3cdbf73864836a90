package customers

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

// Stats are the figures of a list.
type Stats struct {
	Total       int64         `json:"total"`
	Leads       int64         `json:"leads"`
	Paying      int64         `json:"paying"`
	Subscribers int64         `json:"subscribers"`
	Active      int64         `json:"active"`
	Revenue     []store.Money `json:"revenue"` // the sum of all TotalSpent; 0 if everything was refunded
}

// Learning tells how far customers are in their courses, each course of each counted.
type Learning struct {
	Enrolled, Finished int64
	progress           int64 // the sum, in thousandths of a percent
}

// Progress is the average, in percent.
func (l Learning) Progress() float64 { return float64(l.progress) / 1000 / float64(max(1, l.Enrolled)) }

// Figures are what a page shows of a list.
type Figures struct {
	Stats
	Learning
	Days []Day // on which customers were first seen, in order
}

// Day is the number of customers first seen on a day (UTC).
type Day struct {
	Date      time.Time
	Customers int64
}

// Stats counts the matches of f and sums what they spent, per currency. It ignores
// sort, cursor and limit. A filter that is not valid is a *pg.BadParam.
func (s *Reader) Stats(ctx context.Context, f Filter) (Stats, error) {
	all, err := s.Figures(ctx, f, time.Time{})
	return all.Stats, err
}

// Count is the Total of Stats. Of the matches it reads only indexes.
func (s *Reader) Count(ctx context.Context, f Filter) (n int64, err error) {
	defer pg.Wrap(&err, "customers.Count(%q)", f.Store)
	if f.Quick() {
		all, err := s.Stats(ctx, f)
		return all.Total, err
	}
	return s.count(ctx, f, func(*pg.Conditions) string { return "" })
}

// count counts the matches of f. more adds conditions on a customer c, and returns what
// follows them.
func (s *Reader) count(ctx context.Context, f Filter, more func(*pg.Conditions) string) (n int64, err error) {
	f.Sort, f.Cursor, f.Limit = "", "", 0
	if f, _, err = f.check(); err != nil || !pg.Storable(f.Store) {
		return 0, err
	}
	err = pgx.BeginTxFunc(ctx, s.Pool, pg.Bounded(s.CountTimeout), func(tx pgx.Tx) error {
		q, err := s.prepare(ctx, tx, f)
		if err != nil || len(q.facets) == 0 {
			return err
		}
		var args pg.Arguments
		from, where := q.meets(&args)
		end := more(where)
		return tx.QueryRow(ctx, `SELECT count(*) FROM (SELECT FROM `+from+` WHERE `+where.String()+end+`) c`,
			append([]any{pgx.QueryExecModeCacheDescribe}, args...)...).Scan(&n)
	})
	return n, err
}

// Figures are the Stats of f and, unless since is zero, how far matches are in their
// courses, and from the day of since on the days on which they were first seen.
func (s *Reader) Figures(ctx context.Context, f Filter, since time.Time) (all Figures, err error) {
	defer pg.Wrap(&err, "customers.Figures(%q)", f.Store)
	all.Revenue = []store.Money{}
	f.Sort, f.Cursor, f.Limit = "", "", 0
	if f, _, err = f.check(); err != nil || !pg.Storable(f.Store) {
		return all, err
	}
	if f.Quick() {
		err = s.stored(ctx, f, firstFigure(since), &all)
	} else {
		err = pgx.BeginTxFunc(ctx, s.Pool, pg.Bounded(s.CountTimeout), func(tx pgx.Tx) error {
			q, err := s.prepare(ctx, tx, f)
			if err != nil || len(q.facets) == 0 {
				return err
			}
			sql, args := q.counted(since)
			return all.read(tx.Query(ctx, sql, append(pg.Arguments{pgx.QueryExecModeCacheDescribe}, args...)...))
		})
	}
	slices.SortFunc(all.Revenue, func(a, b store.Money) int { return cmp.Compare(a.Currency, b.Currency) })
	return all, err
}

// read adds the figures that a statement found.
func (all *Figures) read(rows pgx.Rows, err error) error {
	if err != nil {
		return err
	}
	var figure figure
	return pg.Each(rows, []any{&figure.facet, &figure.name, &figure.amount}, func() {
		figure.addTo(all)
	})
}

// Quick tells whether the figures of f are stored; otherwise all matches are read.
func (f Filter) Quick() bool { return !f.beyondFacets() }

// firstFigure is the least name of a requested figure. Days sort before all others.
func firstFigure(since time.Time) string {
	if since.IsZero() {
		return "day:~"
	}
	return "day:" + since.UTC().Format(time.DateOnly)
}

// stored reads the stored figures from a name on, folded or not. Only people are told
// apart by facet: there are many days.
func (s *Reader) stored(ctx context.Context, f Filter, first string, all *Figures) error {
	rule, err := f.AsRule()
	if err != nil {
		return err
	}
	var args pg.Arguments
	where := &pg.Conditions{Args: &args}
	where.Add("store_id = $?", f.Store)
	where.Add("figure >= $?", first)
	for _, c := range (compiler{}).all(rule) { // they are all on the facet
		where.Add("split_part(facet, '/', "+strconv.Itoa(c.facet)+") = ANY($?::text[])", c.values)
	}
	return all.read(s.Pool.Query(ctx, `
		SELECT CASE WHEN figure = 'people' THEN facet ELSE '' END AS facet, figure, minor_units(sum(amount))
		FROM (`+allFigures+`) f
		WHERE `+where.String()+`
		GROUP BY 1, 2
		ORDER BY figure`, args...))
}

// allFigures are the stored figures, folded or not.
const allFigures = `
			SELECT store_id, facet, figure, amount FROM customer_figures
			UNION ALL
			SELECT store_id, facet, figure, amount FROM customer_figure_changes`

// counted calculates the same figures from the matches. Few customers spend in several
// currencies: their further currencies are added separately, so that one pass over the
// others stays fast.
func (q *listQuery) counted(since time.Time) (string, pg.Arguments) {
	var args pg.Arguments
	from, where := q.meets(&args)
	these := from + `
			WHERE ` + where.String()
	more := ""
	if !since.IsZero() {
		more = `
		UNION ALL
		SELECT '', l.figure, minor_units(sum(l.amount))
		FROM (
			SELECT c.courses
			FROM ` + these + `
		) c
		CROSS JOIN LATERAL figures_of(NULL, '[]', c.courses) l
		WHERE l.figure <> 'people'
		GROUP BY 2
		UNION ALL
		SELECT '', 'day:' || to_char(c.first_seen_at AT TIME ZONE 'UTC', 'YYYY-MM-DD'), count(*)
		FROM ` + these + `
			  AND isfinite(c.first_seen_at)
			  AND c.first_seen_at >= ` + args.Add(since.UTC().Truncate(24*time.Hour)) + `
		GROUP BY 2`
	}
	return `
		WITH first AS (
			SELECT
				c.facet,
				c.spent -> 0 ->> 'currency' AS currency,
				count(*) AS people,
				minor_units(sum((c.spent -> 0 ->> 'amount')::bigint)) AS amount
			FROM ` + these + `
			GROUP BY 1, 2
		)
		SELECT facet, 'people' AS figure, people FROM first
		UNION ALL
		SELECT facet, 'spent:' || currency, amount FROM first WHERE currency IS NOT NULL
		UNION ALL
		SELECT '', 'spent:' || m.currency, minor_units(sum(m.amount))
		FROM (
			SELECT c.spent - 0 AS others
			FROM ` + these + `
			  AND jsonb_array_length(c.spent) > 1
		) c
		CROSS JOIN LATERAL jsonb_to_recordset(c.others) AS m(amount bigint, currency text)
		GROUP BY 2` + more + `
		ORDER BY figure`, args
}

// figure is a stored figure.
type figure struct {
	facet, name string
	amount      int64
}

// addTo adds the figure to all.
func (f figure) addTo(all *Figures) {
	kind, of, _ := strings.Cut(f.name, ":")
	switch kind {
	case "people":
		all.add(f.facet, f.amount)
	case "spent":
		all.money(of).Add(f.amount)
	case "payers":
		if f.amount > 0 {
			all.money(of)
		}
	case "enrolled":
		all.Enrolled = f.amount
	case "finished":
		all.Finished = f.amount
	case "progress":
		all.progress = f.amount
	case "day":
		if date, err := time.Parse(time.DateOnly, of); err == nil {
			all.Days = append(all.Days, Day{date, f.amount})
		}
	}
}

// add counts customers of a facet.
func (st *Stats) add(facet string, people int64) {
	is := strings.Split(facet, "/")
	st.Total += people
	switch is[0] {
	case "lead":
		st.Leads += people
	case "paying":
		st.Paying += people
	case "subscription":
		st.Subscribers += people
	}
	if is[1] == "active" {
		st.Active += people
	}
}

// money is the revenue in a currency.
func (st *Stats) money(currency string) *store.Money {
	i := slices.IndexFunc(st.Revenue, func(m store.Money) bool { return m.Currency == currency })
	if i < 0 {
		i = len(st.Revenue)
		st.Revenue = append(st.Revenue, store.Money{Currency: currency})
	}
	return &st.Revenue[i]
}
