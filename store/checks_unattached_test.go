package store_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/checks"
	"rollcall/store/pg"
	"rollcall/store/status"
)

// offReasons tells why facts are on no list, a line for each reason.
func offReasons(t testing.TB, s *store.Store, of string) (lines []string) {
	t.Helper()
	reasons, err := checks.New(s).OffReasons(t.Context(), of)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range reasons {
		line := fmt.Sprintf("%s %d %v", r.Reason, r.Count, r.Kinds)
		if r.Remedy != nil {
			line += " " + strings.Join(r.Remedy.Actions, "+")
		}
		if r.Meaning == "" || r.Remedy != nil && r.Remedy.Words == "" || len(r.Examples) == 0 || len(r.Examples) > 3 {
			t.Errorf("%s is not explained: %+v", r.Reason, r)
		}
		lines = append(lines, line)
	}
	return lines
}

// missing applies events after which facts of many reasons are on no list.
func missing(t *testing.T) (s *store.Store, url string, e *teller) {
	t.Helper()
	s, url = openURL(t)
	e = &teller{}
	query(t, url, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no room: for %',
		NEW.email USING ERRCODE = '22000'; END $$`)
	query(t, url, `CREATE TRIGGER refuse BEFORE INSERT ON customers FOR EACH ROW
		WHEN (NEW.email = 'bad@x.example') EXECUTE FUNCTION refuse()`)
	var events []store.NewEvent
	for i := range 7 {
		events = append(events, e.enrolled(fmt.Sprintf("c%d", i), `"user_id":"user_gone"`))
	}
	events = append(events,
		e.sale("pi_1", "", `{"storeId":"s2","productId":"p","userId":"user_gone"}`),
		e.sale("pi_2", "a@x.example", `{"productId":"p"}`),
		e.stripe("checkout.session.completed", "acct_9",
			`{"id":"cs_3","mode":"payment","payment_status":"paid","amount_total":1000,"currency":"usd",`+
				`"payment_intent":"pi_3","customer_details":{"email":"a@x.example"},"metadata":{"storeId":"s2"}}`),
		e.stripe("payment_intent.succeeded", "", `{"id":"pi_4","amount":1,"currency":"usd","metadata":{}}`),
		e.user("user_shy", "shy@x.example", "unverified"), e.enrolled("c1", `"user_id":"user_shy"`))
	apply(t, s, events, 1)
	in, err := s.InsertEvents(t.Context(), []store.NewEvent{e.enrolled("c1", `"email":"bad@x.example"`)})
	if err != nil {
		t.Fatal(err)
	}
	var failed *store.DeriveError
	if _, err := s.Apply(t.Context(), []int64{in[0].ID}, 0, facts.Read); !errors.As(err, &failed) {
		t.Fatal(err)
	}
	return s, url, e
}

func TestOffReasons(t *testing.T) {
	s, _, _ := missing(t)
	want := []string{
		"user_unknown 8 map[enrollment:7 payment:1] clerk+attach",
		"account_without_store 1 map[payment:1] attach",
		"derive_failed 1 map[enrollment:1] retry+attach",
		"email_unverified 1 map[enrollment:1] clerk+attach",
		"no_store 1 map[payment:1] attach",
		"bare_payment 1 map[payment:1]",
	}
	if diff := gocmp.Diff(want, offReasons(t, s, "")); diff != "" {
		t.Error(diff)
	}
	if diff := gocmp.Diff([]string{"user_unknown 1 map[payment:1] clerk+attach"}, offReasons(t, s, "s2")); diff != "" {
		t.Error(diff)
	}
	if none := offReasons(t, s, "nobody's"); len(none) > 0 {
		t.Errorf("%q", none)
	}
	v, err := status.New(s).Vitals(t.Context(), time.Now())
	if diff := gocmp.Diff(map[string]int64{"user_unknown": 8, "account_without_store": 1, "derive_failed": 1,
		"email_unverified": 1, "no_store": 1}, v.Unattached); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

// offFacts pages through the facts on no list for a reason.
func offFacts(t testing.TB, s *store.Store, f store.OffFilter) (all []store.OffFact) {
	t.Helper()
	for {
		page, next, err := checks.New(s).OffFacts(t.Context(), f)
		if err != nil || len(page) > f.Limit || next != "" && len(page) < f.Limit {
			t.Fatalf("%d, next %q: %v", len(page), next, err)
		}
		if all = append(all, page...); next == "" {
			return all
		}
		f.Cursor = next
	}
}

func TestOffFacts(t *testing.T) {
	s, url, e := missing(t)
	for _, limit := range []int{1, 3, 7, 8, 100} {
		var got []string
		for _, f := range offFacts(t, s, store.OffFilter{Reason: "user_unknown", Limit: limit}) {
			got = append(got, f.Ref+" of "+f.Who)
		}
		want := []string{}
		for i := range 7 {
			want = append(want, fmt.Sprintf("enrollment:c%d/user:user_gone of user:user_gone", i))
		}
		if diff := gocmp.Diff(append(want, "payment:pi_1 of user:user_gone"), got); diff != "" {
			t.Errorf("limit %d: %s", limit, diff)
		}
	}
	apply(t, s, []store.NewEvent{e.platform("store.upserted", `{"id":"s2","name":"Second"}`)}, 1)
	one := offFacts(t, s, store.OffFilter{Reason: "user_unknown", Store: "s2", Limit: 5})
	if len(one) != 1 || *one[0].StoreName != "Second" || *one[0].Amount != (store.Money{Amount: 1000, Currency: "usd"}) ||
		*one[0].Title != "p" || one[0].At == nil ||
		one[0].Origins[0].Event.EventID != "evt_008" || *one[0].Origins[0].Event.Status != "processed" {
		t.Errorf("%+v", one)
	}
	failed := offFacts(t, s, store.OffFilter{Reason: "derive_failed", Limit: 5})
	if len(failed) != 1 || !strings.Contains(*failed[0].Error, "no room: for bad@x.example") {
		t.Errorf("%+v", failed)
	}
	query(t, url, `UPDATE enrollments SET unattached = 'not_derived' WHERE customer_id IS NULL`)
	if all := offFacts(t, s, store.OffFilter{Reason: "not_derived", Limit: 4}); len(all) != 9 {
		t.Errorf("%d", len(all))
	}
}

func TestParseOffFilter(t *testing.T) {
	s, _, _ := missing(t)
	_, next, err := checks.New(s).OffFacts(t.Context(), store.OffFilter{Reason: "user_unknown", Limit: 2})
	if err != nil || next == "" {
		t.Fatalf("%q %v", next, err)
	}
	got, err := checks.ParseOffFilter("user_unknown", url.Values{"store": {"s2"}, "cursor": {next}, "limit": {"3"}})
	if want := (store.OffFilter{Reason: "user_unknown", Store: "s2", Cursor: next, Limit: 3}); err != nil || got != want {
		t.Errorf("%+v %v, want %+v", got, err, want)
	}
	for name, value := range map[string]string{"store": "\x00", "limit": "0",
		"cursor": base64url(`{"sort":"kind","key":"[\"a\"]","id":1}`), "reason": "x"} {
		var bad *pg.BadParam
		if _, err := checks.ParseOffFilter("user_unknown", url.Values{name: {value}}); !errors.As(err, &bad) ||
			bad.Name != name {
			t.Errorf("%s=%s: %v", name, value, err)
		}
	}
	for _, cursor := range []string{`{"sort":"kind","id":1}`, `{"sort":"kind","key":"[\"a\",\"b\"]","id":4}`,
		`{"sort":"kind","key":"[\"a\",\"\\u0000\"]","id":1}`, `{"sort":"-id","id":1}`} {
		if _, err := checks.ParseOffFilter("x", url.Values{"cursor": {base64url(cursor)}}); err == nil {
			t.Errorf("%s is taken", cursor)
		}
	}
}

// What was missing has come unseen: attaching again finds it. One fact that
// cannot be attached keeps back no other.
func TestAttachAgain(t *testing.T) {
	s, url, _ := missing(t)
	exec(t, url, `INSERT INTO users (id, email, version, deleted_version)
		VALUES ('user_gone', 'back@x.example', '2026', '')`)
	a, err := s.AttachAgain(t.Context(), store.OffFilter{Reason: "user_unknown"}, 3)
	if diff := gocmp.Diff(store.AttachedAgain{Looked: 3, Attached: 3}, a,
		cmpopts.IgnoreFields(store.AttachedAgain{}, "Next")); err != nil || diff != "" || a.Next == "" {
		t.Errorf("%v %+v %s", err, a, diff)
	}
	a, err = s.AttachAgain(t.Context(), store.OffFilter{Reason: "user_unknown", Cursor: a.Next}, 100)
	if diff := gocmp.Diff(store.AttachedAgain{Looked: 5, Attached: 5}, a); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	wantRows(t, url, customersSQL, "s1 back@x.example lead active", "s2 back@x.example paying active")
	for range 2 {
		a, err = s.AttachAgain(t.Context(), store.OffFilter{Reason: "email_unverified"}, 100)
		if a != (store.AttachedAgain{Looked: 1}) || err != nil {
			t.Errorf("%+v %v", a, err)
		}
	}
	exec(t, url, `UPDATE enrollments SET unattached = 'derive_failed: x', customer_id = NULL WHERE course_id = 'c1'`)
	a, err = s.AttachAgain(t.Context(), store.OffFilter{Reason: "derive_failed"}, 100)
	if a.Looked != 3 || a.Attached != 1 || a.Failed != 1 || !strings.Contains(a.Error, "no room") || err != nil {
		t.Errorf("%+v %v", a, err)
	}
	if diff, err := s.Rebuild(t.Context(), "s2", nil); err != nil || diff.Sum() != 0 {
		t.Errorf("rebuild: %+v %v", diff, err)
	}
}
