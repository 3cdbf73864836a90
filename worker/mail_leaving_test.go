package worker

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"rollcall/mail"
	storemail "rollcall/store/mail"
)

// Of a thousand people who unsubscribe while mails go out, none gets a mail that was begun after their
// answer; the others get theirs.
func TestPeopleLeaveWhileMailsGoOut(t *testing.T) {
	t.Parallel()
	const people = 1000
	to := make([]string, people)
	for i := range to {
		to[i] = fmt.Sprintf("p%04d@x.example", i)
	}
	s, sink := newMailSite(t, to...)
	s.exec(`UPDATE mails SET class = 'marketing'`)
	s.exec(`UPDATE mail_settings SET postal_address = 'Main Street 1'`)
	s.exec(`INSERT INTO mail_consents (store_id, user_id, email, kind, state, said_at, source, version)
		SELECT store_id, '', email, 'marketing', 'granted', '2026-01-01', 'platform', '2026' FROM customers`)
	begun := make(chan struct{})
	var once sync.Once
	sink.Before = func(string) { once.Do(func() { close(begun) }) }
	var leaving sync.WaitGroup
	left := make([]time.Time, people+1) // by mail
	r := storemail.NewRecipients(s.cfg.Store)
	for nth := range 4 {
		leaving.Go(func() {
			<-begun
			for id := int64(people - nth); id > 0; id -= 4 { // those who would be last leave first
				if err := r.OneClick(t.Context(), mail.Ticket{Mail: id}, time.Now()); err != nil {
					t.Error(err)
				}
				left[id] = time.Now()
			}
		})
	}
	s.turns()
	leaving.Wait()
	rows, err := s.pool.Query(t.Context(), `SELECT id, status, coalesce(reason, ''), started_at FROM mails`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	outcomes := map[string]int{}
	for rows.Next() {
		var id int64
		var status, reason string
		var started *time.Time
		if err := rows.Scan(&id, &status, &reason, &started); err != nil {
			t.Fatal(err)
		}
		if outcomes[status+" "+reason]++; status == "sent" && started.After(left[id]) {
			t.Errorf("mail %d was begun at %s, after its recipient had left at %s", id, started, left[id])
		}
	}
	sent, skipped := outcomes["sent "], outcomes["skipped stopped"]
	if sent == 0 || skipped == 0 || sent+skipped != people || sink.Count() != sent {
		t.Errorf("%v, and the server accepted %d", outcomes, sink.Count())
	}
}
