package campaigns_test

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"rollcall/facts"
	"rollcall/internal/testing/storetest"
	"rollcall/internal/testing/testdb"
	"rollcall/store"
	"rollcall/store/campaigns"
	"rollcall/store/mail"
	"rollcall/store/tags"
)

// TestMain lowers how many cases a law draws: each is two stories in a database. -rapid.checks=300 draws more.
func TestMain(m *testing.M) {
	if err := flag.Set("rapid.checks", "10"); err != nil {
		panic(err)
	}
	testdb.Main(m)
}

// world is a store s1, what is told of it, and its campaigns.
type world struct {
	*testing.T
	*campaigns.Campaigns
	store *store.Store
	now   time.Time
	told  int
}

// begin is when the stories of tests begin: a Monday.
var begin = moment("2026-03-02T10:00:00Z")

func newWorld(t *testing.T) *world {
	t.Helper()
	s := storetest.Open(t, `INSERT INTO mail_settings (store_id, postal_address, home_url)
		VALUES ('s1', '1 High Street', 'https://s.example')`)
	w := &world{T: t, Campaigns: campaigns.New(s), store: s, now: begin}
	w.keep(facts.Set{
		Stores: []facts.Store{{ID: "s1", Name: "S", TimeZone: "Europe/Berlin", OwnerUserID: "user_owner",
			Version: w.version(begin.AddDate(-1, 0, 0))}},
		Users: []facts.User{{ID: "user_owner", Email: "owner@x.example", Version: w.version(begin.AddDate(-1, 0, 0))}},
		Products: []facts.Product{
			{ID: "c1", StoreRef: "s1", Kind: "course", Title: "One", Version: w.version(begin.AddDate(-1, 0, 0))},
			{ID: "c2", StoreRef: "s1", Kind: "course", Title: "Two", Version: w.version(begin.AddDate(-1, 0, 0))},
		},
	})
	return w
}

func moment(text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return at
}

// version is that of what is told next, of a time.
func (w *world) version(at time.Time) facts.Version {
	w.told++
	return facts.Version(at.UTC().Format("2006-01-02T15:04:05.000000Z") + fmt.Sprintf(" 20 e%09d", w.told))
}

func (w *world) keep(set facts.Set) {
	w.Helper()
	if err := w.store.Keep(w.Context(), set); err != nil {
		w.Fatal(err)
	}
	if _, err := w.store.Rebuild(w.Context(), "", nil); err != nil {
		w.Fatal(err)
	}
}

// enrolled is an enrollment of a person who is known by the address, at a time, with a progress of a later one.
func (w *world) enrolled(course, email string, at time.Time, progress float64, later time.Time) facts.Enrollment {
	e := facts.Enrollment{CourseID: course, Person: "email:" + email, Email: email, StoreRef: "s1",
		EmailVersion: w.version(at), StoreVersion: w.version(at), Version: w.version(later), EnrolledAt: &at,
		EnrolledVersion: w.version(at), SaidAt: &later, FirstSaidAt: &at}
	if progress > 0 {
		e.Progress, e.ProgressVersion = &progress, w.version(later)
		e.PeakProgress, e.ProgressedAt = &progress, &later
	}
	if progress == 100 {
		e.CompletedAt, e.CompletedVersion = &later, w.version(later)
	}
	return e
}

// make makes a campaign of a recipe, and switches it on now.
func (w *world) make(from campaigns.FromRecipe, change campaigns.Change) campaigns.Campaign {
	w.Helper()
	c, err := w.Make(w.Context(), "s1", from, "admin")
	if err != nil {
		w.Fatal(err)
	}
	if _, err = w.Update(w.Context(), "s1", c.ID, change); err != nil {
		w.Fatal(err)
	}
	return w.turn(c.ID, campaigns.Order{To: campaigns.On})
}

func (w *world) turn(id string, o campaigns.Order) campaigns.Campaign {
	w.Helper()
	c, err := w.Switch(w.Context(), "s1", id, o, w.now)
	if err != nil {
		w.Fatal(err)
	}
	return c
}

// tick lets all happen that is due after a time.
func (w *world) tick(later time.Duration) {
	w.Helper()
	w.now = w.now.Add(later)
	for _, part := range []func() (bool, error){
		func() (bool, error) { return w.Look(w.Context(), w.now, time.Microsecond) },
		func() (bool, error) { return w.Step(w.Context(), w.now) },
	} {
		for worked := true; worked; {
			var err error
			if worked, err = part(); err != nil {
				w.Fatal(err)
			}
		}
	}
}

// rows are a query's rows of text.
func (w *world) rows(sql string, args ...any) []string {
	w.Helper()
	rows, err := w.store.Pool.Query(w.Context(), sql, args...)
	if err != nil {
		w.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		w.Fatal(err)
	}
	return all
}

// want compares a query's rows with those of a text.
func (w *world) want(sql, want string) {
	w.Helper()
	lines := []string{}
	for line := range strings.SplitSeq(strings.TrimSpace(want), "\n") {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	if diff := cmp.Diff(lines, w.rows(sql)); diff != "" {
		w.Errorf("%s: -want +got\n%s", sql, diff)
	}
}

const (
	allRuns = `SELECT concat_ws(' ', email, occurrence, coalesce(ended_for, 'at ' || coalesce(nullif(step, ''),
		'the end'))) FROM runs
		ORDER BY email, occurrence, twin`
	allMails = `SELECT concat_ws(' ', email, step, occurrence) FROM mails ORDER BY email, id`
)

// send sends what is due: it takes what the claim gives, and says that all went well.
func (w *world) send() {
	w.Helper()
	mails := w.mails()
	for decided := true; decided; { // what waits for a step is left
		turn, ok, err := mails.Take(w.Context(), "w", w.now)
		if err != nil {
			w.Fatal(err)
		}
		if !ok {
			return
		}
		// Thousands take longer than a lease.
		w.exec(`UPDATE mail_settings SET lease_until = now() + interval '1 hour' WHERE store_id = $1`, turn.Store)
		decided = false
		for b := (mail.Batch{Decided: 1}); b.Decided > 0; decided = decided || b.Decided > 0 {
			if b, err = mails.Claim(w.Context(), turn, w.now, 100); err != nil {
				w.Fatal(err)
			}
		}
		if _, err := w.store.Pool.Exec(w.Context(), `UPDATE mails SET status = 'sent', sent_at = $1 WHERE status = 'sending'`,
			w.now); err != nil {
			w.Fatal(err)
		}
		if err := mails.Release(w.Context(), turn, mail.End{Sent: true}); err != nil {
			w.Fatal(err)
		}
	}
}

func (w *world) mails() *mail.Mails { return mail.New(w.store, w.Skips) }

func (w *world) deleteTag(id string) error { return tags.New(w.store).Delete(w.Context(), "s1", id) }
