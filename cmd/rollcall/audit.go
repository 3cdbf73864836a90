package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"rollcall/facts"
	"rollcall/store"
	"rollcall/store/checks"
)

type auditCmd struct {
	Against  string `arg:"" optional:"" name:"source" enum:"facts,stripe,clerk" default:"facts" help:"What to compare with: facts (stored data with itself), stripe or clerk (their APIs). Without it: facts."`
	Store    string `name:"store" placeholder:"ID" help:"Only this store."`
	Fix      bool   `name:"fix" help:"Fix the differences, then compare again."`
	Examples int    `name:"examples" placeholder:"N" default:"5" help:"Show at most N examples of each difference (${default})."`
	JSON     bool   `name:"json" help:"Print JSON."`
}

// Help is shown below the usage.
func (auditCmd) Help() string {
	return `Without --fix nothing is written, and nothing is blocked.

facts: every fact that resolves to a store and an address must point at that customer, and every customer
must match its facts. --fix resolves and derives again, as rebuild does. Missing facts are listed with the
reason; they are not differences.

stripe (needs STRIPE_API_KEY): all sales, invoices, refunds, disputes and subscriptions in Stripe must be
stored, with the same amounts and status. With --store, these are the ones of its Connect account, and its
own on the platform's account. --fix starts a backfill of kind stripe and follows it.

clerk (needs CLERK_SECRET_KEY): all Clerk users must be stored, with the same verified address and name, and
deleted users marked as deleted. --fix starts a backfill of kind clerk, follows it, and marks deleted users.

PLATFORM_PRODUCT_TYPES must be the same as for the workers. Status 0: no differences, or with --fix none left;
1: differences, or data that could not be compared; 2: an invalid command line.`
}

// auditing compares stored data with one source, and fixes differences.
type auditing struct {
	auditCmd
	checks.Check
	e        *env
	s        *store.Store
	accounts []string     // of Stripe, "" being the platform's own
	stuck    []facts.User // users of the last comparison that a backfill would not fix
	gone     []string     // users that Clerk has deleted
}

func (c auditCmd) Run(e *env) error {
	if err := c.check(e); err != nil {
		return err
	}
	s, err := e.open()
	if err != nil {
		return err
	}
	defer s.Close()
	accounts, err := c.accounts(e, s)
	if err != nil {
		return err
	}
	check := slices.IndexFunc(checks.Audits, func(check checks.Check) bool { return check.Name == c.Against })
	return c.audit(e, &auditing{auditCmd: c, Check: checks.Audits[check], e: e, s: s, accounts: accounts})
}

// check rejects invalid combinations of flags, and names missing settings.
func (c auditCmd) check(e *env) error {
	switch {
	case c.Examples < 0:
		return usageError("--examples: write a number from 0 on")
	case c.Against == "clerk" && c.Store != "":
		return usageError("--store: Clerk's users belong to no store; leave it out")
	case c.Against == "stripe" && e.StripeAPIKey == nil:
		return errors.New(
			"STRIPE_API_KEY is not set: give a key of Stripe's API (sk_… or rk_…; one that may only read will do)")
	case c.Against == "clerk" && e.ClerkSecretKey == nil:
		return errors.New("CLERK_SECRET_KEY is not set: give the secret key (sk_…) of the Clerk instance")
	}
	return nil
}

// accounts are the Stripe accounts that the audit is about, "" being the
// platform's own.
func (c auditCmd) accounts(e *env, s *store.Store) (accounts []string, err error) {
	if c.Store == "" {
		accounts, err = s.StripeAccounts(e)
	} else {
		accounts, err = e.storeAccounts(s, c.Store)
	}
	return append([]string{""}, accounts...), err
}

