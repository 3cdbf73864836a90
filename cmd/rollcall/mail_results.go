package main

import (
	"cmp"
	"fmt"
	"time"

	"rollcall/store/campaigns"
)

type mailResultsCmd struct {
	Campaign string `arg:"" name:"campaign" help:"The campaign's id (the first column of campaigns)."`
	Store    string `name:"store" required:"" placeholder:"ID" help:"The store."`
	JSON     bool   `name:"json" help:"Print JSON, as the API does."`
}

func (c mailResultsCmd) Run(e *env) error {
	s, err := e.openFor(c.Store)
	if err != nil {
		return err
	}
	defer s.Close()
	r, err := campaigns.New(s).Results(e, c.Store, c.Campaign, time.Now())
	switch {
	case err != nil:
		return e.noCampaign(err, c.Store, c.Campaign)
	case c.JSON:
		return printJSON(e.out, r)
	case len(r.Arms) == 0:
		_, err := fmt.Fprintln(e.out, "No one has entered yet.")
		return err
	}
	printResults(e, r)
	return nil
}

func printResults(e *env, r campaigns.Results) {
	arms := table{head: []string{"CUSTOMERS", "ENTERED", "MAILED", "GOAL", "REACHED IT", "95% INTERVAL"}}
	for _, a := range r.Arms {
		percent, between := campaigns.ShareTexts(a.Share)
		if percent != "" {
			percent += " of " + number(a.Share.Of)
		}
		arms.add(r.LabelOf(a), number(a.Entered), number(a.Mailed), number(a.Goal),
			cmp.Or(percent, "too early"), cmp.Or(between, "-"))
	}
	arms.print(e.out)
	mails := table{head: []string{"STEP", "TEXT", "MAIL", "MAILS", "REASON"}}
	for _, m := range r.Mails {
		mails.add(harmless(clip(cmp.Or(m.Name, m.Step), 40)), cmp.Or(m.Variant, "a"), m.Status, number(m.Mails),
			reasonText(m.Reason))
	}
	if len(r.Mails) > 0 {
		mails.print(e.out)
	}
	links := table{head: []string{"LINK", "CLICKS BY PEOPLE", "BY PROGRAMS"}}
	for _, l := range r.Links {
		links.add(harmless(l.URL), number(l.People), number(l.Machines))
	}
	if len(r.Links) > 0 {
		links.print(e.out)
	}
	for _, text := range []string{r.EffectText(), r.VersusText(), r.BackText()} {
		if text != "" {
			fmt.Fprintln(e.out, text)
		}
	}
	if r.Clicked.People+r.Clicked.Machines > 0 {
		fmt.Fprintf(e.out, "Clicked in %s by people, and in %s by programs that check mails.\n",
			count(int(r.Clicked.People), "mail"), number(r.Clicked.Machines))
	}
	if r.Opened > 0 {
		fmt.Fprintf(e.out, "Opened: %s, as the provider reports; programs that load pictures count as well.\n",
			count(int(r.Opened), "mail"))
	}
}
