package main

import (
	"errors"
	"fmt"

	"rollcall/store"
	"rollcall/store/pg"
	"rollcall/store/status"
)

type storesCmd struct {
	Words string `arg:"" optional:"" name:"words" help:"Only stores with these words in their name or id."`
	Sort  string `name:"sort" placeholder:"KEY" enum:"-customers,id" default:"-customers" help:"Order: -customers (the longest lists first) or id (${default})."`
	listFlags
}

func (c storesCmd) Run(e *env) error {
	if err := c.check(); err != nil {
		return err
	}
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	all, more, err := pages(c.listFlags, func(cursor string, limit int) ([]status.StoreLine, string, error) {
		return status.New(s).StoreLines(e, status.StoreFilter{Query: c.Words, Sort: c.Sort, Cursor: cursor, Limit: limit})
	})
	if err != nil {
		return plain(err)
	}
	none := "No stores yet. The platform reports them, or `rollcall events send store.upserted …`."
	if c.Words != "" {
		none = fmt.Sprintf("No store has %q in its name or id.", c.Words)
	}
	return listing[status.StoreLine]{
		none: none, more: "--all lists them, words of the name find one",
		head: []string{"ID", "NAME", "CUSTOMERS", "MISSING", "LAST ACTIVITY (UTC)"},
		row: func(l status.StoreLine) []string {
			return []string{harmless(l.ID), orDash(harmless(clip(deref(l.Name), 40))), number(l.Customers),
				number(l.Unattached), dateTime(l.LastActivityAt)}
		},
	}.print(e, c.JSON, all, more)
}

// storeAccounts are the Stripe accounts of a store, which an event must have mentioned.
func (e *env) storeAccounts(s *store.Store, id string) ([]string, error) {
	accounts, err := s.StoreAccounts(e, id)
	if errors.Is(err, pg.ErrNotFound) {
		err = fmt.Errorf("there is no store %q%s; `%s` lists them", id, e.nearestStore(s, id), e.at("rollcall stores"))
	}
	return accounts, err
}

// mustKnowStore is the error of a store that no event has mentioned.
func (e *env) mustKnowStore(s *store.Store, id string) error {
	_, err := e.storeAccounts(s, id)
	return err
}

// nearestStore suggests the store that was meant; nothing if none is alike.
func (e *env) nearestStore(s *store.Store, id string) string {
	near, err := status.New(s).NearestStore(e, id)
	if err != nil || near == "" { // no suggestion is no failure
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", near)
}
