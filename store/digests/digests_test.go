package digests_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"rollcall/internal/testing/storetest"
	"rollcall/internal/testing/testdb"
	"rollcall/mail"
	"rollcall/store"
	"rollcall/store/campaigns"
	"rollcall/store/digests"
	storemail "rollcall/store/mail"
)

func TestMain(m *testing.M) { testdb.Main(m) }

// The week of the tests is from Monday, 2 March 2026, to the next one.
const market = `
	INSERT INTO users (id, email, version, deleted_version) VALUES
		('user_1', 'owner@x.example', 'v', ''),
		('user_2', 'member@x.example', 'v', ''),
		('user_3', NULL, 'v', ''),
		('user_4', 'stranger@x.example', 'v', '');
	INSERT INTO stores (id, name, owner_user_id, member_user_ids, version, time_zone) VALUES
		('s1', 'Aurora', 'user_1', '{user_2,user_3}', 'v', 'America/New_York'),
		('s2', 'Borealis', 'user_1', '{}', 'v', '');
	UPDATE digests SET due_at = '2026-03-09 09:00Z';
	INSERT INTO customers (store_id, email, first_seen_at) VALUES
		('s1', 'before@x.example', '2026-03-02 04:59Z'),
		('s1', 'first@x.example', '2026-03-02 05:00Z'),
		('s1', 'last@x.example', '2026-03-09 03:59Z'), -- clocks were put forward on Sunday
		('s1', 'after@x.example', '2026-03-09 04:00Z');`

func open(t *testing.T, more string) (*store.Store, *digests.Digests) {
	t.Helper()
	s := storetest.Open(t, market, more)
	return s, digests.New(s, "https://rollcall.example")
}

// step writes all digests that are due.
func step(t *testing.T, d *digests.Digests, at string) {
	t.Helper()
	for worked := true; worked; {
		var err error
		if worked, err = d.Step(t.Context(), moment(t, at)); err != nil {
			t.Fatal(err)
		}
	}
}

