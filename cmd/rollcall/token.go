package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"rollcall/store/customers"
	"rollcall/store/pg"
)

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Create a token for a store. It is printed only once: Rollcall stores only its hash."`
	List   tokenListCmd   `cmd:"" help:"List tokens: their store and name, last use, and whether they are still valid."`
	Revoke tokenRevokeCmd `cmd:"" help:"Revoke a token."`
}

type tokenCreateCmd struct {
	Store   string  `name:"store" required:"" placeholder:"ID" help:"The store that the token gives access to."`
	Name    string  `name:"name" placeholder:"TEXT" help:"What the token is for."`
	Expires expires `name:"expires" placeholder:"WHEN" help:"When it expires: after a span (90d, 36h), a day (2027-01-12) or a time (2027-01-12T10:00:00Z). Without it: never."`
	JSON    bool    `name:"json" help:"Print JSON."`
}

// Help is shown below the usage.
func (tokenCreateCmd) Help() string {
	return `Prints the token on stdout, and its details on stderr. A program sends it as "Authorization: Bearer TOKEN" ` +
		`to /api/stores/ID/customers and the paths below.`
}

func (c tokenCreateCmd) Run(e *env) error {
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	t, err := customers.New(s).CreateToken(e, customers.NewToken{Store: c.Store, Name: c.Name, Expires: c.Expires.at})
	if err != nil {
		return plain(err)
	}
	if !t.Known {
		fmt.Fprintf(e.err, "No event has mentioned store %s yet%s. If it is misspelt: `%s` revokes the token.\n", t.StoreID,
			e.nearestStore(s, t.StoreID), e.at(fmt.Sprintf("rollcall token revoke %d", t.ID)))
	}
	if c.JSON {
		return printJSON(e.out, t)
	}
	ends := "it never expires"
	if t.ExpiresAt != nil {
		ends = "it expires at " + t.ExpiresAt.Format(time.RFC3339)
	}
	fmt.Fprintf(e.err, "Token %d of store %s; %s. Copy it now; you won't see it again.\n", t.ID, t.StoreID, ends)
	_, err = fmt.Fprintln(e.out, t.Secret)
	return err
}

type tokenListCmd struct {
	Store string `name:"store" placeholder:"ID" help:"Only tokens of this store."`
	JSON  bool   `name:"json" help:"Print JSON."`
}

// listedToken is a token as list prints it.
type listedToken struct {
	customers.Token
	State string `json:"state"` // active, expired or revoked
}

func (c tokenListCmd) Run(e *env) error {
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	tokens, err := customers.New(s).Tokens(e, c.Store)
	if err != nil {
		return err
	}
	var all []listedToken
	for _, t := range tokens {
		all = append(all, listedToken{t, t.State(time.Now())})
	}
	return listing[listedToken]{
		none: "There is no token. `rollcall token create --store ID` makes one.",
		head: []string{"ID", "STORE", "NAME", "CREATED (UTC)", "LAST USED", "EXPIRES", "STATE"},
		row: func(v listedToken) []string {
			return []string{fmt.Sprint(v.ID), v.StoreID, orDash(clip(v.Name, 40)), dateTime(&v.CreatedAt),
				dateTime(v.LastUsedAt), dateTime(v.ExpiresAt), v.State}
		},
	}.print(e, c.JSON, all, false)
}

// dateTime is a time as lists show it; none is never.
func dateTime(t *time.Time) string {
	if t == nil {
		return "never"
	}
	return t.UTC().Format(time.DateTime)
}

type tokenRevokeCmd struct {
	ID string `arg:"" name:"id" help:"The token's id (the first column of list), not the token itself."`
}

func (c tokenRevokeCmd) Run(e *env) error {
	id, err := strconv.ParseInt(c.ID, 10, 64)
	if err != nil { // what was typed may be the token itself: it is not repeated
		return usageError("the id of a token is a number: `rollcall token list` shows it")
	}
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	t, err := customers.New(s).RevokeToken(e, id)
	if errors.Is(err, pg.ErrNotFound) {
		return fmt.Errorf("there is no token %d; `rollcall token list` shows their ids", id)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(e.out, "Token %d of store %s is revoked since %s: it opens nothing.\n", t.ID, t.StoreID,
		dateTime(t.RevokedAt)+" UTC")
	return err
}
