package store_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/pg"
	"rollcall/store/segments"
	"rollcall/store/tags"
)

// segment makes a segment of store s1, dynamic if it has a rule.
func segment(t testing.TB, s *store.Store, name, rule string) segments.Segment {
	t.Helper()
	g := segments.Segment{Name: name, Kind: segments.Static}
	if rule != "" {
		g.Kind, g.Rule = segments.Dynamic, json.RawMessage(rule)
	}
	made, err := segments.New(s).Create(t.Context(), "s1", g, "admin")
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func refused(err error, name, why string) bool {
	var bad *pg.BadParam
	return errors.As(err, &bad) && bad.Name == name && strings.Contains(bad.Reason, why)
}

func conflicts(err error, code, why string) bool {
	var conflict *pg.Conflict
	return errors.As(err, &conflict) && conflict.Code == code && strings.Contains(conflict.Reason, why)
}

// Rules name tags and segments by ids, which stay; what they name is not deleted, and they
// never go in a circle.
func TestSegments(t *testing.T) {
	t.Parallel()
	s, url := openURL(t)
	people(t, s, 4)
	ctx, all := t.Context(), segments.New(s)
	vip := tag(t, s, url, "p00@x.example", "VIP")
	list := segment(t, s, "by hand", "")
	for _, email := range []string{"p00@x.example", "p01@x.example"} {
		if err := all.Include(ctx, "s1", idAt(t, url, "s1", email), list.ID, "admin"); err != nil {
			t.Fatal(err)
		}
	}
	both := segment(t, s, "both", `{"all":[{"tag":"`+vip+`"},{"segment":"`+list.ID+`"}]}`)
	not := segment(t, s, "not both", `{"none":[{"segment":"`+both.ID+`"}]}`)
	for id, want := range map[string]string{list.ID: "p00 p01", both.ID: "p00", not.ID: "p01 p02 p03", "seg_none": ""} {
		page, _, err := customers.New(s).Customers(ctx, customers.Filter{Store: "s1", Segment: id, Sort: "email"})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range page {
			got = append(got, c.Email[:3])
			for _, tag := range c.Tags {
				if tag.ID != vip {
					t.Errorf("%s is tagged %v", c.Email, tag)
				}
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %q, want %q", id, got, want)
		}
	}

	if err := tags.New(s).Delete(ctx, "s1", vip); !conflicts(err, "in_use", "“both”") {
		t.Errorf("a tag that a rule names: %v", err)
	}
	other := tag(t, s, url, "p03@x.example", "other")
	if err := tags.New(s).Merge(ctx, "s1", vip, other); !conflicts(err, "in_use", "“both”") {
		t.Errorf("a merge of such a tag: %v", err)
	}
	if err := all.Delete(ctx, "s1", both.ID); !conflicts(err, "in_use", "“not both”") {
		t.Errorf("a segment that a rule names: %v", err)
	}
	name, version := "  Both  of them", 1
	renamed, err := all.Update(ctx, "s1", both.ID, segments.Change{Name: &name, Version: &version})
	if err != nil || renamed.ID != both.ID || renamed.Name != "Both of them" || renamed.Version != 2 {
		t.Errorf("%+v %v", renamed, err)
	}
	if _, err := all.Update(ctx, "s1", both.ID, segments.Change{Version: &version}); !conflicts(err, "changed", "") {
		t.Errorf("a change of an earlier version: %v", err)
	}
	circle := json.RawMessage(`{"any":[{"segment":"` + not.ID + `"}]}`)
	if _, err := all.Update(ctx, "s1", both.ID, segments.Change{Rule: circle}); !refused(err, "rule", "circle") {
		t.Errorf("a circle: %v", err)
	}
	wantSegmentsRefused(t, all)
	if err := errors.Join(all.Delete(ctx, "s1", not.ID), all.Delete(ctx, "s1", both.ID), all.Delete(ctx, "s1", list.ID),
		tags.New(s).Clear(ctx), tags.New(s).Delete(ctx, "s1", vip)); err != nil {
		t.Error(err)
	}
	wantRows(t, url, `SELECT DISTINCT t.name FROM customer_tags c LEFT JOIN tags t ON t.id = c.tag_id`, "other")
	wantSound(t, s)
}

func wantSegmentsRefused(t *testing.T, all *segments.Segments) {
	t.Helper()
	for _, c := range []struct{ name, kind, rule, param string }{
		{"BY  HÁND", "static", "", "name"}, {"", "static", "", "name"}, {"x", "other", "", "kind"},
		{"x", "static", `{"tag":"a"}`, "rule"}, {"x", "dynamic", "", "rule"}, {"x", "dynamic", "null", "rule"},
		{"x", "dynamic", `{"colour":"green"}`, "rule"}, {"x", "dynamic", `{"all":5}`, "rule"},
	} {
		_, err := all.Create(t.Context(), "s1",
			segments.Segment{Name: c.name, Kind: c.kind, Rule: json.RawMessage(c.rule)}, "admin")
		if !refused(err, c.param, "") {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, g := range must(all.List(t.Context(), "s1")) {
		if g.ReadyMade {
			continue // every store has it
		}
		for what, err := range map[string]error{
			"get": second(all.Segment(t.Context(), "s2", g.ID)), "delete": all.Delete(t.Context(), "s2", g.ID),
			"change": second(all.Update(t.Context(), "s2", g.ID, segments.Change{})),
			"moves":  second(all.Moves(t.Context(), "s2", g.ID, 0, 1)),
		} {
			if !errors.Is(err, pg.ErrNotFound) {
				t.Errorf("%s of another store: %v", what, err)
			}
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// The first look at a watched segment makes no moves; later ones write down who came and
// who left since, once, and who moved to another address did neither.
func TestWatchedSegment(t *testing.T) {
	t.Parallel()
	s, url := openURL(t)
	var e teller
	apply(t, s, []store.NewEvent{e.user("user_1", "a@x.example", "verified"), e.enrolled("c1", `"user_id":"user_1"`),
		e.enrolled("c1", `"email":"b@x.example"`), e.enrolled("c2", `"email":"c@x.example"`)}, 1)
	all, on := segments.New(s), true
	g := segment(t, s, "in c1", `{"enrollment":{"course":"c1"}}`)
	if _, err := all.Update(t.Context(), "s1", g.ID, segments.Change{Watched: &on}); err != nil {
		t.Fatal(err)
	}
	const moves = `SELECT email || ' ' || kind FROM segment_moves ORDER BY id`
	look := func(want ...string) {
		t.Helper()
		if looked, err := all.Look(t.Context(), 0); err != nil || !looked {
			t.Fatalf("%v %v", looked, err)
		}
		wantRows(t, url, moves, want...)
	}
	look()
	wantRows(t, url, `SELECT email FROM watched_members WHERE first ORDER BY 1`, "a@x.example", "b@x.example")
	apply(t, s, []store.NewEvent{e.user("user_1", "d@x.example", "verified"), e.enrolled("c1", `"email":"c@x.example"`),
		e.platform("enrollment.deleted", `{"course_id":"c1","email":"b@x.example"}`)}, 1)
	look("b@x.example out", "c@x.example in")
	look("b@x.example out", "c@x.example in")
	listed, err := all.Moves(t.Context(), "s1", g.ID, 0, 10)
	if err != nil || len(listed) != 2 || listed[1].Customer == nil || listed[0].Kind != "out" {
		t.Errorf("%+v %v", listed, err)
	}
	if later, err := all.Moves(t.Context(), "s1", g.ID, listed[0].ID, 10); err != nil || len(later) != 1 {
		t.Errorf("%+v %v", later, err)
	}
	if _, err := all.Update(t.Context(), "s1", g.ID, segments.Change{
		Rule: json.RawMessage(`{"enrollment":{"course":"c2"}}`)}); err != nil {
		t.Fatal(err)
	}
	look("b@x.example out", "c@x.example in") // another rule is looked at for the first time
	erase(t, s, store.Erasing{Email: "c@x.example"})
	wantRows(t, url, `SELECT email FROM watched_members WHERE email LIKE 'c@%' UNION
		SELECT email FROM segment_moves WHERE email LIKE 'c@%'`)
}

// A rule that becomes long by the segments it names is refused, and not searched with.
func TestRuleOfManySegments(t *testing.T) {
	t.Parallel()
	s, _ := openURL(t)
	people(t, s, 3)
	const lead = `{"customer":{"type":"lead"}}`
	g := segment(t, s, "many", `{"any":[`+strings.Repeat(lead+",", 49)+lead+`]}`)
	for n, ok := range map[int]bool{1: true, 4: true, 5: false, 50: false} {
		rule := `{"any":[` + strings.TrimSuffix(strings.Repeat(`{"segment":"`+g.ID+`"},`, n), ",") + `]}`
		_, _, err := customers.New(s).Customers(t.Context(), customers.Filter{Store: "s1", Rule: rule})
		var bad *pg.BadParam
		if (err == nil) != ok || !ok && (!errors.As(err, &bad) || bad.Name != "rule") {
			t.Errorf("%d segments of 50 conditions: %v", n, err)
		}
	}
}

// A rule may search for several things: each finds its own.
func TestRuleOfManySearches(t *testing.T) {
	t.Parallel()
	s, _ := openURL(t)
	people(t, s, 12)
	for rule, want := range map[string]int{
		`{"any":[{"customer":{"q":"p01"}},{"customer":{"q":"p02"}},{"customer":{"q":"nobody"}}]}`: 2,
		`{"all":[{"customer":{"q":"p0"}},{"none":[{"customer":{"q":"p03 x.example"}}]}]}`:         9,
	} {
		page, _, err := customers.New(s).Customers(t.Context(), customers.Filter{Store: "s1", Rule: rule})
		if err != nil || len(page) != want {
			t.Errorf("%s: %d of %d, %v", rule, len(page), want, err)
		}
	}
}

// None of a tag that does not exist would be everyone.
func TestRulesNameWhatIsThere(t *testing.T) {
	t.Parallel()
	s, url := openURL(t)
	people(t, s, 1)
	all, mine := segments.New(s), tag(t, s, url, "p00@x.example", "VIP")
	for rule, want := range map[string]string{
		`{"tag":"` + mine + `"}`:                      "",
		`{"segment":"stuck"}`:                         "",
		`{"enrollment":{"course":"not_heard_of"}}`:    "",
		`{"none":[{"tag":"tag_gone"}]}`:               `the tag "tag_gone", which the store does not have`,
		`{"any":[{"none":[{"segment":"seg_gone"}]}]}`: `the segment "seg_gone", which the store does not have`,
	} {
		made, err := all.Create(t.Context(), "s1", segments.Segment{Name: "n", Kind: "dynamic", Rule: []byte(rule)}, "admin")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", rule, err)
		}
		if err == nil {
			gone := segments.Change{Rule: []byte(`{"tag":"tag_gone"}`)}
			if _, err := all.Update(t.Context(), "s1", made.ID, gone); err == nil {
				t.Error("changed to an unknown tag")
			}
			if err := all.Delete(t.Context(), "s1", made.ID); err != nil {
				t.Error(err)
			}
		}
	}
	_, err := all.Create(t.Context(), "s2", segments.Segment{Name: "n", Kind: "dynamic",
		Rule: []byte(`{"tag":"` + mine + `"}`)}, "admin")
	if err == nil {
		t.Error("a tag of another store")
	}
}

// Ready-made segments are in every store, pinned and watched in each on its own, and never changed otherwise.
func TestReadyMadeSegments(t *testing.T) {
	t.Parallel()
	s, url := openURL(t)
	var e teller
	apply(t, s, []store.NewEvent{e.enrolled("c1", `"email":"a@x.example"`)}, 1)
	exec(t, url, `INSERT INTO segments (id, store_id, name, folded, kind, created_by)
		VALUES ('seg_older', 's1', 'Finished', 'finished', 'static', 'admin')`) // from before there were any
	all, on, name, version := segments.New(s), true, "Mine", 0
	for what, c := range map[string]segments.Change{"name": {Name: &name}, "rule": {Rule: []byte(`{"tag":"x"}`)}} {
		_, err := all.Update(t.Context(), "s1", "finished", c)
		if !conflicts(err, "ready_made", "Copy it to change it") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := all.Delete(t.Context(), "s1", "finished"); !conflicts(err, "ready_made", "cannot be deleted") {
		t.Error(err)
	}
	g, err := all.Update(t.Context(), "s1", "finished", segments.Change{Pinned: &on, Watched: &on, Version: &version})
	if err != nil || g.ID != "finished" || g.Version != 1 || g.CreatedAt != nil {
		t.Fatalf("%+v %v", g, err)
	}
	_, err = all.Update(t.Context(), "s1", "finished", segments.Change{Version: &version})
	if !conflicts(err, "changed", "") {
		t.Errorf("a change of an earlier version: %v", err)
	}
	for store, want := range map[string]string{
		"s1": "at_risk stuck finished! never_started big_spenders new_this_week seg_older",
		"s2": "at_risk stuck finished never_started big_spenders new_this_week"} {
		var got []string
		for _, g := range must(all.List(t.Context(), store)) {
			if one := must(all.Segment(t.Context(), store, g.ID)); one.Pinned != g.Pinned || one.Watched != g.Pinned {
				t.Errorf("%+v is listed as %+v", one, g)
			}
			got = append(got, g.ID+map[bool]string{true: "!"}[g.Pinned])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%s: %v", store, got)
		}
	}
	for range 2 {
		if looked, err := all.Look(t.Context(), 0); err != nil || !looked {
			t.Fatal(looked, err)
		}
		apply(t, s, []store.NewEvent{e.platform("enrollment.upserted",
			`{"course_id":"c1","email":"a@x.example","progress":100,"completed_at":"2026-01-02T00:00:00Z"}`)}, 1)
	}
	if moves := must(all.Moves(t.Context(), "s1", "finished", 0, 9)); len(moves) != 1 || moves[0].Kind != "in" {
		t.Errorf("%+v", moves)
	}
	if moves := must(all.Moves(t.Context(), "s2", "finished", 0, 9)); len(moves) != 0 {
		t.Errorf("of another store: %+v", moves)
	}
	latest := must(all.Latest(t.Context(), "s1", "finished", 9))
	if len(latest) != 1 || latest[0].Called != "a@x.example" {
		t.Errorf("%+v", latest)
	}
	off := false
	g, err = all.Update(t.Context(), "s1", "finished", segments.Change{Watched: &off})
	if err != nil || !g.Pinned || g.Watched {
		t.Errorf("%+v %v", g, err)
	}
	wantRows(t, url, `SELECT email FROM watched_members`)
}

// Segments within segments are four groups deep at most. Deeper ones of before are found, and changed but not made
// deeper.
func TestNestedSegmentsDepth(t *testing.T) {
	t.Parallel()
	s, url := openURL(t)
	people(t, s, 2)
	all, inner := segments.New(s), segment(t, s, "1", `{"all":[{"customer":{"type":"lead"}}]}`)
	for _, name := range []string{"2", "3", "4"} {
		inner = segment(t, s, name, `{"any":[{"segment":"`+inner.ID+`"}]}`)
	}
	deeper := segments.Segment{Name: "5", Kind: segments.Dynamic, Rule: []byte(`{"any":[{"segment":"` + inner.ID + `"}]}`)}
	if _, err := all.Create(t.Context(), "s1", deeper, "admin"); !refused(err, "rule", `"5" too large`) ||
		!strings.Contains(err.Error(), "groups 4 deep") {
		t.Errorf("five deep: %v", err)
	}
	exec(t, url, `INSERT INTO segments (id, store_id, name, folded, kind, rule, created_by)
		VALUES ('seg_older', 's1', 'older', 'older', 'dynamic', '{"any":[{"segment":"`+inner.ID+`"}]}', 'admin')`)
	wantRows(t, url, `SELECT count(*)::text FROM customers WHERE store_id = 's1' AND type = 'lead'`, "2")
	page, _, err := customers.New(s).Customers(t.Context(), customers.Filter{Store: "s1", Segment: "seg_older"})
	if err != nil || len(page) != 2 {
		t.Errorf("an older one: %d %v", len(page), err)
	}
	on, one := true, must(all.List(t.Context(), "s1"))[len(customers.ReadySegments)]
	for _, err := range []error{
		second(all.Update(t.Context(), "s1", "seg_older", segments.Change{Pinned: &on, Rule: deeper.Rule})),
		second(all.Update(t.Context(), "s1", one.ID, segments.Change{
			Rule: []byte(`{"none":[{"customer":{"type":"lead"}}]}`)})),
	} {
		if err != nil {
			t.Errorf("a change that makes nothing deeper: %v", err)
		}
	}
	_, err = all.Update(t.Context(), "s1", one.ID, segments.Change{
		Rule: []byte(`{"none":[{"any":[{"customer":{"type":"lead"}},{"tag":"x"}]}]}`)})
	if !refused(err, "rule", "too large") {
		t.Errorf("a change that makes others deeper: %v", err)
	}
}
