package customers

import (
	"errors"
	"net/url"
	"testing"
	"time"
	"unicode/utf8"

	gocmp "github.com/google/go-cmp/cmp"

	"rollcall/store"
	"rollcall/store/checks"
	"rollcall/store/pg"
	"rollcall/store/status"
)

// settles holds for every list: what its parser accepts can be written into an
// address, and is read back as the same question; what it refuses is the
// visitor's mistake, in words that can be shown.
func settles[F interface{ Values() url.Values }](t *testing.T, parse func(url.Values) (F, error), q url.Values) (
	f F, ok bool) {
	t.Helper()
	f, err := parse(q)
	if err != nil {
		refusedInWords(t, err)
		return f, false
	}
	again, err := parse(f.Values())
	if diff := gocmp.Diff(f, again); err != nil || diff != "" {
		t.Errorf("%v is read as %+v, and then: %v\n%s", q, f, err, diff)
	}
	return f, true
}

func refusedInWords(t *testing.T, err error) {
	t.Helper()
	var bad *pg.BadParam
	if !errors.As(err, &bad) || bad.Name == "" && bad.Reason == "" {
		t.Fatalf("%T %v", err, err)
	}
}

// wantArguments wants every condition to take its values as arguments which
// Postgres can hold: no text of a visitor's becomes SQL.
func wantArguments(t *testing.T, w *pg.Conditions) {
	t.Helper()
	for _, arg := range *w.Args {
		if text, ok := arg.(string); ok && !pg.Storable(text) {
			t.Errorf("Postgres cannot hold %q", text)
		}
	}
	if !utf8.ValidString(w.String()) {
		t.Errorf("SQL %q", w)
	}
}

func filterSeeds(f *testing.F, more ...string) {
	for _, q := range append(more, "", "limit=0", "limit=7&cursor=", "x=1", "q=%ff", "q=%00", "a=1&a=2", "cursor=bnVsbA",
		"%zz",
		"since=30d&until=2026-01-31T10:00:00.5%2b02:00", "sort=-name&q=%20ada") {
		f.Add(q)
	}
}

func FuzzFilter(f *testing.F) {
	filterSeeds(
		f, "type=lead&status=active&source=free_course&course=c&not_course=d&completed=yes&"+
			"progress_min=1.5&progress_max=99&product=p&not_product=r",
		"spent_min=99.50&first_seen_after=30d&first_seen_before=2026-01-31&"+
			"last_activity_after=12h&last_activity_before=2026-01-31T10:00:00Z&q=ada&sort=spent&limit=100")
	f.Fuzz(func(t *testing.T, query string) {
		q, _ := url.ParseQuery(query) // what can be read of it, as net/http does
		got, ok := settles(t, func(q url.Values) (Filter, error) { return ParseFilter("s", q) }, q)
		if !ok {
			return
		}
		w := &pg.Conditions{Args: &pg.Arguments{}}
		rule, err := got.AsRule()
		if err != nil {
			t.Fatal(err)
		}
		asked := &listQuery{conds: compiler{now: time.Now(),
			sought: map[string]sought{got.Query: {patterns: []string{got.Query}}}}.all(rule)}
		asked.own(w, cond.ofAll)
		asked.indexed(w, cond.ofAll)
		wantArguments(t, w)
	})
}

func FuzzEventFilter(f *testing.F) {
	filterSeeds(f, "source=stripe&status=failed&type=invoice.paid&id=evt_1&error=a%25b_c&since=5d&until=2026-01-31")
	f.Fuzz(func(t *testing.T, query string) {
		q, _ := url.ParseQuery(query)
		got, ok := settles(t, store.ParseEventFilter, q)
		if !ok {
			return
		}
		w := &pg.Conditions{Args: &pg.Arguments{}}
		got.Meets(w)
		wantArguments(t, w)
	})
}

// FuzzOtherFilters reads those of stores, facts on no list, and timelines.
func FuzzOtherFilters(f *testing.F) {
	key, ada := `["user:1","c"]`, "ada"
	filterSeeds(f, "q=aurora&sort=id&cursor="+pg.Position{Sort: "id", Key: &ada, ID: 1}.Encode(),
		"store=s&cursor="+pg.Position{Sort: store.OffSort, Key: &key, ID: 3}.Encode(),
		"cursor="+pg.Position{Sort: timelineSort, Key: &ada, ID: 1}.Encode())
	f.Fuzz(func(t *testing.T, query string) {
		q, _ := url.ParseQuery(query)
		if of, err := checks.ParseOffFilter("no_email", q); err != nil {
			refusedInWords(t, err)
		} else if _, after, err := of.Check(); err != nil || !pg.Storable(after.A+after.B) || after.Kind == "" {
			t.Errorf("%+v %v %v", of, after, err)
		}
		if _, err := ParseTimelineFilter(q); err != nil {
			refusedInWords(t, err)
		}
		if of, err := status.ParseStoreFilter(q); err != nil {
			refusedInWords(t, err)
		} else if !pg.Storable(of.Query + of.Sort) {
			t.Errorf("%+v", of)
		}
	})
}

// A cursor is what we wrote, or it is refused: what is read has a place in its order.
func FuzzCursor(f *testing.F) {
	for sort := range orders {
		for _, key := range []string{"2026-01-31T10:00:00.123456Z", "-12.5", "ada", "\x00", "\xff", ""} {
			f.Add(sort, pg.Position{Sort: sort, Key: &key, ID: 7}.Encode(), key)
		}
		f.Add("-"+sort, pg.Position{Sort: "-" + sort, ID: 1 << 62}.Encode(), "")
	}
	f.Fuzz(func(t *testing.T, sort, cursor, key string) {
		at, err := pg.DecodeCursor(cursor, sort)
		if err != nil {
			refusedInWords(t, err)
		} else if at != nil {
			again, err := pg.DecodeCursor(at.Encode(), sort)
			if diff := gocmp.Diff(at, again); err != nil || diff != "" || at.ID <= 0 || at.Sort != sort {
				t.Errorf("%q is read as %+v, and then %v %s", cursor, at, err, diff)
			}
		}
		by, _ := orderOf(sort)
		if by.valid == nil || !utf8.ValidString(key) { // JSON replaces what is no UTF-8
			return
		}
		ours := pg.Position{Sort: sort, Key: &key, ID: 7}
		read, err := pg.DecodeCursor(ours.Encode(), sort)
		if diff := gocmp.Diff(&ours, read); err != nil || diff != "" {
			t.Errorf("%+v: %v %s", ours, err, diff)
		}
		if by.reads(&key) && !pg.Storable(key) {
			t.Errorf("the order %s takes the key %q", sort, key)
		}
	})
}
