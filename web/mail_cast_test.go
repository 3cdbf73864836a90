package web

import (
	"context"
	netmail "net/mail"
	"testing"
	"time"

	"rollcall/mail"
	"rollcall/store"
	"rollcall/store/campaigns"
	storemail "rollcall/store/mail"
	"rollcall/worker"
)

// mailPath is where the pages about mail of the studio are.
const mailPath = "/store/studio/mail"

// addressed has a store name its postal address, without which it sends no marketing.
func (x *site) addressed(t testing.TB, store string) {
	t.Helper()
	x.exec(t, `INSERT INTO mail_settings (store_id, postal_address, reply_to) VALUES ($1, '1 High Street', 'me@x.example')
		ON CONFLICT (store_id) DO UPDATE SET postal_address = EXCLUDED.postal_address`, store)
}

// campaign makes a campaign of a recipe.
func (x *site) campaign(t testing.TB, recipe string) campaigns.Campaign {
	t.Helper()
	c, err := campaigns.New(x.Cfg.Store).Make(t.Context(), "studio", campaigns.FromRecipe{Recipe: recipe}, "admin")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// switched switches a campaign as an order says.
func (x *site) switched(t testing.TB, c campaigns.Campaign, o campaigns.Order) {
	t.Helper()
	if _, err := campaigns.New(x.Cfg.Store).Switch(t.Context(), "studio", c.ID, o, x.Cfg.Now()); err != nil {
		t.Fatal(err)
	}
}

// run has campaigns do all that is due.
func (x *site) run(t testing.TB) {
	t.Helper()
	all := campaigns.New(x.Cfg.Store)
	for _, turn := range []func(context.Context) (bool, error){
		func(ctx context.Context) (bool, error) { return all.Look(ctx, x.Cfg.Now(), time.Minute) },
		func(ctx context.Context) (bool, error) { return all.Step(ctx, x.Cfg.Now()) },
	} {
		for more := true; more; {
			var err error
			if more, err = turn(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// deliver runs a worker that keeps mails in the mailbox, until the test ends.
func (x *site) deliver(t testing.TB) {
	t.Helper()
	db, err := store.Open(t.Context(), x.database, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	keep := mail.Keep{Write: storemail.New(db, nil).Keep}
	w := worker.New(worker.Config{Store: db, Redis: x.Cfg.Redis, Log: x.Cfg.Log, Sweep: 50 * time.Millisecond,
		Mail: &worker.Mail{Sender: keep, From: netmail.Address{Address: "mail@rollcall.example"}, URL: x.url,
			Skips: campaigns.New(db).Skips}})
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		db.Close()
	})
}

// keep has a mail of a store kept in its mailbox.
func (x *site) keep(t testing.TB, store, to, subject, html, text string) (id int64) {
	t.Helper()
	mails := storemail.New(x.Cfg.Store, nil)
	x.exec(t, `INSERT INTO mails (store_id, email, class, step, occurrence, version, status, due_at, not_after, claimed_at,
		sent_at, provider) VALUES ($1, $2, 'marketing', 's', gen_random_uuid(), 1, 'sent', now(), now(), now(), now(),
		'mailbox')`, store, to)
	all, err := mails.List(t.Context(), storemail.Filter{Store: store, Email: to}, 1)
	if err != nil {
		t.Fatal(err)
	}
	sent := mail.Keep{Write: mails.Keep}.Send(t.Context(), mail.Message{ID: all[0].ID, Key: "k", Class: "marketing",
		From: netmail.Address{Name: "Aurora <Academy>", Address: "mail@rollcall.example"}, To: to, Subject: subject,
		HTML: html, Text: text, OneClick: "https://rollcall.example/mail/u/x", At: x.Cfg.Now()})
	if sent.Status != mail.Sent {
		t.Fatal(sent)
	}
	return all[0].ID
}
