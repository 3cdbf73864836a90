package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/customers"
	storemail "rollcall/store/mail"
	"rollcall/store/pg"
)

type mailStopsCmd struct {
	List mailStopsListCmd `cmd:"" help:"List who a store does not mail any more, since when, why and by whose hand."`
	Add  mailStopsAddCmd  `cmd:"" help:"Stop all mail of a store to a customer."`
	Lift mailStopsLiftCmd `cmd:"" help:"Lift what add did. What the customer or a mail server said stays."`
}

// Help is shown below the usage.
func (mailStopsCmd) Help() string {
	return `Stops are kept as keyed hashes of addresses: they survive imports, merges and erasure. Only those who are ` +
		`customers of the store now can be named.`
}

type mailStopsListCmd struct {
	Store string `name:"store" required:"" placeholder:"ID" help:"The store."`
	Email string `name:"email" placeholder:"ADDRESS" help:"Only the stops of this customer."`
	listFlags
}

func (c mailStopsListCmd) Run(e *env) error {
	if err := c.check(); err != nil {
		return err
	}
	s, err := e.openFor(c.Store)
	if err != nil {
		return err
	}
	defer s.Close()
	f := storemail.StopFilter{Store: c.Store}
	if c.Email != "" {
		if f.Customer, err = e.customerNumber(s, c.Store, c.Email); err != nil {
			return err
		}
	}
	all, more, err := pages(c.listFlags, func(cursor string, limit int) ([]storemail.Stopped, string, error) {
		f.Cursor, f.Limit = cursor, limit
		return storemail.NewRecipients(s).AllStops(e, f)
	})
	if err != nil {
		return err
	}
	none := fmt.Sprintf("Store %s has no stops.", c.Store)
	if c.Email != "" {
		none = fmt.Sprintf("Nothing stops mail of store %s to %s.", c.Store, c.Email)
	}
	return listing[storemail.Stopped]{
		none: none, more: moreByFlags,
		head: []string{"SINCE (UTC)", "CUSTOMER", "REASON", "STOPS", "BY"},
		row: func(stop storemail.Stopped) []string {
			return []string{dateTime(&stop.Since), orDash(harmless(clip(stop.Email, 40))), stop.Reason, extent(stop.Stop),
				orDash(harmless(stop.By))}
		},
	}.print(e, c.JSON, all, more)
}

// extent says what a stop stops.
func extent(s storemail.Stop) string {
	switch {
	case s.CampaignID != "":
		return "mails of " + s.CampaignID
	case s.Reason == "unsubscribed" && s.Everywhere:
		return "marketing of all stores"
	case s.Reason == "unsubscribed":
		return "marketing"
	case s.Everywhere:
		return "all mail of all stores"
	}
	return "all mail"
}

// customerNumber is the id of a customer of a store by their address.
func (e *env) customerNumber(s *store.Store, storeID, email string) (int64, error) {
	id, err := customers.New(s).CustomerAt(e, storeID, facts.Email(email))
	if errors.Is(err, pg.ErrNotFound) {
		return 0, e.noCustomer(customersShowCmd{Ref: email, Store: storeID})
	}
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(id, 10, 64)
}

// mailTo is a customer of a store by their address.
type mailTo struct {
	Email string `arg:"" name:"email" help:"The customer's email address."`
	Store string `name:"store" required:"" placeholder:"ID" help:"The store."`
}

// change changes whether the customer is mailed, and says so.
func (c mailTo) change(e *env, said string, change func(*storemail.Recipients, int64) error) error {
	s, err := e.openFor(c.Store)
	if err != nil {
		return err
	}
	defer s.Close()
	id, err := e.customerNumber(s, c.Store, c.Email)
	if err == nil {
		err = change(storemail.NewRecipients(s), id)
	}
	if errors.Is(err, pg.ErrNotFound) {
		return fmt.Errorf("mail to %s was not stopped by hand, so there is nothing to lift; `%s` lists other stops",
			c.Email, e.at("rollcall mail stops list --store "+quote(c.Store)+" --email "+quote(c.Email)))
	}
	if err == nil {
		_, err = fmt.Fprintf(e.out, said+"\n", c.Email)
	}
	return err
}

type mailStopsAddCmd struct{ mailTo }

func (c mailStopsAddCmd) Run(e *env) error {
	return c.change(e, "The store sends no more mail to %s. `rollcall mail stops lift` takes that back.",
		func(to *storemail.Recipients, id int64) error {
			return to.StopByHand(e, c.Store, id, "admin", time.Now())
		})
}

type mailStopsLiftCmd struct{ mailTo }

func (c mailStopsLiftCmd) Run(e *env) error {
	return c.change(e, "Mail to %s is no longer stopped by hand.", func(to *storemail.Recipients, id int64) error {
		return to.LiftByHand(e, c.Store, id)
	})
}
