package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"rollcall/internal/testing/browser"
	"rollcall/web/access"
)

// tell sends an event of the platform, signed.
func (s *system) tell(id, typ, data string) {
	s.t.Helper()
	d := delivery{"platform", id, fmt.Appendf(nil, `{"type":%q,"timestamp":%q,"data":%s}`, typ,
		time.Now().Format(time.RFC3339Nano), data)}
	header, err := d.header()
	if err == nil {
		_, err = s.send(d.source, header, d.body)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

// signedIn opens a tab by the link that dev and demo print, and goes to a path.
func (s *system) signedIn(path string) *browser.Page {
	s.t.Helper()
	p := browser.Open(s.t, s.http.URL, browser.Desktop)
	p.Go(strings.TrimPrefix(access.SignInLink(s.http.URL, adminToken, time.Now()), s.http.URL))
	p.Has("h1", "Overview")
	p.Go(path)
	return p
}

// Who comes is told to the pages that show their list, and are shown when
// somebody asks to see them: until then nothing moves.
func TestNewCustomersAppear(t *testing.T) {
	t.Parallel()
	s := newSharedSystem(t)
	s.startWorker()
	s.tell("p1", "store.upserted", `{"id":"studio","name":"Aurora"}`)
	s.tell("p2", "product.upserted", `{"id":"mixing","store_id":"studio","kind":"course","title":"Mixing Basics"}`)
	s.tell("p3", "product.upserted", `{"id":"drums","store_id":"studio","kind":"digital","title":"Drum Kit"}`)
	s.tell("p4", "enrollment.upserted",
		`{"course_id":"mixing","email":"ann@mail.example","name":"Ann","enrolled_at":"2026-01-01T10:00:00Z"}`)
	s.until("Ann on the list", `count(*) = 1 FROM customers`)

	const list = "/store/studio/customers"
	all, buyers := s.signedIn(list), s.signedIn(list+"?type=paying")
	all.Lists(".person h2", "Ann")
	buyers.Has(".empty", "No customers match these filters")
	const places = `[...document.querySelectorAll("h1, .tools, .kpis > div, .person, footer")]
		.map(e => JSON.stringify(e.getBoundingClientRect())).join()`
	before := browser.Eval[string](all, places)

	s.tell("p5", "enrollment.upserted", `{"course_id":"mixing","email":"ben@mail.example","name":"Ben","progress":20}`)
	all.Lists("#live a", "1 new")
	if after := browser.Eval[string](all, places); after != before {
		t.Errorf("what was shown has moved:\n%s\n%s", before, after)
	}
	all.Lists(".person h2", "Ann")
	// Ben is no buyer: of the two who came, the other page hears of one.
	s.tell("p6", "purchase.recorded",
		`{"id":"o1","product_id":"drums","email":"cat@mail.example","name":"Cat","amount":2500,"currency":"eur"}`)
	buyers.Lists("#live a", "1 new")
	all.Lists("#live a", "2 new")

	all.Click("#live a")
	all.Lists(".person h2", "Cat", "Ben", "Ann")
	all.Until(`document.querySelector("#live a").hidden`)
	buyers.Click("#live a")
	buyers.Lists(".person h2", "Cat")
	buyers.Has(".person .spent", "€25.00")
	if at := buyers.Address(); at != list+"?type=paying" {
		t.Errorf("the filter is lost: %s", at)
	}
	// What somebody known does is no news; it is there when the page is looked at again.
	s.tell("p7", "enrollment.upserted", `{"course_id":"mixing","email":"ann@mail.example","progress":90}`)
	s.tell("p8", "enrollment.upserted", `{"course_id":"mixing","email":"dan@mail.example","name":"Dan"}`)
	all.Lists("#live a", "1 new")
	all.Click("#live a")
	all.Lists(".person h2", "Dan", "Ann", "Cat", "Ben")
	all.Has(".person:nth-child(2)", "90%")
}
