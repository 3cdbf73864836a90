package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"rollcall/jobs"
	"rollcall/store"
)

type eraseCmd struct {
	Email  string `name:"email" required:"" placeholder:"ADDRESS" help:"The person who has or had this address."`
	Store  string `name:"store" placeholder:"ID" help:"Only the data of this store; the user and other stores keep theirs."`
	DryRun bool   `name:"dry-run" help:"Show what would be erased, and change nothing."`
	Yes    bool   `name:"yes" help:"Do not ask."`
}

// Help is shown below the usage.
func (eraseCmd) Help() string {
	return `Removes a person from all stored data: names, addresses, ids, notes, and the payloads of webhooks
that name them. Sales and courses are kept, anonymised, so that a store's figures stay correct. Late webhooks
and backfills do not bring the person back; new activity creates a new customer.

Stripe and Clerk keep their data: first delete the customer at Stripe and the user at Clerk, and cancel
subscriptions. Backups and logs are your task: docs/erasure.md.

The command reads the whole inbox, several times. If it is interrupted, a worker finishes it, or run it again.`
}

func (c eraseCmd) Run(e *env) error {
	s, redis, err := e.openBoth()
	if err != nil {
		return err
	}
	defer s.Close()
	e.warnOfStore(s, c.Store)
	who, bar := store.Erasing{Email: c.Email, Store: c.Store}, e.progress()
	options := store.EraseOptions{
		Read: e.read(), Progress: func(done, all int64) { bar.show("%d of %d events searched", done, all) }}
	found, err := s.Footprint(e, who, options)
	bar.clear()
	if err != nil {
		return plain(err)
	}
	if !found.Anything() && found.ErasedAt == nil {
		return fmt.Errorf("nothing here names %s: nothing is erased", c.who())
	}
	c.print(e.out, found)
	if c.DryRun {
		_, err := fmt.Fprintf(e.out, "Nothing was changed.\n\n%s", c.left())
		return err
	}
	if !c.Yes {
		if err := ask(e, "Erase this for good? Type yes: "); err != nil {
			return err
		}
	}
	err = s.Erase(e, who, options)
	bar.clear()
	if err != nil {
		return plain(err)
	}
	if _, err := jobs.Forget(redis, found.Names()); err != nil {
		fmt.Fprintf(e.err, "%s: the queue could not be searched; jobs carry only ids, but an error kept with one may name "+
			"the person; run this again when Redis is back\n", redisTrouble(redis, err))
	}
	_, err = fmt.Fprintf(e.out, "Erased. %s\n\n%s", sinceThen, c.left())
	return err
}

// who names the person and the store, for messages.
func (c eraseCmd) who() string {
	if c.Store != "" {
		return c.Email + " in store " + c.Store
	}
	return c.Email
}

// ask requires a yes on the terminal.
func ask(e *env, question string) error {
	if info, err := os.Stdin.Stat(); err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return usageError("there is no terminal to confirm on: add --yes, or --dry-run to see what would be erased")
	}
	fmt.Fprint(e.err, question)
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return usageError("no answer: add --yes, or --dry-run to see what would be erased")
	}
	if strings.TrimSpace(answer) != "yes" {
		return errors.New("nothing is erased")
	}
	return nil
}

// left lists what the operator still has to do.
func (c eraseCmd) left() string {
	if c.Store != "" {
		return fmt.Sprintf("This covers only store %s: the user, and other stores, keep theirs.\n%s", c.Store, leftToDo)
	}
	return leftToDo
}

const (
	sinceThen = "Late events and backfills do not bring the person back; new activity creates a new customer."
	leftToDo  = `Stripe and Clerk still hold their data. If it is not done yet:
  Stripe  cancel what they still pay for, then delete the customer (Customers → … → Delete customer);
          personal data of guests and of past payments: Stripe's form for data deletion requests
  Clerk   delete the user (Users → … → Delete user)
Backups and logs made before now name them as before: docs/erasure.md says which, and for how long.
`
)

// print prints the stored data of a person.
func (c eraseCmd) print(w io.Writer, f store.Footprint) {
	if f.ErasedAt != nil {
		fmt.Fprintf(w, "Erased already at %s; since then:\n", f.ErasedAt.UTC().Format(time.RFC3339))
	}
	for _, known := range []struct {
		as     string
		values []string
	}{{"address", f.Addresses}, {"user", f.Users}, {"Stripe customer", f.StripeCustomers}} {
		for _, v := range known.values {
			fmt.Fprintf(w, "%-16s %s\n", known.as, strings.TrimPrefix(v, "/"))
		}
	}
	fmt.Fprintln(w)
	t := table{head: []string{"TABLE", "STORE", "ROWS", "RESULT"}}
	for _, trace := range f.Traces {
		t.add(trace.Table, orDash(trace.Store), fmt.Sprint(trace.Count), fates[trace.Fate])
	}
	if len(f.Traces) > 0 {
		t.print(w)
		fmt.Fprintln(w)
	}
	c.printRemarks(w, f)
}

// mostTyped is how many addresses are named.
const mostTyped = 20

// someOf lists addresses, but not hundreds.
func someOf(addresses []string) string {
	more := ""
	if left := len(addresses) - mostTyped; left > 0 {
		addresses, more = addresses[:mostTyped], fmt.Sprintf(" and %d more", left)
	}
	return strings.Join(addresses, ", ") + more
}

// fates describes what an erasure does to rows.
var fates = map[string]string{
	"removed":   "removed",
	"anonymous": "kept, anonymised",
	"emptied":   "kept, without the payload",
	"reworded":  "kept, without the name of the person",
}

// printRemarks prints what is not erased, and why.
func (c eraseCmd) printRemarks(w io.Writer, f store.Footprint) {
	if f.Waiting > 0 {
		fmt.Fprintf(w, "%s about them are pending and are applied first.\n", count(int(f.Waiting), "event"))
	}
	for _, email := range f.Elsewhere {
		fmt.Fprintf(
			w, "One of these users has the address %s now, which is not erased with them: run this again with that.\n", email)
	}
	if len(f.Typed) > 0 {
		fmt.Fprintf(w, "Their payloads also hold %s. If one of these is theirs too, run this again with it.\n",
			someOf(f.Typed))
	}
	for _, id := range f.Staff {
		fmt.Fprintf(w, "They own store %s, or are a member of it: that stays, because the platform reports it.\n", id)
	}
}
