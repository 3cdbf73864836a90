package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"rollcall/facts"
	"rollcall/mail"
	"rollcall/store"
	"rollcall/store/campaigns"
	storemail "rollcall/store/mail"
	"rollcall/store/pg"
)

type mailCmd struct {
	Status    mailStatusCmd    `cmd:"" help:"Show what stores send, what waits, and what is in the way."`
	List      mailListCmd      `cmd:"" help:"List mails, newest first, with what became of them."`
	Show      mailShowCmd      `cmd:"" help:"Show one mail, and its text if it was kept in the mailbox."`
	Resend    mailResendCmd    `cmd:"" help:"Send a mail again of which it is unknown whether it arrived."`
	Stops     mailStopsCmd     `cmd:"" help:"List who is not mailed any more, and why; add and lift stops."`
	Consents  mailConsentsCmd  `cmd:"" help:"Import what customers agreed to, with proof."`
	Pause     mailPauseCmd     `cmd:"" help:"Pause all sending of a store."`
	Resume    mailResumeCmd    `cmd:"" help:"Let a store send again."`
	Campaigns mailCampaignsCmd `cmd:"" help:"List the campaigns of a store."`
	Preview   mailPreviewCmd   `cmd:"" help:"Show who would get a campaign, and who not and why."`
	Results   mailResultsCmd   `cmd:"" help:"Show what a campaign has come to."`
}

// Help is shown below the usage.
func (mailCmd) Help() string {
	return `Mail of unknown end is never sent again by itself: it may have arrived. docs/mail.md explains all of it.`
}

// openMails opens the mails, as openFor does; close the store behind them.
func (e *env) openMails(storeID string) (*store.Store, *storemail.Mails, error) {
	s, err := e.openFor(storeID)
	if err != nil {
		return nil, nil, err
	}
	return s, storemail.New(s, campaigns.New(s).Skips), nil
}