func moment(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func rows(t *testing.T, s *store.Store, sql string) []string {
	t.Helper()
	found, err := s.Pool.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(found, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return all
}

const mailed = `SELECT concat_ws(' ', email, step, occurrence, to_char(due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'))
	FROM mails ORDER BY occurrence, step, email`

// Members hear of their store's week on its Monday morning, once.
func TestMembersAreToldOnMonday(t *testing.T) {
	t.Parallel()
	s, d := open(t, "")
	step(t, d, "2026-03-09T12:59:00Z") // 8:59 in New York
	if got := rows(t, s, mailed); len(got) > 0 {
		t.Errorf("too early: %q", got)
	}
	step(t, d, "2026-03-09T13:00:00Z")
	s.Pool.Exec(t.Context(), `UPDATE digests SET due_at = '2026-03-09 13:00Z'`) // as if it were not written down
	step(t, d, "2026-03-10T10:00:00Z")
	want := []string{"member@x.example s1 2026-03-09 2026-03-09 13:00", "owner@x.example s1 2026-03-09 2026-03-09 13:00"}
	if diff := cmp.Diff(want, rows(t, s, mailed)); diff != "" {
		t.Error(diff)
	}
	text := strings.Join(rows(t, s, `SELECT subject || E'\n' || markdown FROM mail_bodies`), "\n---\n")
	for _, part := range []string{"Your week at {store}: 2 new customers\n", "from 2 March to 8 March 2026",
		"](https://rollcall.example/store/s1/customers?first_seen_after=2026-03-02&first_seen_before=2026-03-09)"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
	if strings.Contains(text, "@") || strings.Contains(text, " 0 ") {
		t.Errorf("it names customers, or tells of nothing:\n%s", text)
	}
}

// A week of which it is too late to tell is left out, and so is one without news.
func TestNoOldNews(t *testing.T) {
	t.Parallel()
	s, d := open(t, "")
	step(t, d, "2026-03-11T13:01:00Z")
	if got := rows(t, s, mailed); len(got) > 0 {
		t.Errorf("on Wednesday: %q", got)
	}
	want := []string{"s1 2026-03-16 13:00", "s2 2026-03-16 09:00"}
	if diff := cmp.Diff(want, rows(t, s, `
		SELECT concat_ws(' ', store_id, to_char(due_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'))
		FROM digests
		ORDER BY 1`)); diff != "" {
		t.Error(diff)
	}
	step(t, d, "2026-03-23T14:00:00Z")
	if got := rows(t, s, mailed); len(got) > 0 {
		t.Errorf("of a week without news: %q", got)
	}
}

// Each figure counts what its line says, in the week.
func TestFigures(t *testing.T) {
	t.Parallel()
	s, d := open(t, `
		DELETE FROM customers WHERE email NOT IN ('before@x.example', 'after@x.example');
		INSERT INTO subscriptions (account, id, version, status, ever_active, ended_at, store_id, customer_id, unattached,
			checkout_version)
		SELECT '', v.id, 'v', v.status, true, v.ended_at::timestamptz, 's1', c.id, NULL, ''
		FROM (VALUES
			('sub_1', 'before', 'canceled', '2026-03-05'),
			('sub_2', 'after', 'canceled', '2026-03-05'), -- goes on with another
			('sub_3', 'after', 'past_due', NULL),
			('sub_4', 'before', 'canceled', '2026-02-05')
		) v (id, who, status, ended_at)
		JOIN customers c ON c.email = v.who || '@x.example';
		INSERT INTO enrollments (course_id, person, email_version, store_version, version, name_version, progress_version,
			enrolled_version, completed_version, deleted_version, store_id, customer_id, unattached, progress, peak_progress,
			progressed_at, completed_at)
		SELECT v.course, 'email:' || v.who || '@x.example', '', '', '2', '', '', '', '', v.deleted, 's1', c.id, NULL,
			v.progress, v.progress, v.progressed_at::timestamptz, v.completed_at::timestamptz
		FROM (VALUES
			('c1', 'before', 100, '2026-03-05', '2026-03-05', ''), -- finished
			('c2', 'before', 100, '2026-03-06', NULL, ''),         -- finished, but no one said when
			('c3', 'before', 100, '2026-03-01', '2026-03-01', ''), -- finished before
			('c4', 'before', 100, '2026-03-05', '2026-03-05', '3'), -- left
			('c1', 'after', 30, '2026-02-18', NULL, ''),           -- stuck since 4 March
			('c2', 'after', 30, '2026-02-15', NULL, ''),           -- stuck since the Sunday before
			('c3', 'after', 30, '2026-02-24', NULL, '')            -- not yet
		) v (course, who, progress, progressed_at, completed_at, deleted)
		JOIN customers c ON c.email = v.who || '@x.example'`)
	step(t, d, "2026-03-09T13:00:00Z")
	text := strings.Join(rows(t, s, `SELECT markdown FROM mail_bodies`), "\n---\n")
	for _, part := range []string{
		"- [1 customer ended the last subscription](", "- [1 customer has a payment that fails](",
		"- 2 courses were finished\n", "- [1 customer got stuck in a course]("} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in\n%s", part, text)
		}
	}
}

// Members need not be customers, and who leaves is left alone; so are others' mails.
func TestDigestsAreSent(t *testing.T) {
	t.Parallel()
	s, d := open(t, "")
	step(t, d, "2026-03-09T13:00:00Z")
	mails, recipients := storemail.New(s, campaigns.New(s).Skips), storemail.NewRecipients(s)
	var left int64
	err := s.Pool.QueryRow(t.Context(), `SELECT id FROM mails WHERE email = 'owner@x.example'`).Scan(&left)
	if err != nil {
		t.Fatal(err)
	}
	at := moment(t, "2026-03-09T14:00:00Z")
	if err := recipients.OneClick(t.Context(), mail.Ticket{Mail: left}, at); err != nil {
		t.Fatal(err)
	}
	turn, ok, err := mails.Take(t.Context(), "w1", at)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	batch, err := mails.Claim(t.Context(), turn, at, 100)
	if claimed := batch.Mails; err != nil || len(claimed) != 1 || claimed[0].Email != "member@x.example" {
		t.Errorf("claimed %+v, %v; want that to the member", batch.Mails, err)
	}
	want := []string{"stopped"}
	if diff := cmp.Diff(want, rows(t, s, `SELECT reason FROM mails WHERE email = 'owner@x.example'`)); diff != "" {
		t.Error(diff)
	}
}
