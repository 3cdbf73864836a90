package store_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/store/tags"
)

// emailsOf are the addresses of a filter's list, sorted.
func emailsOf(t testing.TB, s *store.Store, f customers.Filter) string {
	t.Helper()
	f.Store, f.Sort = "s1", "email"
	page, _, err := customers.New(s).Customers(t.Context(), f)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, c := range page {
		all = append(all, c.Email[:1])
	}
	return strings.Join(all, "")
}

func TestTags(t *testing.T) {
	s, url := openURL(t)
	ctx := t.Context()
	var e teller
	apply(t, s, []store.NewEvent{e.enrolled("c1", `"email":"a@x.example"`), e.enrolled("c1", `"email":"b@x.example"`),
		e.enrolled("c1", `"email":"c@x.example"`),
		e.platform("enrollment.upserted", `{"course_id":"c2","store_id":"s2","email":"a@x.example"}`)}, 1)
	own := tags.New(s)
	vip := tag(t, s, url, "a@x.example", "VIP")
	if again := tag(t, s, url, "b@x.example", "  víp "); again != vip {
		t.Errorf("another tag that differs in case, accent and spaces: %v", again)
	}
	late := tag(t, s, url, "b@x.example", "late payer 🎧")
	tag(t, s, url, "b@x.example", "late payer 🎧") // once is enough
	for filter, want := range map[customers.Filter]string{
		{Tag: vip}:                    "ab",
		{NotTag: vip}:                 "c",
		{Tag: vip, NotTag: late}:      "a",
		{Tag: "tag_of_nobody"}:        "",
		{Tag: vip, Query: "b@x"}:      "b",
		{Tag: late, Type: "lead"}:     "b",
		{NotTag: late, Course: "c1"}:  "ac",
		{Tag: vip, NotCourse: "c1"}:   "",
		{NotTag: vip, Completed: ""}:  "c",
		{Tag: late, Status: "active"}: "b",
	} {
		if got := emailsOf(t, s, filter); got != want {
			t.Errorf("%+v: %q, not %q", filter, got, want)
		}
	}
	stats, err := customers.New(s).Stats(ctx, customers.Filter{Store: "s1", Tag: vip})
	if err != nil || stats.Total != 2 {
		t.Errorf("%+v %v", stats, err)
	}
	list := func() (all []string) {
		found, err := own.List(ctx, "s1")
		if err != nil {
			t.Fatal(err)
		}
		for _, t := range found {
			all = append(all, strings.Join([]string{t.Name, t.CreatedBy, strings.Repeat("x", int(t.Customers))}, " "))
		}
		return all
	}
	if diff := cmp.Diff([]string{"late payer 🎧 admin x", "VIP admin xx"}, list()); diff != "" {
		t.Error(diff)
	}
	if err := own.Rename(ctx, "s1", vip, "Zebra"); err != nil {
		t.Fatal(err)
	}
	if got := tagged(t, s, url, "b@x.example"); got != "late payer 🎧,Zebra" {
		t.Errorf("renamed: %q", got)
	}
	if err := own.Merge(ctx, "s1", vip, late); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"late payer 🎧 admin xx"}, list()); diff != "" {
		t.Error(diff)
	}
	if got := emailsOf(t, s, customers.Filter{Tag: late}); got != "ab" {
		t.Errorf("merged: %q", got)
	}
	if err := own.Take(ctx, "s1", idAt(t, url, "s1", "a@x.example"), late); err != nil {
		t.Fatal(err)
	}
	if got := emailsOf(t, s, customers.Filter{Tag: late}); got != "b" {
		t.Errorf("taken off: %q", got)
	}
	if err := own.Delete(ctx, "s1", late); err != nil {
		t.Fatal(err)
	}
	wantRows(t, url, `SELECT email FROM customer_tags UNION ALL SELECT id FROM tags
	UNION ALL SELECT customer_id::text FROM customer_index WHERE tags <> '{}'`)
}