type mailStatusCmd struct {
	Store string `name:"store" placeholder:"ID" help:"Only this store."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// mailStatus is what status prints of a store.
type mailStatus struct {
	storemail.Lane
	Mails   map[string]int64 `json:"mails"` // by status, of 30 days
	Missing []string         `json:"missing"`
}

func (c mailStatusCmd) Run(e *env) error {
	s, mails, err := e.openMails(c.Store)
	if err != nil {
		return err
	}
	defer s.Close()
	all, err := c.read(e, mails)
	switch {
	case err != nil:
		return err
	case c.JSON:
		return printList(e.out, all)
	case len(all) == 0:
		_, err := fmt.Fprintln(e.out, "No store has sent mail yet.")
		return err
	}
	t := table{head: []string{"STORE", "SENT", "WAIT", "NOT SENT", "FAILED", "UNKNOWN", "STATE"}}
	for _, one := range all {
		t.add(harmless(one.Store), number(one.Mails[mail.Sent]), number(one.Mails[mail.Due]+one.Mails["sending"]),
			number(one.Mails[mail.Skipped]), number(one.Mails[mail.Failed]), number(one.Mails[mail.Unknown]), one.state())
	}
	t.print(e.out)
	for _, what := range all[0].Missing {
		fmt.Fprintln(e.out, what)
	}
	return nil
}

func (c mailStatusCmd) read(e *env, mails *storemail.Mails) ([]mailStatus, error) {
	lanes, err := mails.Lanes(e)
	if err != nil {
		return nil, err
	}
	counts, err := mails.Counts(e, c.Store, time.Now().AddDate(0, 0, -30))
	if err != nil {
		return nil, err
	}
	var all []mailStatus
	for _, l := range lanes {
		if c.Store != "" && l.Store != c.Store {
			continue
		}
		one := mailStatus{Lane: l, Mails: map[string]int64{}}
		for _, n := range counts {
			if n.Store == l.Store {
				one.Mails[n.Status] += n.Mails
			}
		}
		installation, own, err := mails.Missing(e, l.Store)
		if err != nil {
			return nil, err
		}
		one.Missing = append(installation, own...)
		all = append(all, one)
	}
	return all, nil
}

// state is what a store's lane does.
func (m mailStatus) state() string {
	switch {
	case m.PausedFor != "":
		return "paused: " + m.PausedFor
	case m.FailingSince != nil:
		return "the mail server takes no mail since " + dateTime(m.FailingSince) + ": " + harmless(m.Trouble)
	case m.Running:
		return "sending"
	}
	return "ready"
}

type mailListCmd struct {
	Store    string `name:"store" required:"" placeholder:"ID" help:"The store."`
	Status   string `name:"status" placeholder:"STATUS" help:"Only due, sending, sent, failed, skipped or unknown mails."`
	Reason   string `name:"reason" placeholder:"WORD" help:"Only mails of this reason, for example consent."`
	Campaign string `name:"campaign" placeholder:"ID" help:"Only mails of this campaign."`
	Email    string `name:"email" placeholder:"ADDRESS" help:"Only mails to this address."`
	listFlags
}

func (c mailListCmd) Run(e *env) error {
	if err := c.check(); err != nil {
		return err
	}
	if statuses := []string{"", "due", "sending", "sent", "failed", "skipped", "unknown"}; !slices.Contains(statuses,
		c.Status) {
		return usageError("--status must be due, sending, sent, failed, skipped or unknown")
	}
	s, mails, err := e.openMails(c.Store)
	if err != nil {
		return err
	}
	defer s.Close()
	f := storemail.Filter{Store: c.Store, Status: c.Status, Reason: c.Reason, Campaign: c.Campaign}
	if c.Email != "" {
		f.Email = facts.Email(c.Email)
	}
	all, more, err := pages(c.listFlags, func(cursor string, limit int) ([]storemail.Mail, string, error) {
		f.Before, _ = strconv.ParseInt(cursor, 10, 64)
		page, err := mails.List(e, f, limit+1)
		if len(page) > limit {
			return page[:limit], fmt.Sprint(page[limit-1].ID), err
		}
		return page, "", err
	})
	if err != nil {
		return err
	}
	return listing[storemail.Mail]{
		none: "No such mails.", more: moreByFlags,
		head: []string{"ID", "TO", "CAMPAIGN", "STEP", "STATUS", "WHY", "DUE (UTC)", "SENT (UTC)"},
		row: func(m storemail.Mail) []string {
			return []string{fmt.Sprint(m.ID), harmless(clip(m.Email, 40)), orDash(m.Campaign), harmless(m.Step), m.Status,
				orDash(reasonText(m.Reason)), dateTime(&m.DueAt), dateTime(m.SentAt)}
		},
	}.print(e, c.JSON, all, more)
}

// reasonText is the reason of a mail in words; empty: it has none.
func reasonText(reason string) string {
	if reason == "" {
		return ""
	}
	return mail.ReasonText(reason)
}

type mailShowCmd struct {
	ID   int64 `arg:"" name:"id" help:"The mail's id (the first column of list)."`
	JSON bool  `name:"json" help:"Print JSON."`
}

func (c mailShowCmd) Run(e *env) error {
	s, mails, err := e.openMails("")
	if err != nil {
		return err
	}
	defer s.Close()
	m, of, err := mails.Mail(e, c.ID)
	if errors.Is(err, pg.ErrNotFound) {
		return fmt.Errorf("there is no mail %d; `%s` lists them", c.ID, e.at("rollcall mail list --store ID"))
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(e.out, m)
	}
	line := lines{e.out}.add
	for _, l := range [][2]string{{"mail", fmt.Sprint(m.ID)}, {"store", harmless(of)}, {"to", harmless(m.Email)},
		{"class", m.Class}, {"campaign", m.Campaign}, {"step", harmless(m.Step)}, {"occurrence", harmless(m.Occurrence)},
		{"status", m.Status}, {"why", reasonText(m.Reason)}, {"due", m.DueAt.UTC().Format(time.RFC3339)},
		{"tries", fmt.Sprint(m.Tries)}, {"provider", m.Provider}, {"answer", harmless(m.Answer)}} {
		line(l[0], l[1])
	}
	lines{e.out}.addTime("sent", m.SentAt, time.RFC3339)
	return showKept(e, mails, of, m.ID)
}

// showKept prints the text of a mail that was kept instead of sent.
func showKept(e *env, mails *storemail.Mails, storeID string, id int64) error {
	kept, err := mails.Kept(e, storeID, id)
	if errors.Is(err, pg.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	read, err := mail.ReadKept(kept.Raw)
	if err == nil {
		fmt.Fprintf(e.out, "subject      %s\n\n%s", harmless(read.Subject),
			strings.Join(harmlessLines(read.Text), "\n"))
	}
	return err
}

func harmlessLines(text string) (all []string) {
	for line := range strings.SplitSeq(text, "\n") {
		all = append(all, harmless(strings.TrimRight(line, "\r")))
	}
	return all
}

type mailResendCmd struct {
	ID int64 `arg:"" name:"id" help:"The mail's id (the first column of list)."`
}

func (c mailResendCmd) Run(e *env) error {
	s, mails, err := e.openMails("")
	if err != nil {
		return err
	}
	defer s.Close()
	_, of, err := mails.Mail(e, c.ID)
	if err == nil {
		err = mails.SendAgain(e, of, c.ID, time.Now())
	}
	var conflict *pg.Conflict
	switch {
	case errors.Is(err, pg.ErrNotFound):
		return fmt.Errorf("there is no mail %d; `%s` lists them", c.ID,
			e.at("rollcall mail list --status unknown --store ID"))
	case errors.As(err, &conflict):
		return errors.New(conflict.Reason)
	case err != nil:
		return err
	}
	_, err = fmt.Fprintf(e.out, "Mail %d will be sent again. If it arrived before, the customer gets it twice.\n", c.ID)
	return err
}
