package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	netmail "net/mail"
	"net/url"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/wneessen/go-mail/smtp"
	"golang.org/x/sync/errgroup"

	"rollcall/internal/testing/smtpsink"
	"rollcall/jobs"
	"rollcall/mail"
	"rollcall/store"
	"rollcall/store/campaigns"
	"rollcall/worker"
)

//go:embed mail.sql
var mailSQL string

// mail measures campaigns and mail: (m) to (p).
func (s *system) mail(ctx context.Context, o options) {
	s.fillReaders(ctx, o.customers)
	all := campaigns.New(s.store)
	all.CountTimeout = time.Hour
	s.enterAll(ctx, all, o.customers)
	s.previewDay(ctx, all)
	sink := s.sink()
	s.sendMails(ctx, all, sink, min(o.events, o.customers/2))
	s.besideMails(ctx, min(o.events, 1000))
	s.forgetMails(ctx)
}

// fillReaders has so many customers in one store, who agreed to its mail: those of a market that was kept, or new ones.
func (s *system) fillReaders(ctx context.Context, customers int) {
	began := time.Now()
	if query[int](ctx, s, `SELECT count(*) FROM customers WHERE store_id = $1`, longest) < customers {
		s.fill(ctx, mailSQL, customers)
	}
	s.forgetMails(ctx)
	s.exec(ctx, `INSERT INTO mail_settings (store_id, postal_address, quiet_from, quiet_to)
		VALUES ('`+longest+`', '1 High Street', NULL, NULL)`)
	s.exec(ctx, `INSERT INTO mail_consents (store_id, user_id, email, kind, state, said_at, source, version)
		SELECT store_id, '', email, 'marketing', 'granted', now(), 'import', '1'
		FROM customers
		WHERE store_id = '`+longest+`'`)
	s.exec(ctx, `VACUUM ANALYZE mail_consents`)
	s.add("(m) customers of one store", float64(customers), "", "loaded in "+time.Since(began).Round(time.Second).String())
}

func (s *system) forgetMails(ctx context.Context) {
	s.exec(ctx, `TRUNCATE campaigns, runs, mails, mail_bodies, mail_settings, mail_consents, mail_events CASCADE`)
}

// enterAll measures how long it takes to have all customers enter a campaign, beside one bare INSERT … SELECT of as
// many rows into a table with the same indexes.
func (s *system) enterAll(ctx context.Context, all *campaigns.Campaigns, customers int) {
	s.exec(ctx, `CREATE TABLE bare_runs (LIKE runs INCLUDING ALL)`)
	began := time.Now()
	s.exec(ctx, `
		INSERT INTO bare_runs (campaign_id, store_id, email, occurrence, about, became_due_at, entered_at, version, arm,
			step, next_at)
		SELECT 'c', store_id, email, 'once', '', now(), now(), 1, 'a', 'first', now()
		FROM customers WHERE store_id = '`+longest+`'`)
	bare := time.Since(began)
	s.exec(ctx, `DROP TABLE bare_runs`)
	c := try(all.Create(ctx, longest, campaigns.Campaign{Name: "News", Kind: campaigns.Once, Class: campaigns.Marketing,
		Trigger: campaigns.Trigger{Question: "everyone"}, NotAfter: campaigns.Wait(72 * time.Hour), Reentry: campaigns.Never,
		Steps: []campaigns.Step{{Key: "first", Do: campaigns.DoMail, Mail: &campaigns.Text{Subject: "News for {first_name}",
			Body: "Hi {first_name},\n\n" + string(bytes.Repeat([]byte("there is **much** to tell this month. "), 20)) +
				"\n\n[Read on](https://shop.example/news)\n\n{store}"}}}}, "admin"))
	began = time.Now()
	reached := try(all.Reach(ctx, longest, c.ID, campaigns.Order{To: campaigns.On}, time.Now()))
	counted := time.Since(began)
	now := time.Now()
	try(all.Switch(ctx, longest, c.ID, campaigns.Order{To: campaigns.On, Count: &reached}, now))
	began = time.Now()
	try(all.Look(ctx, now, time.Microsecond))
	took := time.Since(began)
	s.add("(n) customers enter a campaign", took.Seconds(), "s", fmt.Sprintf("%d, in chunks", reached))
	s.add("    bare INSERT … SELECT", bare.Seconds(), "s",
		fmt.Sprintf("as many rows; ratio %.1f", took.Seconds()/bare.Seconds()))
	s.add("    how many it would reach", counted.Seconds(), "s", "before it is switched on")
	s.exec(ctx, `VACUUM ANALYZE runs`)
}