// What cannot be is refused, and says why.
func TestTagsRefused(t *testing.T) {
	s, url := openURL(t)
	ctx := t.Context()
	var e teller
	apply(t, s, []store.NewEvent{e.enrolled("c1", `"email":"a@x.example"`),
		e.platform("enrollment.upserted", `{"course_id":"c2","store_id":"s2","email":"a@x.example"}`)}, 1)
	own := tags.New(s)
	vip, other := tag(t, s, url, "a@x.example", "VIP"), tag(t, s, url, "a@x.example", "other")
	for name, why := range map[string]string{
		"": "is empty", " \t": "is empty", strings.Repeat("é", 61): "61 characters", "a\x00b": "not text",
		"a\x1bb": "not text", "ViP": "is taken",
		"\u200b": "can be seen", "\u202e\u200b": "can be seen", "\u00a0\u200b\u3164": "can be seen", "\u2800": "can be seen",
	} {
		_, err := own.Create(ctx, "s1", name, "admin")
		renamed := own.Rename(ctx, "s1", other, name)
		for _, err := range []error{err, renamed} {
			var bad *pg.BadParam
			if !errors.As(err, &bad) || bad.Name != "name" || !strings.Contains(bad.Reason, why) {
				t.Errorf("%q: %v", name, err)
			}
		}
	}
	here, there := idAt(t, url, "s1", "a@x.example"), idAt(t, url, "s2", "a@x.example")
	for what, err := range map[string]error{
		"another store's tag":      own.Put(ctx, "s2", there, vip, "admin"),
		"another store's customer": own.Put(ctx, "s1", there, vip, "admin"),
		"no customer":              own.Put(ctx, "s1", "x", vip, "admin"),
		"no tag":                   own.Put(ctx, "s1", here, "tag_x", "admin"),
		"rename another store's":   own.Rename(ctx, "s2", vip, "mine"),
		"delete another store's":   own.Delete(ctx, "s2", vip),
		"merge another store's":    own.Merge(ctx, "s2", vip, other),
		"merge into nothing":       own.Merge(ctx, "s1", vip, "tag_x"),
	} {
		if !errors.Is(err, pg.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	var bad *pg.BadParam
	if err := own.Merge(ctx, "s1", vip, vip); !errors.As(err, &bad) {
		t.Errorf("into itself: %v", err)
	}
	if got := tagged(t, s, url, "a@x.example"); got != "other,VIP" {
		t.Errorf("%q", got)
	}
	for range 498 {
		if _, err := own.Create(ctx, "s1", rapid.StringMatching("[a-z]{20}").Example(), "admin"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := own.Create(ctx, "s1", "one more", "admin"); !errors.As(err, &bad) ||
		!strings.Contains(bad.Reason, "500 tags") {
		t.Errorf("%v", err)
	}
}

// Tags that wait at an address are those of the customer who comes to live there.
func TestTagsWaitAtAnAddress(t *testing.T) {
	s, url := openURL(t)
	var e teller
	sale := func(typ string) store.NewEvent {
		return e.sale("pi_1", "b@x.example", `{"storeId":"s1","productId":"p","productType":"`+typ+`"}`)
	}
	apply(t, s, []store.NewEvent{sale("course"), e.user("user_1", "a@x.example", "verified"),
		e.enrolled("c1", `"user_id":"user_1"`)}, 1)
	tag(t, s, url, "b@x.example", "waits")
	tag(t, s, url, "a@x.example", "moves")
	apply(t, s, []store.NewEvent{sale("creator_plan")}, 1) // of the platform's own: b is gone
	wantRows(t, url, `SELECT email FROM customers`, "a@x.example")
	apply(t, s, []store.NewEvent{e.user("user_1", "b@x.example", "verified")}, 1)
	if got := tagged(t, s, url, "b@x.example"); got != "moves,waits" {
		t.Errorf("%q", got)
	}
}

// Tags that wait for a customer are the erased person's too.
func TestTagsThatWaitAreErased(t *testing.T) {
	s, url := openURL(t)
	var e teller
	sale := func(typ string) store.NewEvent {
		return e.sale("pi_1", "b@x.example", `{"storeId":"s1","productId":"p","productType":"`+typ+`"}`)
	}
	apply(t, s, []store.NewEvent{sale("course")}, 1)
	tag(t, s, url, "b@x.example", "waits")
	apply(t, s, []store.NewEvent{sale("creator_plan")}, 1) // of the platform's own: b is gone
	wantRows(t, url, `SELECT email FROM customer_tags`, "b@x.example")
	erase(t, s, store.Erasing{Email: "b@x.example"})
	wantRows(t, url, `SELECT email FROM customer_tags`)
}

// An interrupted deletion is finished later, and nothing else is touched.
func TestTagsLeftOver(t *testing.T) {
	s, url := openURL(t)
	var e teller
	apply(t, s, []store.NewEvent{e.enrolled("c1", `"email":"a@x.example"`)}, 1)
	gone, kept := tag(t, s, url, "a@x.example", "gone"), tag(t, s, url, "a@x.example", "kept")
	query(t, url, `WITH gone AS (DELETE FROM tags WHERE id = $1 RETURNING id) INSERT INTO deleted_tags SELECT id FROM gone
		RETURNING tag_id`, gone)
	if got := tagged(t, s, url, "a@x.example"); got != "kept" {
		t.Errorf("%q", got)
	}
	if err := tags.New(s).Clear(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantRows(t, url, `SELECT tag_id FROM customer_tags UNION ALL SELECT unnest(tags) FROM customer_index`, kept,
		kept)
}

// An erased person's tags go, and a tag that is called after them gets another name.
func TestTagsOfAnErasedPerson(t *testing.T) {
	s, url := openURL(t)
	var e teller
	apply(t, s, []store.NewEvent{e.enrolled("c1", `"email":"a@x.example"`), e.enrolled("c1", `"email":"b@x.example"`)}, 1)
	tag(t, s, url, "a@x.example", "VIP")
	tag(t, s, url, "b@x.example", "VIP")
	tag(t, s, url, "b@x.example", "a friend of A@x.example "+strings.Repeat("é", 30))
	erase(t, s, store.Erasing{Email: "a@x.example"})
	person := query(t, url, `SELECT person FROM erasures`)[0]
	wantRows(t, url, `SELECT email || ' ' || t.name FROM customer_tags JOIN tags t ON t.id = tag_id ORDER BY 1`,
		"b@x.example VIP", "b@x.example a friend of "+person+" "+strings.Repeat("é", 60-len("a friend of  ")-len(person)))
}

// Whatever order tags, moves, erasures and rebuilds come in, the list knows the tags of
// each customer as customer_tags has them.
func TestTagsAreIndexed(t *testing.T) {
	s, url := openURL(t)
	var e teller
	apply(t, s, []store.NewEvent{e.enrolled("c1", `"email":"a@x.example"`), e.enrolled("c1", `"user_id":"user_1"`)}, 1)
	people, names := []string{"a", "b", "c"}, []string{"x", "y", "z"}
	rapid.Check(t, func(r *rapid.T) {
		for range rapid.IntRange(1, 6).Draw(r, "steps") {
			switch rapid.IntRange(0, 2).Draw(r, "step") {
			case 0:
				apply(t, s, []store.NewEvent{e.user("user_1", rapid.SampledFrom(people).Draw(r, "to")+"@x.example", "verified")}, 1)
			case 1:
				emails := query(t, url, `SELECT email FROM customers WHERE store_id = 's1' ORDER BY 1`)
				tag(t, s, url, rapid.SampledFrom(emails).Draw(r, "whom"), rapid.SampledFrom(names).Draw(r, "tag"))
			case 2:
				all, err := tags.New(s).List(t.Context(), "s1")
				if err != nil {
					t.Fatal(err)
				}
				if i := rapid.IntRange(0, 3).Draw(r, "gone"); i < len(all) {
					if err := tags.New(s).Delete(t.Context(), "s1", all[i].ID); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		off := query(t, url, `SELECT c.email || ': ' || i.tags::text || ' should be ' || tags_of(c.store_id, c.email)::text
			FROM customers c JOIN customer_index i ON i.customer_id = c.id WHERE i.tags <> tags_of(c.store_id, c.email)`)
		if len(off) > 0 {
			r.Fatalf("%s", off)
		}
		lost := query(t, url, `SELECT email || ' ' || tag_id FROM customer_tags t
			WHERE NOT EXISTS (SELECT FROM customers c WHERE (c.store_id, c.email) = (t.store_id, t.email))`)
		if len(lost) > 0 {
			r.Fatalf("tags at addresses that customers left: %s", lost)
		}
	})
}
