package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rollcall/store"
)

// audited is a house with some of allRows: two stores, guests and users, a
// refunded sale, a subscription, and facts that belong on no list.
func audited(t *testing.T) (*store.Store, string) {
	t.Helper()
	s, url := openURL(t)
	var e teller
	apply(t, s, []store.NewEvent{
		e.platform("store.upserted", `{"id":"s1","name":"One","stripe_account_id":"acct_1"}`),
		e.platform("store.upserted", `{"id":"s2","name":"Two"}`),
		e.platform("product.upserted", `{"id":"c1","store_id":"s1","kind":"course","title":"C"}`),
		e.user("user_1", "ann@x.example", "verified"),
		e.enrolled("c1", `"user_id":"user_1"`),
		e.enrolled("c1", `"email":"bob@x.example"`),
		e.sale("pi_1", "ann@x.example", `{"storeId":"s1","productId":"c1"}`),
		e.sale("pi_2", "cy@x.example", `{"storeId":"s2","productId":"p2"}`),
		e.stripe("charge.refunded", "",
			`{"id":"ch_1","amount":1000,"amount_refunded":400,"currency":"usd","payment_intent":"pi_1"}`),
		e.stripe("customer.subscription.created", "acct_1",
			`{"id":"sub_1","status":"active","customer":"cus_1","metadata":{"userId":"user_1"}}`),
		e.enrolled("c1", `"user_id":"user_unheard"`),
		e.sale("pi_3", "dot@x.example", `{"productId":"nowhere"}`),
		e.stripe("payment_intent.succeeded", "", `{"id":"pi_4","amount_received":100,"currency":"usd"}`),
	}, 1)
	wantRows(t, url, customersSQL, "s1 ann@x.example subscription active", "s1 bob@x.example lead active",
		"s2 cy@x.example paying active")
	return s, url
}

