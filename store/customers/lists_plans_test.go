package customers

import (
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/storetest"
	"rollcall/store/pg"
)

// A range of the order that a list has is where its walk begins; and who is
// sought is found and sorted by indexes, without a look at the rows of those who
// are not on the page.
func TestListsReadIndexes(t *testing.T) {
	s := storetest.Open(t)
	for _, sql := range []string{
		`INSERT INTO customers (store_id, email, first_seen_at, last_activity_at)
			SELECT 's', 'p' || i || '@x.example', now() - i * interval '1 h', now() - i * interval '1 min'
				FROM generate_series(1, 20000) i`,
		`INSERT INTO value_people SELECT 's', 'usd', id, 0.5, id FROM customers`,
		`INSERT INTO value_stores (store_id, due_at, forecast_in) VALUES ('s', now(), 'usd')`,
		`VACUUM ANALYZE customers, customer_index, customer_words, value_people, value_stores`,
	} {
		if _, err := s.Pool.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	plan := func(q string, statement func(*listQuery) (string, pg.Arguments)) string {
		t.Helper()
		values, err := url.ParseQuery(q)
		if err != nil {
			t.Fatal(err)
		}
		f, err := ParseFilter("s", values)
		if err != nil {
			t.Fatal(err)
		}
		asked, err := New(s).prepare(t.Context(), s.Pool, f)
		if err != nil {
			t.Fatal(err)
		}
		sql, args := statement(asked)
		rows, err := s.Pool.Query(t.Context(), "EXPLAIN "+sql, append([]any{pgx.QueryExecModeExec}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		return strings.Join(lines, "\n")
	}
	walk := plan("last_activity_before=5d", func(q *listQuery) (string, pg.Arguments) {
		return q.walk(q.spans(nil)[0], 51, 500)
	})
	if begins := strings.SplitAfterN(walk, "Index Cond: ", 2); len(begins) < 2 ||
		!strings.Contains(strings.SplitN(begins[1], "\n", 2)[0], "last_activity_at <") {
		t.Errorf("the walk does not begin at its range:\n%s", walk)
	}
	seek := plan("first_seen_before=700d", func(q *listQuery) (string, pg.Arguments) { return q.seek(nil) })
	if !strings.Contains(seek, "Index Only Scan using customers_first_seen") {
		t.Errorf("the seek reads rows:\n%s", seek)
	}
	for _, sort := range []string{"name", "-name"} {
		for _, after := range []*pg.Position{nil, {Sort: sort, Key: new("p700@x.example"), ID: 700}} {
			named := plan("sort="+sort, func(q *listQuery) (string, pg.Arguments) { return q.walk(q.spans(after)[0], 51, 0) })
			if !strings.Contains(named, "using customers_name") || strings.Contains(named, "Sort") || after != nil &&
				!strings.Contains(named, "ROW(") {
				t.Errorf("sort=%s after %v does not begin there in its index:\n%s", sort, after, named)
			}
		}
	}
	for _, sort := range []string{"expected", "-expected"} {
		for _, after := range []*pg.Position{nil, {Sort: sort, Key: new("700"), ID: 700}} {
			text := plan("sort="+sort, func(q *listQuery) (string, pg.Arguments) { return q.walk(q.spans(after)[0], 51, 0) })
			if !strings.Contains(text, "using value_people_expected") || strings.Contains(text, "Sort") || after != nil &&
				!strings.Contains(text, "ROW(") {
				t.Errorf("sort=%s after %v does not begin there in its index:\n%s", sort, after, text)
			}
		}
	}
	sought := plan("q=p12345@+example,+x", func(q *listQuery) (string, pg.Arguments) {
		if q.reads() != readsEntries {
			t.Error("a walk that looks up words takes each for as cheap as what is in its index")
		}
		return q.seek(nil)
	})
	_, cond, _ := strings.Cut(sought, "Bitmap Index Scan on customer_words_all")
	_, cond, _ = strings.Cut(cond, "Index Cond: ")
	cond, _, _ = strings.Cut(cond, "\n")
	for _, word := range []string{"p12345@", "example", "x"} {
		if !strings.Contains(cond, "(words ~~ '%"+word+"%'::text)") {
			t.Errorf("%s is not looked up in the index:\n%s", word, sought)
		}
	}
	band := plan("progress_min=40&progress_max=59&course=x", func(q *listQuery) (string, pg.Arguments) {
		return q.seek(nil)
	})
	if !strings.Contains(band, "has && '{progress4:x,progress5:x}'::text[]") {
		t.Errorf("part of a course is not looked up:\n%s", band)
	}
	from := plan("country=IS&country=NO", func(q *listQuery) (string, pg.Arguments) { return q.seek(nil) })
	if !strings.Contains(from, "Bitmap Index Scan on customer_index_all") ||
		!strings.Contains(from, "has && '{country:IS,country:NO}'::text[]") {
		t.Errorf("countries are not looked up:\n%s", from)
	}
	pair := plan("q=qx", func(q *listQuery) (string, pg.Arguments) { return q.seek(nil) })
	if !strings.Contains(pair, "Bitmap Index Scan on customer_words_beyond_ascii") ||
		!strings.Contains(pair, "(words ~ '") {
		t.Errorf("two letters are not looked up in indexes:\n%s", pair)
	}
}