// previewDay measures the preview of a day to come.
func (s *system) previewDay(ctx context.Context, all *campaigns.Campaigns) {
	c := try(all.Make(ctx, longest, campaigns.FromRecipe{Recipe: "not_started"}, "admin"))
	news := query[string](ctx, s, `SELECT id FROM campaigns WHERE name = 'News'`)
	now := time.Now()
	for _, of := range []struct {
		name, campaign string
		at             time.Time
	}{{"(o) preview of tomorrow, a flow", c.ID, now.Add(24 * time.Hour)}, {"    of now, a mail to all", news, now}} {
		var each []time.Duration
		for range 5 {
			began := time.Now()
			try(all.Preview(ctx, longest, of.campaign, campaigns.PreviewOf{At: of.at, Limit: 50}, now))
			each = append(each, time.Since(began))
		}
		s.add(of.name, percentile(each, 50)/1000, "s", "")
	}
}

// sendMails measures mails from their claim until the row says that they are sent, beside a bare client that sends the
// same bytes over as many connections.
func (s *system) sendMails(ctx context.Context, all *campaigns.Campaigns, sink *smtpsink.Sink, mails int) {
	made := 0
	began := time.Now()
	for made < mails {
		try(all.Step(ctx, time.Now()))
		made = query[int](ctx, s, `SELECT count(*) FROM mails WHERE status = 'due'`)
	}
	s.add("(p) steps of a campaign", float64(made)/time.Since(began).Seconds(), "/s", "each makes a mail due")
	s.exec(ctx, `UPDATE campaigns SET state = 'on' WHERE name = 'News'`)
	s.exec(ctx, `UPDATE runs SET next_at = next_at + interval '30 days' WHERE ended_at IS NULL AND step <> ''`)
	s.exec(ctx, `VACUUM ANALYZE`)
	s.exec(ctx, `CHECKPOINT`)
	var raw []byte
	sink.Accepted = func(m smtpsink.Message) { raw = m.Raw; sink.Accepted = nil }
	began = time.Now()
	each := s.processor(ctx, made)
	stop := s.work(ctx, s.mailer(sink))
	s.untilSent(ctx)
	took := time.Since(began)
	own, postgres := each()
	stop()
	rate := float64(made) / took.Seconds()
	s.add("    mails sent", rate, "/s",
		fmt.Sprintf("%d: claimed, built, sent, and known to be; %d bytes each", made, len(raw)))
	s.add("    processor time of Postgres", postgres, "µs", "a mail")
	s.add("    of the worker and the mail server", own, "µs", "a mail")
	sent := query[int](ctx, s, `SELECT count(*) FROM mails WHERE status = 'sent'`)
	if sent != made || sink.Count() != made {
		check(fmt.Errorf("%d sent, and %d arrived, of %d", sent, sink.Count(), made))
	}
	each = s.processor(ctx, made)
	bare := bareMails(sink, raw, made)
	own, _ = each()
	s.add("    bare client", bare, "/s", fmt.Sprintf("the same bytes over %d connections", worker.MostLines))
	s.add("    processor time of it and the mail server", own, "µs", "a mail")
	s.add("    ratio", 100*rate/bare, "%", "of the bare client")
}