// audit returns what was found, as "kind count", and allRows it says.
func audit(t *testing.T, s *store.Store, of string) (found []string, a store.Audit) {
	t.Helper()
	a, err := s.AuditFacts(context.Background(), store.AuditOptions{Store: of, Examples: 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range a.Differences {
		found = append(found, fmt.Sprint(d.Kind, " ", d.Count))
		if d.Means == "" || len(d.Examples) == 0 || len(d.Examples) > 3 {
			t.Errorf("%s is not explained: %+v", d.Kind, d)
		}
	}
	return found, a
}

// allRows is all that is kept, to see that nothing of it changed.
const allRows = `
	SELECT to_jsonb(x)::text FROM customers x UNION ALL SELECT to_jsonb(x)::text FROM payments x
	UNION ALL SELECT to_jsonb(x)::text FROM enrollments x
	UNION ALL SELECT to_jsonb(x)::text FROM subscriptions x UNION ALL SELECT to_jsonb(x)::text FROM products x ORDER BY 1`

func TestAuditIsClean(t *testing.T) {
	s, _ := audited(t)
	for _, of := range []string{"", "s1", "s2"} {
		found, a := audit(t, s, of)
		if diff := cmp.Diff([]string(nil), found); diff != "" || !a.Clean() || a.Count() != 0 {
			t.Errorf("store %q: %s", of, diff)
		}
	}
	_, a := audit(t, s, "")
	if a.Facts != 8 || a.Customers != 3 {
		t.Errorf("looked at %d facts and %d customers", a.Facts, a.Customers)
	}
}

// Who is on no list for want of something is told, with what is missing; who is
// rightly on none is counted.
func TestAuditTellsWhyNot(t *testing.T) {
	s, _ := audited(t)
	for of, want := range map[string][]string{"": {"no_store 1", "unclaimed_payment 1", "user_unknown 1"},
		"s1": {"user_unknown 1"}, "s2": nil} {
		var got []string
		_, a := audit(t, s, of)
		for _, d := range a.Unresolved {
			got = append(got, fmt.Sprint(d.Kind, " ", d.Count))
			if d.Means == "" || len(d.Examples) != 1 || d.Examples[0].Why != d.Means {
				t.Errorf("%+v", d)
			}
		}
		for _, d := range a.Rightly {
			got = append(got, fmt.Sprint(d.Kind, " ", d.Count))
			if d.Means == "" {
				t.Errorf("%s is not explained", d.Kind)
			}
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("store %q (-want +got):\n%s", of, diff)
		}
	}
}

// damages are what hands may do to the rows, and what an audit calls it.
var damages = []struct {
	name, sql string
	of        string   // a store that it concerns
	want      []string // found in it
	told      string   // by an example
}{
	{"pointer lost", `UPDATE payments SET customer_id = NULL, unattached = 'not_derived' WHERE id = 'pi_1'`, "s1",
		[]string{"fact_on_no_list 1", "customer_of_misplaced_facts 1"},
		"payment pi_1 ann@x.example of store s1 it points at no customer (not_derived)"},
	{"never attached", `UPDATE payments SET customer_id = NULL, unattached = 'not_derived', store_id = NULL,
		customer_email = NULL WHERE id = 'pi_2'; DELETE FROM customers WHERE store_id = 's2'`, "s2",
		nil, ""},
	{"customer deleted", `DELETE FROM customers WHERE email = 'ann@x.example'`, "s1",
		[]string{"customer_missing 1", "fact_on_missing_customer 3"}, "store s1 ann@x.example"},
	{"another's pointer", `UPDATE enrollments SET customer_id = (SELECT id FROM customers WHERE email = 'cy@x.example')
		WHERE person = 'email:bob@x.example'`, "s1",
		[]string{"fact_on_another_list 1", "customer_of_misplaced_facts 1"},
		"enrollment of email:bob@x.example in course c1 bob@x.example of store s1 it points at cy@x.example of store s2"},
	{"pointer too many", `UPDATE payments SET customer_id = (SELECT id FROM customers WHERE email = 'cy@x.example'),
		unattached = NULL WHERE id = 'pi_3'`, "s2",
		[]string{"fact_should_be_on_none 1", "customer_of_misplaced_facts 1"},
		"payment pi_3 cy@x.example of store s2 it belongs to no customer (no_store)"},
	{"another reason", `UPDATE enrollments SET unattached = 'no_store' WHERE person = 'user:user_unheard'`, "s1",
		[]string{"fact_for_another_reason 1"}, `reason is "no_store" and should be "user_unknown"`},
	{"refund lost", `UPDATE payments SET refunded = 0 WHERE id = 'pi_1'`, "s1",
		[]string{"fact_figures_differ 1", "customer_of_misplaced_facts 1"}, "refunded is 0 and should be 400"},
	{"product moved", `UPDATE products SET store_id = 's2' WHERE id = 'c1'`, "s1",
		[]string{"product_of_another_store 1"}, "product c1 store s1 it is written down as of store s2"},
	{"total changed", `UPDATE customers SET spent = '[{"amount":1,"currency":"usd"}]' WHERE email = 'cy@x.example'`, "s2",
		[]string{"customer_differs 1"},
		`store s2 cy@x.example spent is [{"amount": 1, "currency": "usd"}] and should be ` +
			`[{"amount": 1000, "currency": "usd"}]`},
	{"customer too many", `INSERT INTO customers (store_id, email) VALUES ('s1', 'nobody@x.example')`, "s1",
		[]string{"customer_without_facts 1"}, "store s1 nobody@x.example"},
	{"entry lost", `DELETE FROM customer_index WHERE words LIKE '%bob@x.example'`, "s1",
		[]string{"entry_differs 1"}, "its entry should be bob"},
	{"words lost", `DELETE FROM customer_words WHERE words LIKE '%bob@x.example'`, "s1",
		[]string{"entry_differs 1"}, "its entry should be bob"},
	{"words too many", `INSERT INTO customer_words VALUES (99, 's1', '')`, "s1",
		[]string{"entry_differs 1"}, "customer 99 there is no such customer"},
	{"entry too many", `INSERT INTO customer_index (customer_id, store_id, words, has) VALUES (99, 's1', '', '{}')`, "s1",
		[]string{"entry_differs 1"}, "customer 99 there is no such customer"},
	{"figures off", `INSERT INTO customer_figure_changes VALUES ('s1', 'lead/active/free_course', 'people', 2)`, "s1",
		[]string{"figure_differs 1"}, "and should be"},
	{"address changed", `UPDATE customers SET email = 'other@x.example' WHERE email = 'bob@x.example'`, "s1",
		[]string{"customer_missing 1", "fact_on_another_list 1"}, "it points at other@x.example of store s1"},
}

// Every damage is named, with an example, and nothing is written; the mending
// mends it, and then nothing is found.
func TestAuditNamesAndMends(t *testing.T) {
	t.Parallel()
	for _, d := range damages {
		t.Run(d.name, func(t *testing.T) {
			s, url := audited(t)
			right := query(t, url,
				strings.ReplaceAll(allRows, "to_jsonb(x)", "(to_jsonb(x) - 'id' - 'customer_id' - 'created_at')"))
			for statement := range strings.SplitSeq(d.sql, ";") {
				exec(t, url, statement)
			}
			damaged := query(t, url, allRows)
			_, whole := audit(t, s, "")
			found, a := audit(t, s, d.of)
			if d.want != nil {
				if diff := cmp.Diff(d.want, found); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
				if text := fmt.Sprintf("%+v", a.Differences); !strings.Contains(strings.ReplaceAll(text, ": ", " "),
					strings.ReplaceAll(d.told, ": ", " ")) {
					t.Errorf("no %q in %s", d.told, text)
				}
			}
			if whole.Clean() {
				t.Error("nothing was found in all stores")
			}
			if diff := cmp.Diff(damaged, query(t, url, allRows)); diff != "" {
				t.Errorf("the audit wrote (-before +after):\n%s", diff)
			}
			if d.want != nil {
				mend(t, s, d.of)
				if found, _ := audit(t, s, d.of); found != nil {
					t.Errorf("after mending one store: %v", found)
				}
			}
			mend(t, s, "")
			if found, _ := audit(t, s, ""); found != nil {
				t.Errorf("after mending: %v", found)
			}
			if diff := cmp.Diff(right,
				query(t, url,
					strings.ReplaceAll(allRows, "to_jsonb(x)", "(to_jsonb(x) - 'id' - 'customer_id' - 'created_at')"))); diff != "" {
				t.Errorf("-before the damage +after mending:\n%s", diff)
			}
		})
	}
}

func mend(t *testing.T, s *store.Store, of string) {
	t.Helper()
	if _, err := s.MendFacts(context.Background(), store.AuditOptions{Store: of}); err != nil {
		t.Fatal(err)
	}
}

func exec(t testing.TB, url, sql string) {
	t.Helper()
	query(t, url, "WITH done AS ("+sql+" RETURNING 1) SELECT ''")
}

// One customer whose facts Postgres cannot add up hides no other's difference.
func TestAuditOfWhatCannotBeDerived(t *testing.T) {
	s, url := audited(t)
	exec(t, url, `UPDATE payments SET disputed = -5, sold = '[{"id": "p1", "amount": "many"}]' WHERE id = 'pi_2'`)
	exec(t, url, `UPDATE customers SET name = 'X' WHERE email = 'bob@x.example'`)
	found, _ := audit(t, s, "")
	if diff := cmp.Diff([]string{"fact_figures_differ 1", "customer_differs 1", "customer_cannot_be_derived 1"},
		found); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// While events are applied, an audit never sees half of one.
func TestAuditBesideTraffic(t *testing.T) {
	t.Parallel()
	s, _ := audited(t)
	traffic, stop := context.WithCancel(context.Background())
	wrong := make(chan error, 1)
	go func() { wrong <- auditUntil(traffic, s) }()
	e := teller{n: 100}
	for i := range 150 {
		address := fmt.Sprintf("%d@x.example", i%7)
		apply(t, s, []store.NewEvent{
			e.user("user_1", address, "verified"),
			e.enrolled("c1", fmt.Sprintf(`"email":%q`, address)),
			e.sale(fmt.Sprintf("pi_t%d", i), address, `{"storeId":"s1","productId":"c1"}`),
			e.platform("product.upserted", fmt.Sprintf(`{"id":"c1","store_id":"s%d","kind":"course","title":"C"}`, 1+i%2)),
		}, 4)
	}
	stop()
	if err := <-wrong; err != nil {
		t.Error(err)
	}
}

// auditUntil audits again and again until the traffic ends, and once after it.
func auditUntil(traffic context.Context, s *store.Store) error {
	for last := false; !last; {
		last = traffic.Err() != nil
		a, err := s.AuditFacts(context.Background(), store.AuditOptions{Examples: 3})
		if err != nil || !a.Clean() {
			return fmt.Errorf("%+v %v", a.Differences, err)
		}
	}
	return nil
}
