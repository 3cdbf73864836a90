package store_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"rollcall/internal/testing/testdb"
	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/pg"
)

// lists is a database with customers to be listed, and what the test knows of
// them.
type lists struct {
	*store.Store
	conn   *pgx.Conn
	people []person
	titles map[string]map[string]string // by store, by product
}

// person is a row of customers. Order is left to the database where it is the
// one who knows: how names and addresses collate.
type person struct {
	id                         int64
	store, email, name         string
	kind, status, source       string
	seen, active               *time.Time
	spent                      int64 // usd
	courses, products          []string
	progress                   float64 // in all courses
	completed                  bool    // said so, of all courses
	nameRank, emailRank, spend int64
	expects                    *int64
}

func openLists(t testing.TB) *lists {
	t.Helper()
	address := testdb.Postgres(t)
	s, err := store.Open(t.Context(), address, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	conn, err := pgx.Connect(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return &lists{Store: s, conn: conn, titles: map[string]map[string]string{}}
}

func (l *lists) exec(t testing.TB, sql string, args ...any) {
	t.Helper()
	if _, err := l.conn.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

var (
	someStores = []string{"store_a", "store_b", "store'c"}
	someNames  = []string{"", "Ada Lovelace", "ada", "Żaneta Wójcik", "100% Real", "under_score", `back\slash`, "O'Brien",
		"Zoë O’Brien‐Żak", "Zed", "émile", "Ada Lovelace"}
)

// fill inserts people so that every key has ties, and times that are missing
// and that differ by a microsecond.
func (l *lists) fill(t testing.TB, n int) {
	t.Helper()
	for i, title := range []string{"Mixing 101", "mastering", "Żywioły_100%", `C:\beats`, "It's a bundle"} {
		for _, s := range someStores[:2] {
			id := fmt.Sprintf("%s_p%d", s, i)
			l.product(t, s, id, title)
		}
	}
	l.product(t, "store_b", "shared", "Only b calls it so")
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range n {
		s := someStores[i%3]
		p := person{store: s, email: fmt.Sprintf("user%d_%d@example.com", i%7, i), name: someNames[i%len(someNames)],
			kind: []string{"lead", "paying", "subscription"}[i/3%3], status: []string{"active", "inactive"}[i/2%2],
			source: []string{"", "free_course", "course_purchase", "product_purchase", "subscription"}[i/5%5],
			spent:  int64(i % 4 * 995), courses: []string{}, products: []string{}, progress: []float64{0, 12.5, 50, 100}[i/3%4],
			completed: i%7 == 0}
		if i%13 != 0 {
			at := base.Add(time.Duration(i%5)*time.Microsecond + time.Duration(i%3)*time.Hour)
			p.seen = &at
		}
		if i%17 != 0 {
			at := base.Add(time.Duration(i%11) * time.Microsecond)
			p.active = &at
		}
		if i%2 == 0 {
			p.courses = append(p.courses, fmt.Sprintf("%s_p%d", s, i%5), "shared")
		}
		if i%4 > 1 && s != someStores[2] {
			p.expects = store.Ptr(int64(i % 5 * 100))
		}
		if i%3 == 0 {
			p.products = append(p.products, fmt.Sprintf("%s_p%d", s, (i+1)%5))
		}
		l.insert(t, &p)
	}
	l.exec(t, `INSERT INTO value_stores (store_id, due_at, forecast_in)
		SELECT id, now(), 'usd' FROM unnest($1::text[]) id
		ON CONFLICT (store_id) DO UPDATE SET forecast_in = 'usd'`, someStores[:2])
	l.rank(t)
}

func (l *lists) product(t testing.TB, store, id, title string) {
	t.Helper()
	if l.titles[store] == nil {
		l.titles[store] = map[string]string{}
	}
	l.titles[store][id] = title
	l.exec(t, `INSERT INTO products (id, store_ref, store_id, store_ids, title, version, deleted_version)
		VALUES ($1, $2, $2, ARRAY[$2], $3, 'v', '')`, id, store, title)
}

func (l *lists) insert(t testing.TB, p *person) {
	t.Helper()
	err := l.conn.QueryRow(t.Context(), `
		INSERT INTO customers (store_id, email, name, type, status, first_seen_at, last_activity_at, spent, spent_rank,
			course_ids, product_ids, source_kind, courses)
		VALUES ($1, $2, nullif($3, ''), $4, $5, $6, $7,
			CASE WHEN $4 = 'lead' THEN '[]'
				ELSE jsonb_build_array(jsonb_build_object('amount', $8::bigint, 'currency', 'usd')) END ||
				CASE WHEN $4 = 'paying' AND $8 > 0 THEN jsonb_build_array(jsonb_build_object('amount', 7, 'currency', 'eur'))
					ELSE '[]' END,
			$8 / 100.0, $9, $10, nullif($11, ''),
			(SELECT coalesce(jsonb_agg(jsonb_build_object('id', c, 'progress', $12::float8,
				'completed_at', CASE WHEN $13 THEN '2026-01-01T00:00:00Z' END)), '[]') FROM unnest($9::text[]) c))
		RETURNING id`, p.store, p.email, p.name, p.kind, p.status, p.seen, p.active, p.spent, p.courses, p.products, p.source,
		p.progress, p.completed).Scan(&p.id)
	if err != nil {
		t.Fatal(err)
	}
	l.people = append(l.people, *p)
	if p.expects != nil {
		l.exec(t, `INSERT INTO value_people (store_id, currency, customer_id, alive, expected)
			VALUES ($1, 'usd', $2, 0.5, $3), ($1, 'eur', $2, 0.5, 1000 - $3)`, p.store, p.id, *p.expects)
	}
}

func (l *lists) rank(t testing.TB) {
	t.Helper()
	rows, err := l.conn.Query(t.Context(), `
		SELECT id, dense_rank() OVER (ORDER BY coalesce(name, email) COLLATE names), dense_rank() OVER (ORDER BY email),
			dense_rank() OVER (ORDER BY spent_rank)
		FROM customers`)
	if err != nil {
		t.Fatal(err)
	}
	var id, name, email, spend int64
	_, err = pgx.ForEachRow(rows, []any{&id, &name, &email, &spend}, func() error {
		i := slices.IndexFunc(l.people, func(p person) bool { return p.id == id })
		l.people[i].nameRank, l.people[i].emailRank, l.people[i].spend = name, email, spend
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// expected is what a list is: plainly filtered, plainly sorted.
func (l *lists) expected(f customers.Filter) (ids []string) {
	var in []person
	for _, p := range l.people {
		if l.fits(p, f) {
			in = append(in, p)
		}
	}
	slices.SortFunc(in, func(a, b person) int { return compare(a, b, cmp.Or(f.Sort, "-last_activity")) })
	for _, p := range in {
		ids = append(ids, fmt.Sprint(p.id))
	}
	return ids
}

// fold is how texts are compared: without case, accents and apostrophes, with
// one space for all that stands between words.
func fold(s string) string {
	plain := strings.Map(func(r rune) rune {
		if r >= 0x300 && r <= 0x36f || r == '\'' || r == '’' {
			return -1
		}
		if r == '-' || r == '‐' || r == ',' {
			return ' '
		}
		return r
	}, strings.ToLower(norm.NFKD.String(s)))
	return strings.Join(
		strings.Fields(strings.NewReplacer("ß", "ss", "æ", "ae", "œ", "oe", "ø", "o", "ł", "l", "đ", "d", "ı", "i", "ð",
			"d").Replace(plain)), " ")
}

func (l *lists) fits(p person, f customers.Filter) bool {
	words := strings.FieldsFunc(f.Query, func(r rune) bool { return r == ' ' || r == ',' })
	has := func(text string) bool {
		return !slices.ContainsFunc(words,
			func(w string) bool { return !strings.Contains(fold(text), fold(strings.TrimRight(w, "."))) })
	}
	found := has(p.name+" "+p.email) || slices.ContainsFunc(slices.Concat(p.courses, p.products), func(id string) bool {
		title, known := l.titles[p.store][id]
		return known && has(title)
	})
	is := func(want, value string) bool { return want == "" || want == value }
	return found && p.store == f.Store && is(f.Type, p.kind) && is(f.Status, p.status) && is(f.Source, p.source) &&
		p.learns(f) && p.buys(f) && within(p.seen, f.FirstSeenAfter, f.FirstSeenBefore) &&
		within(p.active, f.LastActivityAfter, f.LastActivityBefore)
}

// learns tells whether what f asks of courses is so.
func (p person) learns(f customers.Filter) bool {
	done := p.completed || p.progress >= 100
	number := func(text string, otherwise float64) float64 {
		if n, err := strconv.ParseFloat(text, 64); err == nil {
			return n
		}
		return otherwise
	}
	return (f.Course == "" || slices.Contains(p.courses, f.Course)) &&
		(f.NotCourse == "" || !slices.Contains(p.courses, f.NotCourse)) &&
		(f.Completed == "" || done == (f.Completed == "yes")) &&
		(f.Course == "" || p.progress >= number(f.ProgressMin, 0) && p.progress <= number(f.ProgressMax, 100))
}

// buys tells whether what f asks of products and money is so.
func (p person) buys(f customers.Filter) bool {
	least, _ := strconv.ParseFloat(f.SpentMin, 64)
	return (f.Product == "" || slices.Contains(p.products, f.Product)) &&
		(f.NotProduct == "" || !slices.Contains(p.products, f.NotProduct)) &&
		float64(p.spent) >= least*100-1e-6
}

// within tells whether at lies between two moments of RFC 3339.
func within(at *time.Time, after, before string) bool {
	from, _ := time.Parse(time.RFC3339Nano, after)
	to, _ := time.Parse(time.RFC3339Nano, before)
	return (after == "" || at != nil && !at.Before(from)) && (before == "" || at != nil && at.Before(to))
}

func compare(a, b person, sort string) int {
	name, descending := strings.CutPrefix(sort, "-")
	sign := 1
	if descending {
		sign = -1
	}
	at := map[string][2]*time.Time{"last_activity": {a.active, b.active}, "first_seen": {a.seen, b.seen}}[name]
	switch {
	case name == "spent":
		return sign * cmp.Or(cmp.Compare(a.spend, b.spend), cmp.Compare(a.id, b.id))
	case name == "name":
		return sign * cmp.Or(cmp.Compare(a.nameRank, b.nameRank), cmp.Compare(a.id, b.id))
	case name == "email":
		return sign * cmp.Compare(a.emailRank, b.emailRank)
	case name == "expected" && (a.expects == nil || b.expects == nil):
		return cmp.Or(cmp.Compare(unknown(a.expects), unknown(b.expects)), sign*cmp.Compare(a.id, b.id))
	case name == "expected":
		return sign * cmp.Or(cmp.Compare(*a.expects, *b.expects), cmp.Compare(a.id, b.id))
	case at[0] == nil && at[1] == nil:
		return sign * cmp.Compare(a.id, b.id)
	case at[0] == nil: // the unknown come last, whichever the direction
		return 1
	case at[1] == nil:
		return -1
	}
	return sign * cmp.Or(at[0].Compare(*at[1]), cmp.Compare(a.id, b.id))
}

// unknown is 1 of what is not known.
func unknown(of *int64) int {
	if of == nil {
		return 1
	}
	return 0
}

// all pages through a list.
func (l *lists) all(t interface {
	Helper()
	Fatalf(string, ...any)
}, f customers.Filter) (ids []string) {
	t.Helper()
	for range 1000 {
		page, next, err := customers.New(l.Store).Customers(context.Background(), f)
		if err != nil {
			t.Fatalf("%+v: %v", f, err)
		}
		if len(page) > f.Limit || next != "" && len(page) < f.Limit {
			t.Fatalf("%+v: a page of %d, next %q", f, len(page), next)
		}
		for _, c := range page {
			ids = append(ids, c.ID)
		}
		if next == "" {
			return ids
		}
		f.Cursor = next
	}
	t.Fatalf("%+v: paging does not end", f)
	return nil
}

var allSorts = []string{"last_activity", "-last_activity", "first_seen", "-first_seen", "spent", "-spent", "name",
	"-name", "email", "-email", "expected", "-expected"}

// Every filter is walked by every sort; every limit and budget with every filter and
// with every sort. TestCustomersRandomFilters draws from all of their combinations.
func TestCustomersEveryFilterEverySort(t *testing.T) {
	t.Parallel()
	l := openLists(t)
	l.fill(t, 150)
	filters := []customers.Filter{{}, {Type: "lead"}, {Type: "paying"}, {Type: "subscription"}, {Status: "active"},
		{Status: "inactive"},
		{Source: "free_course"}, {Source: "subscription", Type: "lead"},
		{Course: "shared"}, {Course: "store_a_p2"}, {Course: "nowhere"}, {Product: "store_a_p1"}, {NotCourse: "shared"},
		{NotProduct: "store_a_p1"},
		{Course: "shared", Completed: "yes"}, {Course: "shared", Completed: "no"},
		{Course: "shared", ProgressMin: "12.5", ProgressMax: "50"}, {Course: "shared", ProgressMin: "99"},
		{SpentMin: "9.95"}, {SpentMin: "9.951"}, {FirstSeenAfter: "2026-01-01T01:00:00Z"},
		{FirstSeenBefore: "2026-01-01T01:00:00.000002Z"},
		{LastActivityAfter: "2026-01-01T00:00:00.000003Z", LastActivityBefore: "2026-01-01T00:00:00.000007Z"},
		{LastActivityBefore: "2020-01-01T00:00:00Z"},
		{Query: "ADA"}, {Query: "zaneta WOJ"}, {Query: "emile"}, {Query: "zywioły"}, {Query: "mixing"}, {Query: "%"},
		{Query: "_1"}, {Query: `\`}, {Query: "'"}, {Query: "żY"}, {Query: "only b"},
		{Query: "lovelace ADA"}, {Query: "Lovelace, a."}, {Query: "obrien"}, {Query: "O’BRIEN‐zak"}, {Query: "zak-o'brien"},
		{Query: "101 mixing"}, {Query: "101 user"}, {Query: "- ,"},
		{Type: "paying", Status: "active", Course: "shared", Query: "e"}}
	walks := []struct{ limit, budget int }{{7, 5000}, {7, 3}, {100, 5000}, {100, 3}}
	for i, f := range filters {
		for j, sort := range allSorts {
			walk := walks[(i+j)%len(walks)]
			f.Store, f.Sort, f.Limit, l.Store.WalkBudget = "store_a", sort, walk.limit, walk.budget
			if diff := gocmp.Diff(l.expected(f), l.all(t, f)); diff != "" {
				t.Errorf("%+v, budget %d: -want +got\n%s", f, walk.budget, diff)
			}
		}
	}
}

// A progress whose least is above its most is no one's.
func TestNoProgressAtAll(t *testing.T) {
	l := openLists(t)
	l.fill(t, 20)
	f := customers.Filter{Store: "store_a", Course: "shared", ProgressMin: "51", ProgressMax: "12"}
	if got := l.all(t, f); len(got) > 0 {
		t.Errorf("%v", got)
	}
}

func TestCustomersRandomFilters(t *testing.T) {
	l := openLists(t)
	l.fill(t, 200)
	text := rapid.OneOf(
		rapid.SampledFrom([]string{"", "%", "_", `\`, `\%`, "''", "a", "ada", "LOVE", "user1_", "101", "ż", "100%", `e\`,
			"x' OR '1'='1", "lovelace, ada", "e a o", "brien-ż", "’"}),
		rapid.StringOfN(rapid.RuneFrom([]rune(`abeu_%\'-1@., Ż`)), 0, 5, -1))
	moment := rapid.SampledFrom([]string{"", "", "", "", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000003Z",
		"2026-01-01T01:00:00.000001Z", "2026-02-01T00:00:00Z"})
	rapid.Check(t, func(rt *rapid.T) {
		f := customers.Filter{
			Store:  rapid.SampledFrom(append(someStores, "nobody's")).Draw(rt, "store"),
			Type:   rapid.SampledFrom([]string{"", "", "lead", "paying", "subscription"}).Draw(rt, "type"),
			Status: rapid.SampledFrom([]string{"", "", "active", "inactive"}).Draw(rt, "status"),
			Source: rapid.SampledFrom([]string{"", "", "", "free_course", "course_purchase", "product_purchase",
				"subscription"}).Draw(rt, "source"),
			Course:  rapid.SampledFrom([]string{"", "", "shared", "store_a_p0", "store_b_p1", `{"x`}).Draw(rt, "course"),
			Product: rapid.SampledFrom([]string{"", "", "store_a_p0", "store_b_p1", "nowhere"}).Draw(rt, "product"),

			NotCourse:  rapid.SampledFrom([]string{"", "", "", "shared", "store_a_p1", "nowhere"}).Draw(rt, "not_course"),
			NotProduct: rapid.SampledFrom([]string{"", "", "", "store_a_p1", "nowhere"}).Draw(rt, "not_product"),
			SpentMin:   rapid.SampledFrom([]string{"", "", "", "0", "9.95", "10", "19.90"}).Draw(rt, "spent_min"),

			FirstSeenAfter:     moment.Draw(rt, "first_seen_after"),
			FirstSeenBefore:    moment.Draw(rt, "first_seen_before"),
			LastActivityAfter:  moment.Draw(rt, "last_activity_after"),
			LastActivityBefore: moment.Draw(rt, "last_activity_before"),

			Query: strings.TrimSpace(text.Draw(rt, "q")),
			Sort:  rapid.SampledFrom(append(allSorts, "")).Draw(rt, "sort"),
			Limit: rapid.IntRange(1, 30).Draw(rt, "limit"),
		}
		if f.Course != "" {
			f.Completed = rapid.SampledFrom([]string{"", "", "yes", "no"}).Draw(rt, "completed")
			f.ProgressMin = rapid.SampledFrom([]string{"", "", "0", "12.5", "51"}).Draw(rt, "progress_min")
			f.ProgressMax = rapid.SampledFrom([]string{"", "", "100", "50", "12"}).Draw(rt, "progress_max")
		}
		l.Store.WalkBudget = rapid.SampledFrom([]int{1, 20, 5000}).Draw(rt, "budget")
		l.sameFigures(rt, f)
		if diff := gocmp.Diff(l.expected(f), l.exports(rt, f)); diff != "" {
			rt.Fatalf("export of %+v: -want +got\n%s", f, diff)
		}
		if diff := gocmp.Diff(l.expected(f), l.all(rt, f)); diff != "" {
			rt.Fatalf("%+v: -want +got\n%s", f, diff)
		}
	})
}

func TestCustomersOfOtherStores(t *testing.T) {
	l := openLists(t)
	l.fill(t, 30)
	ctx := t.Context()
	for _, p := range l.people {
		for _, s := range someStores {
			got, err := customers.New(l.Store).Customer(ctx, s, fmt.Sprint(p.id))
			if p.store != s && !errors.Is(err, pg.ErrNotFound) || p.store == s && (err != nil || got.Email != p.email) {
				t.Errorf("%s's customer %d asked of %s: %+v, %v", p.store, p.id, s, got.Email, err)
			}
		}
	}
	for _, id := range []string{"", "0", "-1", "01", "+1", "1 ", "x", "999999", "99999999999999999999", "1\x00"} {
		if _, err := customers.New(l.Store).Customer(ctx, "store_a", id); !errors.Is(err, pg.ErrNotFound) {
			t.Errorf("id %q: %v", id, err)
		}
	}
	// A cursor of one store shows nothing of it in another.
	_, next, err := customers.New(l.Store).Customers(ctx, customers.Filter{Store: "store_a", Sort: "email", Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	page, _, err := customers.New(l.Store).Customers(ctx, customers.Filter{Store: "store_b", Sort: "email", Cursor: next})
	if err != nil || slices.ContainsFunc(page, func(c customers.Customer) bool { return c.StoreID != "store_b" }) {
		t.Errorf("%v %v", page, err)
	}
	for _, nobody := range []string{"", "none", "a\x00", "\xff"} {
		page, next, err := customers.New(l.Store).Customers(ctx, customers.Filter{Store: nobody})
		if err != nil || len(page) != 0 || page == nil || next != "" {
			t.Errorf("store %q: %v %q %v", nobody, page, next, err)
		}
		if st, err := customers.New(l.Store).Stats(ctx, customers.Filter{Store: nobody}); err != nil || st.Total != 0 ||
			st.Revenue == nil {
			t.Errorf("stats of %q: %v %v", nobody, st, err)
		}
	}
}

// exports lists whom an export has.
func (l *lists) exports(t *rapid.T, f customers.Filter) (ids []string) {
	t.Helper()
	err := customers.New(l.Store).ExportCustomers(context.Background(), f, func(some []customers.Customer) error {
		for _, c := range some {
			ids = append(ids, c.ID)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("export of %+v: %v", f, err)
	}
	return ids
}

// sameFigures checks the figures of a filter, and of the days people came on.
func (l *lists) sameFigures(t *rapid.T, f customers.Filter) {
	t.Helper()
	want := customers.Stats{Revenue: []store.Money{}}
	came, usd, eur, paid := int64(0), int64(0), int64(0), false
	var learning customers.Learning
	progress := 0.0
	for _, p := range l.people {
		if !l.fits(p, f) {
			continue
		}
		want.Total++
		switch p.kind {
		case "lead":
			want.Leads++
		case "paying":
			want.Paying++
		case "subscription":
			want.Subscribers++
		}
		if p.status == "active" {
			want.Active++
		}
		if p.seen != nil {
			came++
		}
		enrolled := int64(len(p.courses))
		learning.Enrolled += enrolled
		progress += p.progress * float64(enrolled)
		if p.completed || p.progress >= 100 {
			learning.Finished += enrolled
		}
		if p.kind != "lead" {
			usd, paid = usd+p.spent, true
			if p.kind == "paying" && p.spent > 0 {
				eur += 7
			}
		}
	}
	if eur > 0 {
		want.Revenue = append(want.Revenue, store.Money{Amount: eur, Currency: "eur"})
	}
	if paid {
		want.Revenue = append(want.Revenue, store.Money{Amount: usd, Currency: "usd"})
	}
	got, err := customers.New(l.Store).Figures(context.Background(), f, time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))
	if diff := gocmp.Diff(want, got.Stats); err != nil || diff != "" {
		t.Fatalf("%+v: %v -want +got\n%s", f, err, diff)
	}
	if got.Enrolled != learning.Enrolled || got.Finished != learning.Finished ||
		math.Abs(got.Progress()-progress/float64(max(1, learning.Enrolled))) > 1e-9 {
		t.Fatalf("%+v: %+v, want %+v and %v in all", f, got.Learning, learning, progress)
	}
	var counted int64
	for _, d := range got.Days {
		counted += d.Customers
	}
	if counted != came {
		t.Fatalf("%+v: %d people on %v, want %d", f, counted, got.Days, came)
	}
}

func TestStats(t *testing.T) {
	l := openLists(t)
	l.fill(t, 100)
	l.exec(t, `
		UPDATE customers
		SET spent = '[{"amount": 5, "currency": "eur"}, {"amount": 7, "currency": "usd"}]'
		WHERE email LIKE '%\_7@%' AND store_id = 'store_b'`)
	for _, s := range someStores {
		want := customers.Stats{}
		usd, eur := int64(0), int64(0)
		for _, p := range l.people {
			if p.store != s {
				continue
			}
			want.Total++
			switch p.kind {
			case "lead":
				want.Leads++
			case "paying":
				want.Paying++
			case "subscription":
				want.Subscribers++
			}
			if p.status == "active" {
				want.Active++
			}
			if s == "store_b" && strings.HasSuffix(p.email, "_7@example.com") {
				usd, eur = usd+7, eur+5
			} else if p.kind != "lead" {
				usd += p.spent
				if p.kind == "paying" && p.spent > 0 {
					eur += 7
				}
			}
		}
		want.Revenue = []store.Money{{Amount: usd, Currency: "usd"}}
		if eur > 0 {
			want.Revenue = []store.Money{{Amount: eur, Currency: "eur"}, {Amount: usd, Currency: "usd"}}
		}
		got, err := customers.New(l.Store).Stats(t.Context(), customers.Filter{Store: s})
		if diff := gocmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v -want +got\n%s", s, err, diff)
		}
	}
}
