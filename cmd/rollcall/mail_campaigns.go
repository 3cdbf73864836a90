package main

import (
	"errors"
	"fmt"
	"time"

	"rollcall/mail"
	"rollcall/store/campaigns"
	"rollcall/store/pg"
)

type mailPauseCmd struct {
	Store string `name:"store" required:"" placeholder:"ID" help:"The store."`
}

func (c mailPauseCmd) Run(e *env) error {
	s, mails, err := e.openMails(c.Store)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := mails.Pause(e, c.Store, "hand"); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "Store %s sends nothing until `rollcall mail resume --store %s`.\n", c.Store,
		quote(c.Store))
	return err
}

type mailResumeCmd struct {
	Store string `name:"store" required:"" placeholder:"ID" help:"The store."`
}

func (c mailResumeCmd) Run(e *env) error {
	s, mails, err := e.openMails(c.Store)
	if err != nil {
		return err
	}
	defer s.Close()
	if err := mails.Resume(e, c.Store); err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "Store %s sends again.\n", c.Store)
	return err
}

type mailCampaignsCmd struct {
	Store string `name:"store" required:"" placeholder:"ID" help:"The store."`
	JSON  bool   `name:"json" help:"Print JSON, as the API does."`
}

func (c mailCampaignsCmd) Run(e *env) error {
	s, err := e.openFor(c.Store)
	if err != nil {
		return err
	}
	defer s.Close()
	all, err := campaigns.New(s).List(e, c.Store)
	switch {
	case err != nil:
		return err
	case c.JSON:
		return printList(e.out, all)
	case len(all) == 0:
		_, err := fmt.Fprintf(e.out, "Store %s has no campaigns yet.\n", c.Store)
		return err
	}
	figures, err := campaigns.New(s).Figures(e, c.Store, time.Now())
	if err != nil {
		return err
	}
	t := table{head: []string{"ID", "NAME", "STATE", "CLASS", "ENTERED", "SENT", "GOAL"}}
	for _, one := range all {
		f := figures[one.ID]
		if one.PausedFor != "" {
			one.State += ": more match than were confirmed"
		}
		t.add(one.ID, harmless(clip(one.Name, 40)), one.State, one.Class, number(f.Entered), number(f.Sent), number(f.Goals))
	}
	t.print(e.out)
	return nil
}

type mailPreviewCmd struct {
	Campaign string `arg:"" name:"campaign" help:"The campaign's id (the first column of campaigns)."`
	Store    string `name:"store" required:"" placeholder:"ID" help:"The store."`
	At       string `name:"at" placeholder:"WHEN" help:"The mails of this day (2027-01-12), or as of a time from now on (2027-01-12T10:00:00Z, +7d). Without it: now."`
	Limit    int    `name:"limit" default:"50" placeholder:"N" help:"Name at most N customers (${default})."`
	JSON     bool   `name:"json" help:"Print JSON, as the API does."`
}

func (c mailPreviewCmd) Run(e *env) error {
	now := time.Now()
	if c.Limit < 1 {
		return usageError("--limit must be 1 or more")
	}
	s, err := e.openFor(c.Store)
	if err != nil {
		return err
	}
	defer s.Close()
	all := campaigns.New(s)
	at, err := all.At(e, c.Store, c.At, now)
	var bad *pg.BadParam
	if errors.As(err, &bad) {
		return usageError("--" + bad.Error())
	}
	if err != nil {
		return err
	}
	p, err := all.Preview(e, c.Store, c.Campaign, campaigns.PreviewOf{At: at, Limit: c.Limit}, now)
	if err != nil {
		return e.noCampaign(err, c.Store, c.Campaign)
	}
	if c.JSON {
		return printJSON(e.out, p)
	}
	printPreview(e, p)
	return nil
}

// noCampaign says what to do if a store lacks a campaign.
func (e *env) noCampaign(err error, storeID, id string) error {
	if !errors.Is(err, pg.ErrNotFound) {
		return err
	}
	return fmt.Errorf("store %s has no campaign %q; `%s` lists them", storeID, id,
		e.at("rollcall mail campaigns --store "+quote(storeID)))
}

func printPreview(e *env, p campaigns.Preview) {
	switch {
	case p.State == campaigns.Ended:
		fmt.Fprintln(e.out, "The campaign has ended: it sends nothing more.")
		return
	case p.State == campaigns.Paused:
		fmt.Fprintln(e.out, "The campaign is paused. This is what it would do if it went on now.")
	}
	if p.Lacks != "" {
		fmt.Fprintln(e.out, p.Lacks)
	}
	if len(p.People) == 0 {
		fmt.Fprintln(e.out, "No mail would be due then.")
	} else {
		t := table{head: []string{"EMAIL", "STEP", "WHAT HAPPENS"}}
		for _, one := range p.People {
			t.add(harmless(one.Email), harmless(one.Step), one.Why())
		}
		t.print(e.out)
	}
	for _, n := range p.Counts {
		fmt.Fprintf(e.out, "%s: %s%s\n", mail.ReasonText(n.Reason), about(p.Every), number(n.Mails))
	}
	if p.Every > 1 {
		fmt.Fprintf(e.out, "There are too many customers to look at each. Rollcall looked at one in %s, and multiplied. "+
			"A rare reason may be missing.\n", number(int64(p.Every)))
	}
	if p.Next != "" {
		e.andMore(false, "--limit names more")
	}
	sum := int64(0)
	for _, d := range p.Forecast {
		sum += d.Mails
	}
	fmt.Fprintf(e.out, "In the next %d days %s%s become due, if nothing happens until then.\n", len(p.Forecast),
		about(p.ForecastEvery), count(int(sum), "mail"))
}

// about stands before what one customer in so many says of all.
func about(every int) string {
	if every == 1 {
		return ""
	}
	return "about "
}
