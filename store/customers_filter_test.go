package store_test

import (
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"rollcall/store/customers"
	"rollcall/store/pg"
)

func TestParseFilter(t *testing.T) {
	whole := "type=lead&status=active&course=c&product=p&q=%20ada%20&sort=-name&limit=100"
	got, err := customers.ParseFilter("s", values(t, whole))
	want := customers.Filter{Store: "s", Type: "lead", Status: "active", Course: "c", Product: "p", Query: "ada",
		Sort: "-name", Limit: 100}
	if diff := gocmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	got, err = customers.ParseFilter("s", values(t, "type=&limit=&q=+&cursor="))
	if diff := gocmp.Diff(customers.Filter{Store: "s", Sort: "-last_activity", Limit: 50}, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	for query, want := range map[string][]string{
		"type=Lead":                           {"type", "lead, paying, subscription"},
		"status=gone":                         {"status", "active, inactive"},
		"sort=age":                            {"sort", "email, expected, first_seen, last_activity, name, spent"},
		"sort=--name":                         {"sort"},
		"limit=0":                             {"limit", "1 to 100"},
		"limit=101":                           {"limit"},
		"limit=ten":                           {"limit"},
		"limit=1e1":                           {"limit"},
		"offset=3":                            {"offset", "completed, country, course, cursor"},
		"source=x":                            {"source", "free_course"},
		"completed=maybe&course=c":            {"completed", "yes, no"},
		"progress_max=101&course=c":           {"progress_max", "0 to 100"},
		"progress_max=NaN&course=c":           {"progress_max", "0 to 100"},
		"spent_min=1,5":                       {"spent_min", "99.50"},
		"spent_min=-1":                        {"spent_min", "99.50"},
		"first_seen_after=yesterday":          {"first_seen_after", "30d"},
		"last_activity_before=2026-02-30":     {"last_activity_before", "2026-01-31"},
		"last_activity_before=30m":            {"last_activity_before", "30d"},
		"type=lead&type=boss":                 {"type", "lead, paying, subscription"},
		"completed=yes&completed=no":          {"completed", "once"},
		"purchases_min=-1":                    {"purchases_min", "0 to 9999"},
		"email_domain=a@b":                    {"email_domain", "example.com"},
		"country=Norge":                       {"country", `"Norge" is not a country`, "NO"},
		"country=no":                          {"country", "in capitals"},
		"country=NO&country=ZZ":               {"country", `"ZZ" is not`},
		`rule={"customer":{"country":"XX"}}`:  {"rule", `/customer/country "XX" is not a country`},
		"refunded=maybe":                      {"refunded", "yes, no"},
		"subscription=gone":                   {"subscription", "past_due"},
		"rule={}":                             {"rule", "one key"},
		"q=%00":                               {"q", "UTF-8"},
		"course=%ff":                          {"course", "UTF-8"},
		"q=" + strings.Repeat("x", 201):       {"q", "200"},
		"product=" + strings.Repeat("x", 4e4): {"product", "4000"},
	} {
		isBad(t, query, want)
	}
}

func values(t testing.TB, query string) url.Values {
	t.Helper()
	q, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// isBad checks that a query is refused, naming its parameter and saying want.
func isBad(t *testing.T, query string, want []string) {
	t.Helper()
	_, err := customers.ParseFilter("s", values(t, query))
	var bad *pg.BadParam
	if !errors.As(err, &bad) || bad.Name != want[0] {
		t.Errorf("%.80s: %v", query, err)
		return
	}
	for _, w := range want[1:] {
		if !strings.Contains(bad.Error(), w) {
			t.Errorf("%.80s: %q does not say %q", query, bad, w)
		}
	}
}

func TestBadCursors(t *testing.T) {
	l := openLists(t)
	l.fill(t, 30)
	_, next, err := customers.New(l.Store).Customers(t.Context(), customers.Filter{Store: "store_a", Limit: 2})
	if err != nil || next == "" {
		t.Fatal(next, err)
	}
	isBad(t, "sort=name&cursor="+next, []string{"cursor", "sort=-last_activity", "sort=name"})
	isBad(t, "sort=last_activity&cursor="+next, []string{"cursor"})
	isBad(t, "cursor="+next[:len(next)-3], []string{"cursor", "damaged"})
	isBad(t, "cursor=%25%25", []string{"cursor", "damaged"})
	for _, text := range []string{`null`, `[]`, `{}`, `{"sort":"-last_activity"}`,
		`{"sort":"-last_activity","key":"yesterday","id":1}`,
		`{"sort":"-last_activity","key":"0000-01-01T00:00:00Z","id":1}`, `{"sort":"-last_activity","key":7,"id":1}`,
		`{"sort":"-last_activity","id":-1}`, `{"sort":"-last_activity","id":1.5}`, `{"sort":"-last_activity","id":1,"x":1}`,
		`{"sort":"-last_activity","id":1}{}`} {
		isBad(t, "cursor="+base64url(text), []string{"cursor", "damaged"})
	}
	for _, sort := range []string{"name", "email", "spent"} {
		isBad(t, "sort="+sort+"&cursor="+base64url(`{"sort":"`+sort+`","id":1}`), []string{"cursor", "damaged"})
		isBad(t, "sort="+sort+"&cursor="+base64url(`{"sort":"`+sort+`","key":"1e9\u0000","id":1}`),
			[]string{"cursor", "damaged"})
	}
	// What passes the check, Postgres must be able to read.
	for sort, key := range map[string]string{"spent": "-9" + strings.Repeat("9", 90) + ".5", "name": `'"\`,
		"last_activity": "0001-01-01T00:00:00Z", "first_seen": "9999-12-31T23:59:59.999999999Z", "email": "%"} {
		f := customers.Filter{Store: "store_a", Sort: sort,
			Cursor: base64url(string(encoded(t, map[string]any{"sort": sort, "key": key, "id": int64(1) << 62})))}
		if _, _, err := customers.New(l.Store).Customers(t.Context(), f); err != nil {
			t.Errorf("%s after %q: %v", sort, key, err)
		}
	}
}

func base64url(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
