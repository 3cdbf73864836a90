package store_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"rollcall/store"
	"rollcall/store/customers"
	"rollcall/store/pg"
)

// mailLife is what became of the mails of mailsToAll: those of occurrence x were sent and followed, those of y bounced,
// and all who got them left but one.
var mailLife = []string{mailsToAll,
	`INSERT INTO campaigns (id, store_id, name, kind, class, trigger, steps, reentry, not_after, within, created_by)
		VALUES ('c1', 's1', 'News', 'once', 'marketing', '{}', '[]', 'never', '3 days', '0', 'admin')`,
	`UPDATE mails SET status = 'sent', sent_at = now() - interval '1 hour' + id * interval '1 minute', claimed_at = now(),
		provider_id = 'message of ' || email, answer = '250 ok ' || email WHERE occurrence = 'x'`,
	`UPDATE mails SET status = 'failed', reason = 'hard', claimed_at = now(),
		answer = '550 ' || email WHERE occurrence = 'y'`,
	`INSERT INTO mail_events (source, event_id, mail_id, kind, at, detail)
		SELECT 'link', id, id, 'clicked', now(), 'by ' || email FROM mails WHERE occurrence = 'x'`,
	`INSERT INTO mail_stops (store_id, hash, reason, since, mail_id)
		SELECT 's1', ` + store.AddressHash("email") + `, 'unsubscribed', now(), min(id)
		FROM mails WHERE email <> 'b@x.example' GROUP BY email`,
	`INSERT INTO mailbox (mail_id, raw, at) SELECT id, convert_to('To: ' || email, 'UTF8'), now() FROM mails`,
	`INSERT INTO runs (campaign_id, store_id, email, occurrence, about, became_due_at, entered_at, version, arm, step,
			next_at)
		SELECT 'c1', store_id, email, occurrence, '', now(), now(), 1, 'a', 'a', now() FROM mails`}

// mailLines are the lines about mail on the timeline of the customer at an address of s1.
func mailLines(t *testing.T, s *store.Store, url, email string) (lines []string) {
	t.Helper()
	all, err := wholeTimeline(s, "s1", idAt(t, url, "s1", email), 100)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if strings.HasPrefix(e.Kind, "mail_") {
			lines = append(lines, e.Kind+" "+e.Ref)
		}
	}
	slices.Sort(lines)
	return lines
}

func lives(t *testing.T, url string) {
	t.Helper()
	for _, sql := range mailLife {
		if _, err := execute(t, url, sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

// After a merge the mails of both are on the timeline of the one who is left, each once: also those of one key, of
// which one is the twin of the other.
func TestMergedTimelineHasTheMailOfBoth(t *testing.T) {
	t.Parallel()
	var e teller
	s, url := openURL(t)
	apply(t, s, []store.NewEvent{e.user("user_a", "a@x.example", "verified"), e.enrolled("c1", `"user_id":"user_a"`),
		e.enrolled("c2", `"email":"b@x.example"`)}, 1)
	lives(t, url)
	var want []string
	for _, email := range []string{"a@x.example", "b@x.example"} {
		for _, line := range mailLines(t, s, url, email) {
			if !strings.HasPrefix(line, "mail_left ") {
				want = append(want, line)
			}
		}
	}
	if len(want) != 6 {
		t.Fatalf("before: %q", want)
	}
	apply(t, s, []store.NewEvent{e.user("user_a", "b@x.example", "verified")}, 1)
	want = append(want, "mail_left customer:"+idAt(t, url, "s1", "b@x.example"))
	slices.Sort(want)
	if got := mailLines(t, s, url, "b@x.example"); !slices.Equal(got, want) {
		t.Errorf("after: %q, want %q", got, want)
	}
	wantRows(t, url, `SELECT email FROM customers`, "b@x.example")
	wantRows(t, url, `SELECT email FROM mails WHERE email NOT LIKE 'b@%'`)
}

// After an erasure, nothing that mail keeps names the person, whatever providers and mail servers wrote; nor do the
// mails of one who was merged into them. If they come back, their timeline begins anew. What others got stays.
func TestErasedTimelineHasNoMail(t *testing.T) {
	t.Parallel()
	var e teller
	s, url := openURL(t)
	apply(t, s, []store.NewEvent{e.user("user_ann", "old@x.example", "verified"), e.enrolled("c1", `"user_id":"user_ann"`),
		e.sale("pi_1", "ann@x.example", `{"storeId":"s1","productId":"p"}`), e.enrolled("c2", `"email":"bob@x.example"`)}, 1)
	lives(t, url)
	apply(t, s, []store.NewEvent{e.user("user_ann", "ann@x.example", "verified")}, 1)
	id := idAt(t, url, "s1", "ann@x.example")
	erase(t, s, store.Erasing{Email: "ann@x.example"})
	unnamed(t, url, "ann@x.example", "old@x.example", "user_ann")
	if _, _, err := customers.New(s).Timeline(t.Context(), "s1", id, customers.TimelineFilter{}); !errors.Is(err,
		pg.ErrNotFound) {
		t.Errorf("the timeline of one who is erased: %v", err)
	}
	if bobs := mailLines(t, s, url, "bob@x.example"); len(bobs) != 4 {
		t.Errorf("of another: %q", bobs)
	}
	wantRows(t, url, `SELECT DISTINCT email FROM mails UNION SELECT email FROM runs`, "bob@x.example")
	left := query(t, url, `SELECT email FROM customers WHERE email LIKE '%@erased.invalid'`)
	if len(left) != 1 {
		t.Errorf("left without a name: %q", left)
	}
	for _, nobody := range left {
		if lines := mailLines(t, s, url, nobody); len(lines) > 0 {
			t.Errorf("of who is left without a name: %q", lines)
		}
	}
	apply(t, s, since([]store.NewEvent{later(e.sale("pi_2", "ann@x.example", `{"storeId":"s1","productId":"p"}`))}), 1)
	for _, line := range mailLines(t, s, url, "ann@x.example") {
		if !strings.HasPrefix(line, "mail_left ") { // that they want none is kept
			t.Errorf("back: %q", line)
		}
	}
}
