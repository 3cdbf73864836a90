package customers

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

// draw draws rules and stores from a seed.
type draw struct {
	*rand.Rand
	now time.Time
}

var (
	drawnCourses   = []string{"course_a", "course_b", "course_c"}
	drawnProducts  = []string{"pack", "club", "course_a", "bundle"}
	drawnTags      = []string{"tag_1", "tag_2", "tag_3"}
	drawnSegments  = []string{"seg_dynamic", "seg_nested", "seg_static", "seg_circle", "seg_gone"}
	drawnCountries = []string{"NO", "SE"}
	drawnMoney     = []string{"usd", "jpy", "kwd"}
	drawnAmounts   = []string{"0", "5", "9.95", "10", "99.5", "500"}
)

func (d draw) one(of ...string) string { return of[d.IntN(len(of))] }

func (d draw) chance(percent int) bool { return d.IntN(100) < percent }

// some are one to three of these.
func (d draw) some(of ...string) any {
	values := []string{d.one(of...)}
	for d.chance(35) && len(values) < 3 {
		values = append(values, d.one(of...))
	}
	if len(values) == 1 {
		return values[0]
	}
	return values
}

// edge is a time at, just before or just after a whole number of days from now, so that
// rules about days meet it or just do not.
func (d draw) edge() time.Time {
	off := []time.Duration{0, -time.Second, time.Second, -time.Microsecond, time.Microsecond}[d.IntN(5)]
	return d.now.Add(time.Duration(d.IntN(9)-6) * 24 * time.Hour).Add(off)
}

func (d draw) moment() string {
	switch n := d.IntN(7); {
	case n < 4:
		return fmt.Sprintf("%dd", d.IntN(7))
	case n < 5:
		return fmt.Sprintf("+%dd", d.IntN(3))
	}
	return d.edge().Format(time.RFC3339Nano)
}

// drawn are how the values of parts are drawn, by thing and part, or by part alone.
func (d draw) value(about, part string) any {
	p := thingNamed(about).part(part)
	switch {
	case p.Kind == pg.Moment:
		return d.moment()
	case part == "times_min":
		return 1 + d.IntN(3)
	case part == "times_max":
		return d.IntN(3)
	case p.Kind == CourseID:
		return d.some(append(drawnCourses, "course_gone")...)
	case p.Kind == ProductID:
		return d.some(append(drawnProducts, "gone")...)
	case p.Kind == TagID:
		return d.some(append(drawnTags, "tag_gone")...)
	case p.Kind == CampaignID:
		return d.some(append(drawnCampaigns, "camp_gone")...)
	case p.Kind == SegmentID:
		return d.one(drawnSegments...)
	case p.Kind == Percent:
		return d.one("0", "12.5", "50", "99.5", "100")
	case p.Kind == Amount:
		return d.one(drawnAmounts...)
	case p.Kind == Country:
		return d.some(append(drawnCountries, "JP")...)
	case p.Kind == Domain:
		return d.some("example.com", "mail.example", "nowhere.example")
	case p.Kind == pg.Search:
		return d.one("ada", "love", "a stone", "beats", "mixing 1", "user1", "zzz", "_")
	case p.Multi && p.Choices != nil:
		return d.some(valuesOf(p)...)
	case p.Choices != nil:
		return d.one(valuesOf(p)...)
	case p.Multi:
		return d.some(drawnMoney...)
	}
	return d.one(drawnMoney...)
}

// drawnNumber is a drawn number; 0 of none.
func drawnNumber(drawn any) (n float64) {
	n, _ = strconv.ParseFloat(fmt.Sprint(drawn), 64)
	return n
}

func valuesOf(p *Part) (values []string) {
	for _, c := range p.Choices {
		values = append(values, c.Value)
	}
	return values
}

