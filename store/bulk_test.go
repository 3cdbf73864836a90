package store_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/bulk"
	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/store/tags"
)

// people enrols so many in store s1: p00@x.example and on.
func people(t testing.TB, s *store.Store, n int) {
	t.Helper()
	var e teller
	var events []store.NewEvent
	for i := range n {
		events = append(events, e.enrolled("c1", fmt.Sprintf(`"email":"p%02d@x.example"`, i)))
	}
	apply(t, s, events, 100)
}

// works does all there is to do.
func works(t testing.TB, s *store.Store) {
	t.Helper()
	for {
		worked, err := bulk.New(s).Step(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !worked {
			return
		}
	}
}

// all is an order about all customers of store s1.
func all(action, target string) bulk.Order {
	return bulk.Order{Action: action, Target: target, Filter: &customers.Filter{Store: "s1"}}
}

// start makes an action, and does it.
func start(t testing.TB, s *store.Store, o bulk.Order) bulk.Action {
	t.Helper()
	a, err := bulk.New(s).Start(t.Context(), "s1", o, "user:user_7")
	if err != nil {
		t.Fatal(err)
	}
	return ended(t, s, a)
}

// ended does all there is to do, and returns an action as it is then.
func ended(t testing.TB, s *store.Store, a bulk.Action) bulk.Action {
	t.Helper()
	works(t, s)
	a, err := bulk.New(s).Action(t.Context(), "s1", a.ID)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func wantAction(t testing.TB, a bulk.Action, status string, people, seen, changed int) {
	t.Helper()
	if a.Status != status || a.Customers != people || a.Seen != seen || a.Changed != changed {
		t.Errorf("%s, %d customers, %d seen, %d changed; want %s, %d, %d, %d", a.Status, a.Customers, a.Seen, a.Changed,
			status, people, seen, changed)
	}
}

// tagRows are who is tagged with what, by whom and when.
const tagRows = `SELECT concat_ws(' ', store_id, email, tag_id, tagged_by, tagged_at) FROM customer_tags ORDER BY 1`

func same(t testing.TB, what string, want, got []string) {
	t.Helper()
	if strings.Join(want, "\n") != strings.Join(got, "\n") {
		t.Errorf("%s:\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A tag is put on all who lack it, and the undo takes it off them alone; a tag is taken off
// all who have it, and the undo puts it back as it was.
func TestBulk(t *testing.T) {
	t.Parallel()
	s, url := openURL(t)
	people(t, s, 1203)
	vip := tag(t, s, url, "p07@x.example", "VIP")
	before := query(t, url, tagRows)

	added := start(t, s, all(bulk.Add, vip))
	wantAction(t, added, "done", 1203, 1203, 1202)
	if added.StartedBy != "user:user_7" || added.Percent() != 100 || added.UndoneBy != nil {
		t.Errorf("%+v", added)
	}
	if n := len(query(t, url, `SELECT 'x' FROM customer_index WHERE tags @> ARRAY[$1]`, vip)); n != 1203 {
		t.Errorf("%d customers have the tag", n)
	}
	full := query(t, url, tagRows)
	undone, err := bulk.New(s).Undo(t.Context(), "s1", added.ID, "admin")
	if err != nil {
		t.Fatal(err)
	}
	wantAction(t, ended(t, s, undone), "done", 1202, 1202, 1202)
	same(t, "after the undo", before, query(t, url, tagRows))
	redone, err := bulk.New(s).Undo(t.Context(), "s1", undone.ID, "admin")
	if err != nil {
		t.Fatal(err)
	}
	wantAction(t, ended(t, s, redone), "done", 1202, 1202, 1202)
	same(t, "after the undo of the undo", full, query(t, url, tagRows))

	removed := start(t, s, all(bulk.Remove, vip))
	wantAction(t, removed, "done", 1203, 1203, 1203)
	wantRows(t, url, tagRows)
	again := start(t, s, all(bulk.Remove, vip))
	wantAction(t, again, "done", 1203, 1203, 0)
	if undone, err = bulk.New(s).Undo(t.Context(), "s1", removed.ID, "admin"); err != nil {
		t.Fatal(err)
	}
	wantAction(t, ended(t, s, undone), "done", 1203, 1203, 1203)
	same(t, "after the undo of the removal", full, query(t, url, tagRows))
	var conflict *pg.Conflict
	if a, err := bulk.New(s).Undo(t.Context(), "s1", removed.ID, "admin"); !errors.As(err, &conflict) {
		t.Errorf("undone twice: %+v %v", a, err)
	}
	wantSound(t, s)
}

// wantSound checks that a rebuild finds nothing to correct.
func wantSound(t testing.TB, s *store.Store) {
	t.Helper()
	if diff, err := s.Rebuild(t.Context(), "", nil); err != nil || diff.Sum() != 0 {
		t.Errorf("rebuild: %+v %v", diff, err)
	}
}

// What was changed by hand since an action is not undone with it.
func TestBulkUndoLeavesTheRest(t *testing.T) {
	t.Parallel()
	s, url := openURL(t)
	people(t, s, 3)
	vip := tag(t, s, url, "p00@x.example", "VIP")
	added := start(t, s, all(bulk.Add, vip))
	own, p1 := tags.New(s), idAt(t, url, "s1", "p01@x.example")
	if err := errors.Join(own.Take(t.Context(), "s1", p1, vip), own.Put(t.Context(), "s1", p1, vip, "admin")); err != nil {
		t.Fatal(err)
	}
	undone, err := bulk.New(s).Undo(t.Context(), "s1", added.ID, "admin")
	if err != nil {
		t.Fatal(err)
	}
	wantAction(t, ended(t, s, undone), "done", 2, 2, 1)
	wantRows(t, url, `SELECT email || ' ' || tagged_by FROM customer_tags ORDER BY 1`, "p00@x.example admin",
		"p01@x.example admin")
}

// Who was selected is meant wherever they move to, and whoever they turn out to be; who
// comes later is not.
func TestBulkMeansWhoWasSelected(t *testing.T) {
	t.Parallel()
	s, url := openURL(t)
	var e teller
	apply(t, s, []store.NewEvent{
		e.enrolled("c1", `"email":"b@x.example"`), e.user("user_a", "a@x.example", "verified"),
		e.enrolled("c1", `"user_id":"user_a"`), e.user("user_m", "m@x.example", "verified"),
		e.enrolled("c1", `"user_id":"user_m"`),
	}, 1)
	vip, err := tags.New(s).Ensure(t.Context(), "s1", "VIP", "admin")
	if err != nil {
		t.Fatal(err)
	}
	only := func(emails ...string) (o bulk.Order) {
		o = bulk.Order{Action: bulk.Add, Target: vip}
		for _, email := range emails {
			id, _ := strconv.ParseInt(idAt(t, url, "s1", email), 10, 64)
			o.Customers = append(o.Customers, id)
		}
		return o
	}
	a, err := bulk.New(s).Start(t.Context(), "s1", only("a@x.example", "m@x.example"), "admin")
	if err != nil {
		t.Fatal(err)
	}
	apply(t, s, []store.NewEvent{
		e.user("user_a", "b@x.example", "verified"), // a is merged into b, who is older
		e.user("user_m", "n@x.example", "verified"),
		e.enrolled("c1", `"email":"late@x.example"`),
	}, 1)
	wantAction(t, ended(t, s, a), "done", 2, 2, 2)
	wantRows(t, url, `SELECT email FROM customer_tags ORDER BY 1`, "b@x.example", "n@x.example")
	apply(t, s, []store.NewEvent{e.user("user_m", "o@x.example", "verified")}, 1)
	undone, err := bulk.New(s).Undo(t.Context(), "s1", a.ID, "admin")
	if err != nil {
		t.Fatal(err)
	}
	wantAction(t, ended(t, s, undone), "done", 2, 2, 2)
	wantRows(t, url, `SELECT email FROM customer_tags`)
	wantSound(t, s)
}

// An action that would change others than the person saw is refused, and changes nothing.
func TestBulkRefuses(t *testing.T) {
	t.Parallel()
	s, url := openURL(t)
	people(t, s, 201)
	vip := tag(t, s, url, "p07@x.example", "VIP")
	ctx := t.Context()
	for expected, ok := range map[int]bool{0: false, 198: false, 199: false, 200: true, 201: true, 203: true, 204: false,
		20000: false, -1: false, 1e17: false, -1e17: false, math.MaxInt: false, math.MinInt: false} {
		o := all(bulk.Add, vip)
		o.Expected = &expected
		var conflict *pg.Conflict
		_, err := bulk.New(s).Count(ctx, "s1", o)
		if (err == nil) != ok || !ok && !errors.As(err, &conflict) {
			t.Errorf("%d expected: %v", expected, err)
		}
		if ok {
			continue
		}
		o.Target, o.TagName = "", "never made"
		a, err := bulk.New(s).Start(ctx, "s1", o, "admin")
		if !errors.As(err, &conflict) || conflict.Code != "count_differs" {
			t.Errorf("%d expected: %+v %v", expected, a, err)
		}
	}
	wantRows(t, url, `SELECT id FROM bulk_actions UNION ALL SELECT bulk_id FROM bulk_people UNION ALL
		SELECT name FROM tags WHERE name <> 'VIP'`)
	for what, o := range map[string]bulk.Order{
		"action":    {Action: "tag", Target: vip, Filter: &customers.Filter{}},
		"tag":       {Action: bulk.Add, Filter: &customers.Filter{}},
		"name":      {Action: bulk.Add, TagName: "a\x00", Filter: &customers.Filter{}},
		"customers": {Action: bulk.Add, Target: vip},
		"tag_name":  {Action: bulk.Remove, TagName: "VIP", Filter: &customers.Filter{}},
		"type":      {Action: bulk.Add, Target: vip, Filter: &customers.Filter{Type: "x"}},
	} {
		var bad *pg.BadParam
		if _, err := bulk.New(s).Start(ctx, "s1", o, "admin"); !errors.As(err, &bad) || bad.Name != what {
			t.Errorf("%s: %v", what, err)
		}
	}
	var bad *pg.BadParam
	if _, err := bulk.New(s).Start(ctx, "s1", bulk.Order{Action: bulk.Add, TagName: "ghost"}, "admin"); !errors.As(err,
		&bad) || bad.Name != "customers" {
		t.Errorf("a new tag for no one: %v", err)
	}
	wantRows(t, url, `SELECT name FROM tags WHERE name <> 'VIP'`)
	for what, o := range map[string]bulk.Order{"another store": all(bulk.Add, vip), "no tag": all(bulk.Add, "tag_x"),
		"no segment": all(bulk.Add, "seg_x")} {
		id := "s1"
		if what == "another store" {
			id = "s2"
		}
		if _, err := bulk.New(s).Start(ctx, id, o, "admin"); !errors.Is(err, pg.ErrNotFound) {
			t.Errorf("%s: %v", what, err)
		}
	}
	a := start(t, s, bulk.Order{Action: bulk.Add, TagName: "new one", Filter: &customers.Filter{Query: "nobody"}})
	wantAction(t, a, "done", 0, 0, 0)
	for _, err := range []error{second(bulk.New(s).Action(ctx, "s2", a.ID)), second(bulk.New(s).Cancel(ctx, "s2", a.ID)),
		second(bulk.New(s).Undo(ctx, "s2", a.ID, "admin"))} {
		if !errors.Is(err, pg.ErrNotFound) {
			t.Errorf("another store's action: %v", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// A cancelled action stops between two chunks, and what it changed can be undone; one whose
// tag is deleted fails.
func TestBulkCancelled(t *testing.T) {
	t.Parallel()
	s, url := openURL(t)
	people(t, s, 1203)
	vip := tag(t, s, url, "p07@x.example", "VIP")
	own := bulk.New(s)
	a, err := own.Start(t.Context(), "s1", all(bulk.Add, vip), "admin")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := own.Step(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := own.Undo(t.Context(), "s1", a.ID, "admin"); err == nil {
		t.Error("undone while it runs")
	}
	a, err = own.Cancel(t.Context(), "s1", a.ID)
	if err != nil {
		t.Fatal(err)
	}
	wantAction(t, ended(t, s, a), "cancelled", 1203, 500, 499)
	wantRows(t, url, `SELECT count(*)::text FROM customer_tags`, "500")
	undone, err := own.Undo(t.Context(), "s1", a.ID, "admin")
	if err != nil {
		t.Fatal(err)
	}
	wantAction(t, ended(t, s, undone), "done", 499, 499, 499)
	if _, err := own.Cancel(t.Context(), "s1", a.ID); err == nil {
		t.Error("cancelled twice")
	}

	if a, err = own.Start(t.Context(), "s1", all(bulk.Add, vip), "admin"); err != nil {
		t.Fatal(err)
	}
	if err := tags.New(s).Delete(t.Context(), "s1", vip); err != nil {
		t.Fatal(err)
	}
	a = ended(t, s, a)
	if wantAction(t, a, "failed", 1203, 0, 0); a.Reason == nil {
		t.Error("no reason")
	}
	wantRows(t, url, tagRows)
}

// A chunk passes over a customer whom another transaction changes, and comes back to them.
func TestBulkWaitsForNoOne(t *testing.T) {
	t.Parallel()
	s, url := openURL(t)
	people(t, s, 3)
	vip := tag(t, s, url, "p00@x.example", "VIP")
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), `
		BEGIN; UPDATE customers SET name = 'X' WHERE email = 'p01@x.example'`); err != nil {
		t.Fatal(err)
	}
	a := start(t, s, all(bulk.Add, vip))
	wantAction(t, a, "running", 3, 2, 1)
	wantRows(t, url, `SELECT email FROM customer_tags ORDER BY 1`, "p00@x.example", "p02@x.example")
	if _, err := conn.Exec(t.Context(), `COMMIT`); err != nil {
		t.Fatal(err)
	}
	wantAction(t, ended(t, s, a), "done", 3, 3, 2)
	wantRows(t, url, `SELECT email FROM customer_tags ORDER BY 1`, "p00@x.example", "p01@x.example", "p02@x.example")
}
