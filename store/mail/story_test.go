package mail_test

import (
	"testing"

	plain "rollcall/mail"
	"rollcall/store/mail"
)

// A mail by which its recipient unsubscribed is found by that, wherever they live now, until they take it back.
func TestUnsubscribedByAMail(t *testing.T) {
	t.Parallel()
	s := open(t, due("", ""), due("", ""), due("", ""), `UPDATE mails SET class = 'test' WHERE id = 3`)
	m, r := mail.New(s, nil), mail.NewRecipients(s)
	found := `SELECT concat_ws(' ', store_id, email, mail_id, campaign_id, was) FROM ` + mail.Story("unsubscribed") + ` r`
	ticket := plain.Ticket{Mail: 2}
	if err := r.Unsubscribe(t.Context(), ticket, mail.AllStores, noon); err != nil {
		t.Fatal(err)
	}
	exec(t, m, `INSERT INTO mail_stops (store_id, hash, reason, since, mail_id)
		SELECT x.store_id, `+hashOfAnn+`, reason, now(), mail_id
		FROM (VALUES ('s2', 'unsubscribed', 1), ('s1', 'complained', 1), ('s1', 'unsubscribed', 3))
			x(store_id, reason, mail_id)`)
	want(t, m, found, "s1 ann@x.example 2 c1 unsubscribed")
	if err := r.Resubscribe(t.Context(), ticket, true); err != nil {
		t.Fatal(err)
	}
	want(t, m, found)
}
