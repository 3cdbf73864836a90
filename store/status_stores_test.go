package store_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"rollcall/store"
	"rollcall/store/pg"
	"rollcall/store/status"
)

// storeLines pages through the stores.
func storeLines(t testing.TB, s *store.Store, f status.StoreFilter) (all []status.StoreLine) {
	t.Helper()
	for {
		page, next, err := status.New(s).StoreLines(t.Context(), f)
		if err != nil || len(page) > f.Limit || next != "" && len(page) < f.Limit {
			t.Fatalf("%+v: %d, next %q: %v", f, len(page), next, err)
		}
		if all = append(all, page...); next == "" {
			return all
		}
		f.Cursor = next
	}
}

func TestStoreLines(t *testing.T) {
	s := open(t)
	var e teller
	apply(t, s, []store.NewEvent{
		e.enrolled("c1", `"user_id":"user_gone"`), e.enrolled("c2", `"user_id":"user_gone"`),
		e.platform("enrollment.deleted", `{"course_id":"c3","store_id":"s1","email":"a@x.example"}`),
		e.platform("store.upserted", `{"id":"s1","name":"Zoë's Beats"}`),
		e.platform("store.upserted", `{"id":"s9","name":"Empty 100%"}`),
		e.enrolled("c1", `"email":"a@x.example"`), e.enrolled("c2", `"email":"a@x.example"`),
		e.enrolled("c1", `"email":"b@x.example"`),
		e.sale("pi_7", "a@x.example", `{"storeId":"s1","productId":"p"}`),
		e.sale("pi_8", "c@x.example", `{"storeId":"s3","productId":"p"}`),
	}, 1)
	tell := func(f status.StoreFilter) (lines []string) {
		for _, l := range storeLines(t, s, f) {
			name := "?"
			if l.Name != nil {
				name = *l.Name
			}
			lines = append(lines, fmt.Sprint(l.ID, " ", name, " ", l.Customers, " ", l.Facts["enrollment"], l.Facts["payment"],
				l.Facts["subscription"], " ", l.Unattached, l.Rough, l.LastActivityAt != nil))
		}
		return lines
	}
	s1, s3, s9 := "s1 Zoë's Beats 2 3 1 0 2 false true", "s3 ? 1 0 1 0 0 false true", "s9 Empty 100% 0 0 0 0 0 false false"
	for _, limit := range []int{1, 2, 3, 50} {
		if diff := gocmp.Diff([]string{s1, s3, s9}, tell(status.StoreFilter{Limit: limit})); diff != "" {
			t.Errorf("limit %d: %s", limit, diff)
		}
	}
	for q, want := range map[string][]string{"ZOE": {s1}, "%": {s9}, "s3": {s3}, "_": nil, `\`: nil, "empty 100": {s9},
		"nobody": nil} {
		if diff := gocmp.Diff(want, tell(status.StoreFilter{Query: q, Limit: 1})); diff != "" {
			t.Errorf("%s: %s", q, diff)
		}
	}
	if err := s.FoldFigures(t.Context()); err != nil { // makes no difference
		t.Fatal(err)
	}
	if diff := gocmp.Diff([]string{s1, s3, s9}, tell(status.StoreFilter{Limit: 2})); diff != "" {
		t.Error(diff)
	}
}

// Of a long list, facts are worked out from some of its customers.
func TestStoreLinesManyCustomers(t *testing.T) {
	s, url := openURL(t)
	exec(t, url, `INSERT INTO customers (store_id, email) SELECT 's' || i % 7, 'p' || i || '@x.example'
		FROM generate_series(1, 7000) i`)
	exec(t, url, `
		INSERT INTO enrollments (course_id, person, version, email_version, store_version, name_version, progress_version,
			enrolled_version, completed_version, deleted_version, store_id, customer_id, unattached)
		SELECT 'c' || n, 'email:' || email, 'v', '', '', '', '', '', '', '', store_id, id, NULL FROM customers CROSS
			JOIN generate_series(1, 3) n`)
	for _, l := range storeLines(t, s, status.StoreFilter{Limit: 3}) {
		if l.Customers != 1000 || !l.Rough || l.Facts["enrollment"] != 3000 {
			t.Errorf("%+v", l)
		}
	}
	var ids []string
	for _, l := range storeLines(t, s, status.StoreFilter{Limit: 2, Sort: "id"}) {
		ids = append(ids, l.ID)
	}
	if len(ids) != 7 || !slices.IsSorted(ids) {
		t.Errorf("%q", ids)
	}
}

func TestParseStoreFilter(t *testing.T) {
	got, err := status.ParseStoreFilter(values(t, "q=a+b&sort=id&limit=3"))
	if diff := gocmp.Diff(status.StoreFilter{Query: "a b", Sort: "id", Limit: 3}, got); err != nil || diff != "" ||
		got.Values().Encode() != "q=a+b&sort=id" {
		t.Errorf("%v %s", err, diff)
	}
	for query, name := range map[string]string{"sort=name": "sort", "q=%00": "q", "limit=101": "limit", "type=x": "type",
		"cursor=x": "cursor"} {
		var bad *pg.BadParam
		if _, err := status.ParseStoreFilter(values(t, query)); !errors.As(err, &bad) || bad.Name != name {
			t.Errorf("%s: %v", query, err)
		}
	}
}
