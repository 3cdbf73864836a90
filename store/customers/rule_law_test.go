package customers

import (
	"cmp"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/storetest"
	"rollcall/store"
	"rollcall/store/pg"
)

var (
	ruleStores = flag.Int("rule.stores", 4, "random stores for the laws of rules")
	ruleSeed   = flag.Uint64("rule.seed", 1, "the first seed of the laws of rules")
)

// rulesOfStore is how many rules are drawn for each store: 10,000 for 20 stores, which take minutes, as Postgres plans
// each.
const rulesOfStore = 500

// everybody are all customers, as the API's JSON has them.
func everybody(t testing.TB, s *store.Store, now time.Time) (all []Customer) {
	t.Helper()
	for f := (Filter{Store: "s", Limit: 100}); ; {
		page, next, err := New(s).At(now).Customers(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(page)
		if err != nil {
			t.Fatal(err)
		}
		var read []Customer
		if err := json.Unmarshal(text, &read); err != nil {
			t.Fatal(err)
		}
		all = append(all, read...)
		if f.Cursor = next; next == "" {
			return all
		}
	}
}

// choice are the ids of those who meet a rule, sorted.
func (w witness) choice(all []Customer, r Rule) []string {
	ids := []string{}
	for _, c := range all {
		if w.meets(c, r) {
			ids = append(ids, c.ID)
		}
	}
	slices.Sort(ids)
	return ids
}

// written are conditions in one of their forms.
func written(conds []cond, form func(cond) string, args *pg.Arguments) string {
	w := &pg.Conditions{Args: args}
	for _, c := range conds {
		w.AddAll(form(c), c.args)
	}
	return w.String()
}

// withoutEntry is a condition as it is asked without a join with the customer's entry, if it can be.
func withoutEntry(c cond) string { return cmp.Or(c.alone(), c.sql) }

// chosen are those who meet each of rules by the compiled conditions, in one statement: in all
// of their forms.
func chosen(t testing.TB, s *Reader, rules []Rule) [][]string {
	t.Helper()
	var args pg.Arguments
	var columns []string
	for _, r := range rules {
		expanded, err := s.expand(t.Context(), s.Pool, "s", r)
		if err != nil {
			t.Fatal(err)
		}
		_, found, err := facetsAndSought(t.Context(), s.Pool, "s", expanded)
		if err != nil {
			t.Fatal(err)
		}
		k := compiler{store: "s", now: s.now(), sought: found}
		conds := k.all(expanded)
		columns = append(columns, "("+written(conds, cond.ofAll, &args)+") IS TRUE")
		for _, form := range []func(cond) string{cond.ofOne, withoutEntry} {
			if slices.ContainsFunc(conds, func(c cond) bool { return form(c) != c.sql }) {
				columns = append(columns, "("+written(conds, form, &args)+") IS TRUE")
			} else {
				columns = append(columns, "NULL")
			}
		}
	}
	rows, err := s.Pool.Query(t.Context(), `
		SELECT c.id::text, ARRAY[`+strings.Join(columns, ",\n")+`]
		FROM customers c
		JOIN customer_index i ON i.customer_id = c.id
		WHERE c.store_id = 's'
		ORDER BY c.id::text COLLATE "C"`, append([]any{pgx.QueryExecModeExec}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	ids := make([][]string, len(rules))
	for i := range ids {
		ids[i] = []string{}
	}
	var id string
	var is []*bool
	if _, err := pgx.ForEachRow(rows, []any{&id, &is}, func() error {
		for i := range ids {
			all, one, alone := is[3*i], is[3*i+1], is[3*i+2]
			if one != nil && *one != *all || alone != nil && *alone != *all {
				t.Errorf("customer %s meets %v: %v among all, %v as one, %v without entry", id, rules[i], *all, one, alone)
			}
			if *all {
				ids[i] = append(ids[i], id)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return ids
}

// A rule's SQL chooses whom a plain evaluator chooses by the API's JSON. With it: a rule
// and its opposite split everybody, and all and any are intersection and union.
func TestRulesMeanWhatTheySay(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t)
	met, rules := 0, 0
	for seed := *ruleSeed; seed < *ruleSeed+uint64(*ruleStores); seed++ {
		d := draw{rand.New(rand.NewPCG(seed, 0)), time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)}
		w := d.fill(t, s, 40)
		all := everybody(t, s, d.now)
		for range rulesOfStore / 20 {
			var some []Rule
			for range 10 {
				a, b := d.rule(t), d.rule(t)
				some = append(some, a, b, Rule{Group: "none", Rules: []Rule{a}}, Rule{Group: "all", Rules: []Rule{a, b}},
					Rule{Group: "any", Rules: []Rule{a, b}})
			}
			for i, got := range chosen(t, New(s).At(d.now), some) {
				want := w.choice(all, some[i])
				if diff := gocmp.Diff(want, got); diff != "" {
					t.Fatalf("-rule.seed=%d: %s: -want +got\n%s", seed, some[i], diff)
				}
				rules++
				if len(got) > 0 && len(got) < len(all) {
					met++
				}
			}
		}
	}
	if met < rules/4 {
		t.Errorf("of %d rules only %d split a store: the draw shows little", rules, met)
	}
}

// The list's pages, its count, its figures, the CSV, the audience of bulk work and the
// count of newcomers have the same customers, whichever way a filter is written.
func TestFiltersChooseTheSameEverywhere(t *testing.T) {
	t.Parallel()
	s := storetest.Open(t)
	for seed := *ruleSeed; seed < *ruleSeed+uint64(*ruleStores); seed++ {
		d := draw{rand.New(rand.NewPCG(seed, 1)), time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)}
		w := d.fill(t, s, 40)
		all := everybody(t, s, d.now)
		for range 8 {
			f := d.filter(t)
			r, err := f.AsRule()
			if err != nil {
				t.Fatal(err)
			}
			want := w.choice(all, r)
			f.Sort, f.Limit = d.one("-last_activity", "first_seen", "-spent", "name", "email"), 1+d.IntN(20)
			s.WalkBudget = []int{1, 10, 5000}[d.IntN(3)]
			for where, got := range everywhere(t, New(s).At(d.now), f) {
				if diff := gocmp.Diff(want, got); diff != "" {
					t.Fatalf("-rule.seed=%d: %s of %s: -want +got\n%s", seed, where, f.Values().Encode(), diff)
				}
			}
			sameCounts(t, New(s).At(d.now), f, len(want))
		}
	}
}

// everywhere are those that each reader of a filter chooses.
func everywhere(t testing.TB, s *Reader, f Filter) map[string][]string {
	t.Helper()
	got := map[string][]string{"pages": {}, "export": {}, "audience": {}}
	page := f
	for page.Cursor != "" || page == f {
		customers, next, err := s.Customers(t.Context(), page)
		if err != nil {
			t.Fatalf("%s: %v", f.Values().Encode(), err)
		}
		for _, c := range customers {
			got["pages"] = append(got["pages"], c.ID)
		}
		if page.Cursor = next; next == "" {
			break
		}
	}
	if err := s.ExportCustomers(t.Context(), f, func(some []Customer) error {
		for _, c := range some {
			got["export"] = append(got["export"], c.ID)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	var args pg.Arguments
	sql, err := s.Audience(t.Context(), s.Pool, f, &args)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := s.Pool.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	var id int64
	var email string
	if _, err := pgx.ForEachRow(rows, []any{&id, &email}, func() error {
		got["audience"] = append(got["audience"], strconv.FormatInt(id, 10))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for _, ids := range got {
		slices.Sort(ids)
	}
	return got
}

// sameCounts checks the counts of a filter.
func sameCounts(t testing.TB, s *Reader, f Filter, want int) {
	t.Helper()
	st, err := s.Figures(t.Context(), f, time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC))
	if err != nil || st.Total != int64(want) || st.Leads+st.Paying+st.Subscribers != int64(want) {
		t.Fatalf("figures of %s: %+v, %v, want %d", f.Values().Encode(), st, err, want)
	}
	came := int64(0)
	for _, d := range st.Days {
		came += d.Customers
	}
	if came > int64(want) {
		t.Fatalf("%s: %d came, of %d", f.Values().Encode(), came, want)
	}
	for name, count := range map[string]func() (int64, error){
		"count":     func() (int64, error) { return s.Count(t.Context(), f) },
		"newcomers": func() (int64, error) { return s.CountNewcomers(t.Context(), f, 0) },
	} {
		if n, err := count(); err != nil || n != int64(want) {
			t.Fatalf("%s of %s: %d, %v, want %d", name, f.Values().Encode(), n, err, want)
		}
	}
}