// leaf draws a leaf as JSON has it.
func (d draw) leaf() map[string]any {
	if d.chance(5) {
		return d.keptLeaf()
	}
	t := Things[d.IntN(len(Things))]
	if t.short() {
		return map[string]any{t.Name: d.value(t.Name, t.Parts[0].Name)}
	}
	parts := map[string]any{}
	for _, p := range t.Parts {
		if d.chance(100 * 2 / (len(t.Parts) + 2)) {
			parts[p.Name] = d.value(t.Name, p.Name)
		}
	}
	if len(parts) == 0 || t.Name == "spent" && parts["min"] == nil && parts["max"] == nil {
		parts[t.Parts[0].Name] = d.value(t.Name, t.Parts[0].Name)
	}
	for _, of := range []string{"times_", "progress_", "alive_", ""} { // less than the minimum is refused
		if most, is := parts[of+"max"]; is && drawnNumber(most) < drawnNumber(parts[of+"min"]) {
			delete(parts, of+"min")
		}
	}
	return map[string]any{t.Name: parts}
}

// keptLeaf draws a leaf that a column of the customer answers.
func (d draw) keptLeaf() map[string]any {
	by := kept[d.IntN(len(kept))]
	parts := map[string]any{}
	for part, value := range by.values {
		parts[part] = value
	}
	if by.before != "" {
		parts[by.before] = d.moment()
	}
	if d.chance(20) {
		parts["times_max"] = 0
	}
	return map[string]any{"enrollment": parts}
}

// node draws a rule as JSON has it.
func (d draw) node(depth int) map[string]any {
	if depth == 0 || d.chance(30) {
		return d.leaf()
	}
	var list []any
	for len(list) == 0 || len(list) < 4 && d.chance(55) {
		list = append(list, d.node(depth-1))
	}
	return map[string]any{d.one(groups...): list}
}

