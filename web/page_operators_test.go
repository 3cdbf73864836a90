package web

import (
	"testing"

	"rollcall/internal/testing/browser"
	"rollcall/web/operators"
)

// Pages of operators say what to do while there is nothing yet, to everyone.
func TestPageOperatorsEmpty(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	p := x.browse(t, browser.Desktop)
	for path, says := range map[string]string{"/admin/events": "No events yet", "/admin/unattached": "Nothing is missing",
		"/admin/backfills": "No imports yet", "/admin/stores": "store.upserted"} {
		for _, look := range []browser.Look{browser.Desktop, browser.Phone} {
			p.Look(look)
			p.Go(path)
			p.Has(".empty", says)
			accessible(t, p, path)
			wide(t, p)
		}
	}
}

// What Postgres is, is said in words, whatever it is.
func TestPostgresState(t *testing.T) {
	for is, want := range map[string]string{"ok": "up", "away": "down", "not_migrated": "not migrated",
		"read_only": "read only", "refused": "refused"} {
		if got := (operators.Vitals{Postgres: is}).PostgresState(); got != want {
			t.Errorf("%s: %s", is, got)
		}
	}
}

// All that operators do can be done on a phone without a script.
func TestPageOperatorsWithoutScript(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	event := x.ail(t)
	x.exec(t, `DELETE FROM backfill_errors`)
	x.exec(t, `DELETE FROM backfill_chunks`)
	x.exec(t, `DELETE FROM backfills`)
	phone := browser.Phone
	phone.NoScript = true
	p.Look(phone)
	p.Go("/admin/events")
	p.Type("#q", "evt_lost")
	p.Click(".go")
	p.Until(`location.search.includes("q=evt_lost")`)
	p.Click(".event .what a")
	p.Has("#h-commands", "Commands")
	if got := browser.Eval[string](p, `document.querySelector("#command-1").value`); got !=
		`rollcall events send enrollment.upserted '{"course_id":"c1","store_id":"store_a","user_id":"user_lost"}'` {
		t.Errorf("event %d is sent again by %s", event, got)
	}
	p.Go("/admin/backfills")
	p.Click(".imports button")
	p.Has("h1", "Users from Clerk")
	p.Has("#run", "Waiting for a worker")
	p.Go("/admin/stores")
	p.Click("tbody a")
	p.Has("h1", "Aurora Academy")
	p.Type("#name", "Phone")
	p.Click(".make button")
	p.Has("#h-made", "Your new token")
}
