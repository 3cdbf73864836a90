package web

import (
	"fmt"
	"net/url"
	"testing"

	"rollcall/internal/testing/browser"
	"rollcall/store"
)

// ail brings about all that operators look after: events of every status, facts
// on no list, runs that go on, have failed and have ended.
func (x *site) ail(t *testing.T) (event int64) {
	t.Helper()
	in := []store.NewEvent{enrolledIn("evt_lost", `"user_id":"user_lost"`),
		{Source: "stripe", EventID: "evt_odd", Type: "customer.created", OccurredAt: now, Payload: []byte(`{"data":{}}`)},
		{Source: "platform", EventID: "evt_party", Type: "party.thrown", OccurredAt: now, Payload: []byte(`{}`)}}
	in[0].Headers = []byte(`{"User-Agent":"curl/8.5.0","X-Forwarded-For":"203.0.113.9"}`)
	event = x.take(t, in...)[0]
	if _, err := x.Cfg.Store.InsertEvents(t.Context(),
		[]store.NewEvent{enrolledIn("evt_waits", `"user_id":"user_lost"`)}); err != nil {
		t.Fatal(err)
	}
	x.begin(t, `{"kind": "clerk"}`)
	x.begin(t, `{"kind": "convex", "file": "/exports/`+fmt.Sprintf("%0100d", 1)+`.zip"}`)
	x.exec(t, `UPDATE backfills SET status = 'running', started_at = now() - interval '90 s', expected = 1000, seen = 400,
		created = 300, errors = 3 WHERE kind = 'clerk'`)
	x.exec(t, `UPDATE backfills SET status = 'failed', started_at = now(), ended_at = now(), reason = 'the file is gone'
		WHERE kind = 'convex'`)
	x.exec(t, `INSERT INTO backfill_errors (backfill_id, place, what, why, note) SELECT 1, 'users, line ' || i,
		'user_' || i, 'is no user', i = 3 FROM generate_series(1, 3) i`)
	return event
}

// adminStates are what the operators' pages may look like.
func adminStates(t *testing.T, x *site) []state {
	event := x.ail(t)
	return []state{
		{name: "health", path: "/admin"},
		{name: "nothing rejected", path: "/admin/rejected?source=clerk"},
		{name: "events", path: "/admin/events"},
		{name: "events, filtered", path: "/admin/events?status=failed&error=no&since=9d&opened=2"},
		{name: "no events", path: "/admin/events?type=none"},
		{name: "wrong events", path: "/admin/events?since=x", expect: "400 "},
		{name: "event", path: fmt.Sprint("/admin/events/", event), prepare: func(p *browser.Page) {
			p.Click(".facts summary")
		}},
		{name: "event failed", path: "/admin/events/evt_odd"},
		{name: "event waiting", path: "/admin/events/evt_waits"},
		{name: "reopen", path: "/admin/reopen?do=replay&source=platform"},
		{name: "reopen nothing", path: "/admin/reopen?do=retry&source=clerk"},
		{name: "dismiss", path: "/admin/reopen?do=dismiss&status=failed"},
		{name: "on no list", path: "/admin/unattached"},
		{name: "user unknown", path: "/admin/unattached/user_unknown?looked=9&attached=1&failed=1&go_on=x"},
		{name: "backfills", path: "/admin/backfills"},
		{name: "backfill, all fields", path: "/admin/backfills", prepare: func(p *browser.Page) {
			p.Choose("#kind", "stripe")
		}},
		{name: "backfill refused", path: "/admin/backfills", expect: "400 /admin/backfills", prepare: func(p *browser.Page) {
			p.Choose("#kind", "convex")
			p.Type("#file", "../x.zip")
			p.Click("#start")
			p.Has("#wrong", "must be the name of a file")
		}},
		{name: "run", path: "/admin/backfills/1"},
		{name: "run failed", path: "/admin/backfills/2"},
		{name: "stores", path: "/admin/stores"},
		{name: "mail", path: "/admin/mail"},
		{name: "no stores", path: "/admin/stores?q=none"},
		{name: "store", path: "/admin/stores/studio"},
		{name: "store, some missing", path: "/admin/stores/store_a"},
		{name: "new store", path: "/admin/stores/new"},
		{name: "events, found", path: "/admin/events?q=cus_ivo"},
	}
}

// Whatever texts come in by webhooks, the operators' pages show them as what
// they are.
func TestPageAdminHostile(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop, attack()...)
	evil := hostile["script"] + hostile["override"] + hostile["long"][:900]
	x.exec(t, `UPDATE webhook_events SET status = 'failed', processed_at = NULL, last_error = $1, type = type || $1,
		account = $1 WHERE id = 2`, evil)
	x.exec(t, `INSERT INTO webhook_events (source, event_id, type, occurred_at, payload, headers)
		VALUES ('platform', $1, $1, now(), json_build_object('data', json_build_object($1::text, $1::text)),
			json_build_object($1::text, $1::text))`, evil)
	x.exec(t, `
		INSERT INTO enrollments (course_id, person, version, email_version, store_version, name_version, progress_version,
			enrolled_version, completed_version, deleted_version, store_id, unattached)
		VALUES ('c', 'user:' || $1, 'v', '', '', '', '', '', '', '', $2, 'derive_failed: ' || $1)`, evil, hostileStore)
	x.exec(t, `INSERT INTO backfills (kind, scope, options, status, reason, chunk_size, started_by, started_at, ended_at)
		VALUES ('convex', 'x', jsonb_build_object('file', $1::text), 'failed', $1, 1, $1, now(), now())`, evil)
	x.exec(t, `INSERT INTO backfill_errors (backfill_id, place, what, why) VALUES (1, $1, $1, $1)`, evil)
	for _, path := range []string{"/admin", "/admin/events", "/admin/events?status=failed", "/admin/events/1",
		"/admin/events/2", "/admin/unattached", "/admin/unattached/derive_failed", "/admin/backfills", "/admin/backfills/1",
		"/admin/stores", "/admin/stores/" + url.PathEscape(hostileStore), "/admin/rejected"} {
		p.Go(path)
		p.Has("main", "")
		tame(t, p, path)
	}
	ids := x.page(t, "/admin/events?status=pending")
	wants(t, ids, "alert(1)")
}

// What stays up to date does not take the focus away, nor what is marked, and
// leaves a page alone that nobody sees.
func TestPageVitalsKeepTheirPlace(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	x.ail(t)
	p.Go("/admin")
	p.Until(`document.querySelector("#s-stripe")`)
	browser.Eval[bool](
		p, `(document.querySelector("#s-stripe").focus(), window.first = document.querySelector("#vitals"), true)`)
	x.take(t, enrolledIn("evt_more", `"email":"more@mail.example"`))
	p.Has("#vitals .inbox", fmt.Sprint(len(studio())+2, " Processed"))
	p.Until(`document.querySelector("#vitals") !== window.first && document.activeElement.id === "s-stripe"`)
}