// rule draws a rule.
func (d draw) rule(t testing.TB) Rule {
	t.Helper()
	text, err := json.Marshal(d.node(1 + d.IntN(3)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := ParseRule(string(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return r
}

// object is a row of a jsonb list.
type object map[string]any

func (d draw) maybe(t time.Time) any {
	if d.chance(15) {
		return nil
	}
	return t.Truncate(time.Second).Format(time.RFC3339)
}

// customer inserts a customer into the store "s".
func (d draw) customer(t testing.TB, s *store.Store, n int) {
	t.Helper()
	courses, purchases, subscriptions := []object{}, []object{}, []object{}
	ids, products := []string{}, map[string]bool{}
	for _, c := range drawnCourses {
		if d.chance(40) {
			ids = append(ids, c)
			courses = append(courses, object{"id": c, "progress": []float64{0, 12.5, 50, 99.5, 100}[d.IntN(5)],
				"enrolled_at": d.maybe(*d.time(100)), "progressed_at": d.maybe(d.edge()), "completed_at": nil})
			if d.chance(25) {
				courses[len(courses)-1]["completed_at"] = d.edge().Truncate(time.Second).Format(time.RFC3339)
			}
		}
	}
	for d.chance(45) {
		amount, of := int64([]int{0, 5, 500, 995, 1000, 9950, 50000}[d.IntN(7)]), d.one(drawnProducts...)
		p := object{"product_id": of, "kind": "other", "amount": amount, "currency": d.one(drawnMoney...),
			"refunded": []int64{0, 0, amount, amount / 2}[d.IntN(4)], "purchased_at": d.maybe(*d.time(100))}
		products[of] = true
		if d.chance(20) {
			other := d.one(drawnProducts...)
			products[other] = true
			p["lines"] = []object{{"product_id": of, "kind": "other"}, {"product_id": other, "kind": "other"}}
		}
		purchases = append(purchases, p)
	}
	for d.chance(35) {
		of := d.one(drawnProducts...)
		products[of] = true
		s := object{"id": "sub", "status": d.one(valuesOf(thingNamed("subscription").part("status"))...), "product_id": of,
			"current_period_end": d.maybe(d.edge()), "cancel_at_period_end": d.chance(40)}
		if d.chance(25) {
			other := d.one(drawnProducts...)
			products[other] = true
			s["products"] = []string{of, other}
		}
		subscriptions = append(subscriptions, s)
	}
	if d.chance(10) {
		products["course_a"] = true // as a course that was bought for nothing
	}
	d.insert(t, s, n, []any{courses, purchases, subscriptions, ids, keys(products)})
}

func keys(set map[string]bool) []string {
	all := []string{}
	for _, p := range drawnProducts {
		if set[p] {
			all = append(all, p)
		}
	}
	return all
}

// insert inserts a customer with these lists, and what else can be told of one.
func (d draw) insert(t testing.TB, s *store.Store, n int, lists []any) {
	t.Helper()
	spent, refunded, rank := []object{}, []object{}, 0.0
	for _, currency := range drawnMoney {
		if d.chance(30) {
			amount := int64([]int{0, 500, 995, 1000, 9950, -100}[d.IntN(6)])
			if n := major(amount, currency); len(spent) == 0 || n > rank {
				rank = n
			}
			spent = append(spent, object{"amount": amount, "currency": currency})
		}
	}
	if d.chance(25) {
		refunded = append(refunded, object{"amount": 5, "currency": "usd"})
	}
	seen, active := d.time(90), d.time(85)
	for i := range lists[:3] {
		text, err := json.Marshal(lists[i])
		if err != nil {
			t.Fatal(err)
		}
		lists[i] = string(text)
	}
	email := fmt.Sprintf("user%d@%s", n, d.one("example.com", "mail.example", "sub.example.com"))
	put(t, s, `
		INSERT INTO customers (store_id, email, name, type, status, source_kind, first_seen_at, last_activity_at, spent,
			refunded, spent_rank, country, courses, purchases, subscriptions, course_ids, product_ids)
		VALUES ('s', $1, nullif($2, ''), $3, $4, nullif($5, ''), $6, $7, $8::text::jsonb, $9::text::jsonb, $10::float8,
			nullif($11, ''), $12::text::jsonb, $13::text::jsonb, $14::text::jsonb, $15, $16)`,
		append([]any{email, d.one("", "Ada Lovelace", "Bob Stone", "under_score"), d.one("lead", "paying", "subscription"),
			d.one("active", "inactive"), d.one("", "free_course", "course_purchase", "product_purchase", "subscription"),
			seen, active, jsonText(t, spent), jsonText(t, refunded), rank, d.one(append(drawnCountries, "")...)}, lists...)...)
	for _, tag := range append(drawnTags, "seg_static") {
		if d.chance(30) {
			put(t, s, `INSERT INTO customer_tags (store_id, email, tag_id, tagged_by) VALUES ('s', $1, $2, 'admin')`, email, tag)
		}
	}
	if d.chance(20) {
		put(t, s, `INSERT INTO customer_notes (store_id, email, body, author) VALUES ('s', $1, 'x', 'admin')`, email)
	}
	for _, currency := range drawnMoney {
		if d.chance(25) {
			put(t, s, `INSERT INTO value_people (store_id, currency, customer_id, alive, expected)
				SELECT 's', $2, id, $3, $4 FROM customers WHERE email = $1`, email, currency,
				[]float64{0, .125, .5, .995, 1}[d.IntN(5)], []int64{0, 5, 500, 995, 1000, 9950}[d.IntN(6)])
		}
	}
	if d.chance(20) {
		put(t, s, `
			INSERT INTO payments (account, id, claim_version, intent_version, invoice_version, destination_version, disputed,
				customer_id, unattached)
			SELECT '', 'pi_' || id, '', '', '', '', 5, id, NULL FROM customers WHERE email = $1`, email)
	}
}

func jsonText(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func put(t testing.TB, s *store.Store, sql string, args ...any) {
	t.Helper()
	if _, err := s.Pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// derivedOfCourses are the columns that follow from a customer's courses.
const derivedOfCourses = `
	finished = EXISTS (SELECT FROM jsonb_array_elements(courses) r
		WHERE r ->> 'completed_at' IS NOT NULL OR (r ->> 'progress')::float8 >= 100),
	stalled_since = coalesce((SELECT min((r ->> 'progressed_at')::timestamptz) FROM jsonb_array_elements(courses) r
		WHERE r ->> 'completed_at' IS NULL AND (r ->> 'progress')::float8 < 100), 'infinity'),
	unstarted_since = coalesce((SELECT min((r ->> 'enrolled_at')::timestamptz) FROM jsonb_array_elements(courses) r
		WHERE r ->> 'completed_at' IS NULL AND (r ->> 'progress')::float8 = 0), 'infinity')`

// fill makes the store "s" anew, and a witness of it.
func (d draw) fill(t testing.TB, s *store.Store, customers int) witness {
	t.Helper()
	w := witness{now: d.now, titles: map[string]string{"course_a": "Mixing 101", "pack": "Beats", "club": "Club"},
		segments: map[string]Rule{}, members: map[string][]string{}, disputed: map[string]bool{}, noted: map[string]bool{},
		expected: map[string][]forecast{}, mailable: map[string]bool{}, mails: map[string][]happened{}}
	for _, table := range []string{"value_people", "customers", "customer_tags", "customer_notes", "payments",
		"segments", "tags", "products"} {
		put(t, s, `DELETE FROM `+table)
	}
	for id, title := range w.titles {
		put(t, s, `INSERT INTO products (id, store_ref, store_id, store_ids, title, version, deleted_version)
			VALUES ($1, 's', 's', '{s}', $2, 'v', '')`, id, title)
	}
	for _, tag := range drawnTags {
		put(t, s, `INSERT INTO tags (id, store_id, name, folded, created_by) VALUES ($1, 's', $1, $1, 'admin')`, tag)
	}
	nobody := Rule{Group: "any"}
	plain := d.rule(t)
	for len(plain.Segments()) > 0 {
		plain = d.rule(t)
	}
	w.segments = map[string]Rule{"seg_dynamic": plain, "seg_gone": nobody, "seg_circle": nobody, "seg_nested": {
		Group: "none", Rules: []Rule{plain, {About: "segment", Parts: map[string][]string{"id": {"seg_static"}}}}}}
	for id, rule := range map[string]string{"seg_dynamic": plain.String(), "seg_circle": `{"segment":"seg_circle"}`,
		"seg_nested": `{"none":[{"segment":"seg_dynamic"},{"segment":"seg_static"}]}`, "seg_static": ""} {
		put(t, s, `INSERT INTO segments (id, store_id, name, folded, kind, rule, created_by)
			VALUES ($1, 's', $1, $1, CASE WHEN $2 = '' THEN 'static' ELSE 'dynamic' END, nullif($2, '')::jsonb, 'admin')`,
			id, rule)
	}
	for n := range customers {
		d.customer(t, s, n)
	}
	put(t, s, `UPDATE customers SET `+derivedOfCourses+` WHERE id % 3 > 0`) // the others are not derived yet
	w.look(t, s)
	w.mail(t, s, d)
	return w
}

// look reads what the API's JSON of a customer does not have.
func (w witness) look(t testing.TB, s *store.Store) {
	t.Helper()
	w.forecasts(t, s)
	rows, err := s.Pool.Query(t.Context(), `
		SELECT c.id::text,
			EXISTS (SELECT FROM payments p WHERE p.customer_id = c.id AND p.disputed > 0),
			EXISTS (SELECT FROM customer_notes n WHERE n.email = c.email),
			EXISTS (SELECT FROM customer_tags t WHERE t.email = c.email AND t.tag_id = 'seg_static')
		FROM customers c`)
	if err != nil {
		t.Fatal(err)
	}
	var id string
	var disputed, noted, member bool
	if _, err := pgx.ForEachRow(rows, []any{&id, &disputed, &noted, &member}, func() error {
		w.disputed[id], w.noted[id] = disputed, noted
		if member {
			w.members["seg_static"] = append(w.members["seg_static"], id)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func (w witness) forecasts(t testing.TB, s *store.Store) {
	t.Helper()
	rows, err := s.Pool.Query(t.Context(), `SELECT customer_id::text, currency, alive, expected FROM value_people`)
	if err != nil {
		t.Fatal(err)
	}
	var id string
	var f forecast
	if _, err := pgx.ForEachRow(rows, []any{&id, &f.currency, &f.alive, &f.amount}, func() error {
		w.expected[id] = append(w.expected[id], f)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// filter draws a filter, with a rule or a segment now and then.
func (d draw) filter(t testing.TB) Filter {
	t.Helper()
	f := Filter{Store: "s"}
	for _, p := range f.Params() {
		about, part, _ := strings.Cut(p.On, ".")
		switch {
		case about == "rule" && d.chance(40):
			*p.Value = d.rule(t).String()
		case about == "rule" || !d.chance(8):
		default:
			value := d.value(about, part)
			if list, several := value.([]string); several {
				value = strings.Join(list, "\n")
			}
			*p.Value = fmt.Sprint(value)
		}
	}
	return f
}