// audit compares and, with --fix, fixes the differences and compares again.
func (c auditCmd) audit(e *env, with *auditing) error {
	found, err := with.look()
	if err != nil {
		return err
	}
	report := auditReport{Against: c.Against, Store: c.Store, Audit: found}
	if c.Fix && !found.Clean() {
		if !c.JSON {
			printDifferences(e.out, found)
			fmt.Fprintf(e.out, "\nFixing …\n")
		}
		if err := with.fix(found); err != nil {
			return err
		}
		report.Mended = found.Differences
		if report.Audit, err = with.look(); err != nil {
			return err
		}
	}
	if err := c.print(e, report); err != nil {
		return err
	}
	if !report.Clean() {
		return errors.Join(c.explain(e), errReported)
	}
	return nil
}

// explain adds whether the differences resolve themselves.
func (c auditCmd) explain(e *env) error {
	d, err := e.derivation()
	if err == nil && d.Pending() {
		fmt.Fprintln(e.err, checks.Deriving(d)+". Until they are done, what an earlier version derived differs")
	}
	return err
}

// reading is what is shown while an audit reads.
var reading = map[string]string{
	"facts":  "%s facts and customers looked at",
	"stripe": "%s objects read from Stripe",
	"clerk":  "%s users read from Clerk",
}

// apart are the audits that ask an API: how they look, and how they fix.
var apart = map[string]struct {
	look func(*auditing, store.AuditOptions) (store.Audit, error)
	fix  func(*auditing, store.Audit) error
}{
	"stripe": {(*auditing).lookAtStripe, (*auditing).fixStripe},
	"clerk":  {(*auditing).lookAtClerk, (*auditing).fixClerk},
}

// look compares.
func (a *auditing) look() (store.Audit, error) {
	bar := a.e.progress()
	defer bar.clear()
	options := a.options(bar, reading[a.Name])
	if a.Check.Run == nil {
		return apart[a.Name].look(a, options)
	}
	with := checks.New(a.s).Checkup(options)
	_, err := a.Check.Run(with, a.e)
	return with.Audit, err
}

// fix fixes what was found.
func (a *auditing) fix(found store.Audit) error {
	if a.Mend == nil {
		return apart[a.Name].fix(a, found)
	}
	bar := a.e.progress()
	defer bar.clear()
	return a.Mend(checks.New(a.s).Checkup(a.options(bar, "%s facts resolved again")), a.e)
}

func (a *auditing) options(bar progress, text string) store.AuditOptions {
	return store.AuditOptions{Store: a.Store, Examples: a.Examples,
		Progress: func(done int64) { bar.show(text, number(done)) }}
}

// moneyStreams are the Stripe lists with sales, refunds, disputes and subscriptions.
var moneyStreams = []string{"subscriptions", "invoices", "payment_intents", "refunds", "disputes", "checkout_sessions"}

func (a *auditing) lookAtStripe(o store.AuditOptions) (store.Audit, error) {
	audit, err := a.s.NewStripeAudit(a.e, o, a.accounts)
	if err != nil {
		return store.Audit{}, err
	}
	defer audit.Close()
	now := time.Now().UTC()
	options := store.BackfillOptions{Only: moneyStreams, Accounts: a.accounts, AsOf: &now}
	if err := a.e.readHistory("stripe", options, audit.Page); err != nil {
		return store.Audit{}, err
	}
	return audit.Finish(a.e)
}

// fixStripe reads all of Stripe's lists: a sale's customer or product may be missing too.
func (a *auditing) fixStripe(store.Audit) error {
	accounts := make([]string, len(a.accounts))
	for i, account := range a.accounts {
		accounts[i] = cmp.Or(account, "platform")
	}
	return a.bringIn(a.e, "stripe", store.BackfillOptions{Accounts: accounts})
}

// derivation returns the progress of deriving by this version's rules, if the schema
// is current.
func (e *env) derivation() (store.Derivation, error) {
	s, err := e.open()
	if err != nil {
		return store.Derivation{}, err
	}
	defer s.Close()
	return s.Derivation(e)
}
