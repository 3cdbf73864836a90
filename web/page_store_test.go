package web

import (
	"net/url"
	"strings"
	"testing"

	"rollcall/internal/testing/browser"
	"rollcall/store"
)

// A store's page gathers what operators need to know of it: people, products, tokens, what is
// missing, and its last events.
func TestPageStore(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	x.exec(t, `UPDATE stores SET stripe_account_id = 'acct_studio', member_user_ids = '{user_hal}' WHERE id = 'studio'`)
	x.exec(t, `INSERT INTO users (id, name, email, last_seen_at, version, deleted_version)
		VALUES ('user_owner', 'Olga Aurora', 'olga@mail.example', now() - interval '3 hours', 'v', '')`)
	for _, find := range []string{"olga", "acct_studio", "Aurora Academy"} {
		p.Go("/admin/stores?q=" + url.QueryEscape(find))
		p.Lists("tbody td:first-child a", "Aurora Academy")
	}
	p.Has("tbody", "Olga Aurora")
	p.Click("tbody a")
	p.Has("h1", "Aurora Academy")
	for section, text := range map[string]string{"#h-store + dl": "Olga Aurora", "[aria-labelledby=h-team]": "user_hal",
		"[aria-labelledby=h-products]": "Drum Kit Vol. 1", "[aria-labelledby=h-events]": "Platform",
		"[aria-labelledby=h-missing]": "Nothing is missing"} {
		p.Has(section, text)
	}
	p.Has("#h-store + dl", "3 hours ago")
	if got := browser.Eval[string](p, `document.querySelector("#share").value`); got != x.url+"/store/studio/customers" {
		t.Errorf("to share: %s", got)
	}
	p.Type("#name", "Newsletter")
	p.Click(".make button")
	p.Has("#h-made", "Your new token")
	p.Go("/admin/stores/studio")
	p.Has("#tokens", "Newsletter")
	p.Click("#tokens .rows button")
	p.Until(`location.pathname === "/store/studio/settings"`)
	p.Has("#tokens", "revoked")
	p.Go("/admin/stores/studio")
	p.Click("[aria-labelledby=h-events] .hint a")
	p.Until(`location.search === "?store=studio"`)
	p.Has("#list", "store.upserted")
}

// A store's events are those that name it, or its account. Its id is no id of an event, and no words.
func TestStoreHasItsEventsOnly(t *testing.T) {
	t.Parallel()
	x := open(t, nil)
	x.fillEvents(t)
	x.exec(t, `INSERT INTO stores (id, stripe_account_id, version) VALUES ('1', 'acct_one', 'v'), ('my store', '', 'v')`)
	for _, id := range []string{"1", "my store"} {
		wants(t, x.page(t, "/admin/stores/"+url.PathEscape(id)), "No stored event names this store")
		wants(t, x.page(t, "/admin/events?store="+url.QueryEscape(id)), "No events match", "Store: "+id)
	}
	x.take(t, store.NewEvent{Source: "stripe", EventID: "evt_one", Account: "acct_one", Type: "customer.created",
		OccurredAt: now, Payload: []byte(`{"account":"acct_one"}`)},
		store.NewEvent{Source: "platform", EventID: "evt_mine", Type: "store.upserted", OccurredAt: now,
			Payload: []byte(`{"data":{"id":"my store"}}`)})
	wants(t, x.page(t, "/admin/stores/1"), "customer.created", "!charge.refunded")
	wants(t, x.page(t, "/admin/events?store=my+store"), "evt_mine", "!evt_one")
	wants(t, x.page(t, "/admin/events?store=1&q=evt_mine"), "No events match")
	wants(t, x.page(t, "/admin/reopen?do=replay&store=1"), "Replay 1 event")
}

// Events are found by what their payloads name.
func TestPageEventSearch(t *testing.T) {
	t.Parallel()
	x, p := visit(t, browser.Desktop)
	for q, want := range map[string]string{"IVO.marek@mail.example": "customer.created", "sub_ivo": "invoice.paid",
		"cus_ivo": "customer.subscription.updated", "mastering": "checkout.session.completed"} {
		p.Go("/admin/events")
		p.Type("#q", q)
		p.Has("#results .chips", q)
		p.Has("#list", want)
		text := x.page(t, "/admin/events?q="+url.QueryEscape(q))
		if n := strings.Count(text, `<li class="card event">`); n == 0 || n > 6 {
			t.Errorf("%s finds %d events", q, n)
		}
	}
	p.Go("/admin/events?q=ivo")
	p.Has(".empty", "Search for a whole email or id")
}