// sink starts a mail server that accepts all and keeps nothing.
func (s *system) sink() *smtpsink.Sink {
	sink, stop, err := smtpsink.Listen()
	check(err)
	sink.Forget = true
	s.onClose(func() error { stop(); return nil })
	return sink
}

// mailer is how a worker sends to the sink.
func (s *system) mailer(sink *smtpsink.Sink) *worker.Mail {
	smtp := try(mail.NewSMTP(sink.URL, "bench.example"))
	s.onClose(func() error { smtp.Close(); return nil })
	return &worker.Mail{Sender: smtp, From: netmail.Address{Address: "mail@bench.example"}, URL: "https://bench.example",
		Skips: campaigns.New(s.store).Skips}
}

func (s *system) untilSent(ctx context.Context) {
	until(ctx, 100*time.Millisecond, func() bool {
		return query[bool](ctx, s, `
			SELECT NOT EXISTS (SELECT FROM mails WHERE store_id = $1 AND status IN ('due', 'sending'))`,
			longest)
	})
}

// bareMails sends a message again and again, with nothing around it.
func bareMails(sink *smtpsink.Sink, raw []byte, mails int) (perSecond float64) {
	address := try(url.Parse(sink.URL)).Host
	var g errgroup.Group
	began := time.Now()
	for range worker.MostLines {
		g.Go(func() error {
			c, err := smtp.Dial(address)
			if err != nil {
				return err
			}
			for range mails / worker.MostLines {
				if err := bareMail(c, raw); err != nil {
					return err
				}
			}
			return c.Quit()
		})
	}
	check(g.Wait())
	return float64(mails) / time.Since(began).Seconds()
}

func bareMail(c *smtp.Client, raw []byte) error {
	if err := c.Mail("mail@bench.example"); err != nil {
		return err
	}
	if err := c.Rcpt("p@mail.example"); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(raw); err != nil {
		return err
	}
	return w.Close()
}

// besideMails measures webhooks while mails go out, beside without. The worker, which applies the webhooks too, and
// the mail server are a process that gives way to this one: on machines of their own they would not slow it down.
func (s *system) besideMails(ctx context.Context, events int) {
	paced := func(n int) []time.Duration {
		return try(s.load.pace(ctx, s.next(n), 20*time.Millisecond, make([]time.Time, n)))
	}
	sent := func() int { return query[int](ctx, s, `SELECT count(*) FROM mails WHERE status = 'sent'`) }
	cmd := exec.CommandContext(ctx, "nice", "-n", "19", try(os.Executable()), "-mailer", s.servers.DatabaseURL,
		s.servers.RedisURL)
	cmd.Stderr = os.Stderr
	check(cmd.Start())
	s.onClose(func() error { cmd.Process.Kill(); return nil })
	paced(100) // what an idle server has forgotten
	quiet := paced(events)
	s.exec(ctx, `UPDATE runs SET next_at = next_at - interval '30 days' WHERE ended_at IS NULL AND step <> ''`)
	began, before := time.Now(), sent()
	busy := paced(events)
	rate := float64(sent()-before) / time.Since(began).Seconds()
	check(cmd.Process.Signal(syscall.SIGTERM))
	check(cmd.Wait())
	s.addTimes("(q) webhooks, no mail", quiet, 99, fmt.Sprintf("%d, 50/s", events))
	s.addTimes("    while mails go out", busy, 99, fmt.Sprintf("%.0f mails/s, and the steps that make them due", rate))
}

// beMailer is a worker that sends mail, and the mail server, until ctx ends.
func beMailer(ctx context.Context, databaseURL, redisURL string) {
	s := &system{store: try(store.Open(ctx, databaseURL, store.Options{})), redis: try(jobs.ParseRedis(redisURL))}
	defer s.close()
	s.onClose(func() error { s.store.Close(); return nil })
	stop := s.work(ctx, s.mailer(s.sink()))
	<-ctx.Done()
	stop()
}
