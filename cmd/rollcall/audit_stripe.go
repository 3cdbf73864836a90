package main

import (
	"time"

	"rollcall/store"
)

// moneyStreams are the Stripe lists with sales, refunds, disputes and subscriptions.
var moneyStreams = []string{"subscriptions", "invoices", "payment_intents", "refunds", "disputes", "checkout_sessions"}

// stripeAuditing compares with Stripe's API.
type stripeAuditing struct {
	auditCmd
	e        *env
	s        *store.Store
	accounts []string
}

func (a *stripeAuditing) look() (store.Audit, error) {
	bar := a.e.progress()
	defer bar.clear()
	audit, err := a.s.NewStripeAudit(a.e, a.options(func(done int64) { bar.show("%s objects read from Stripe", number(done)) }), a.accounts)
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

// fix reads all of Stripe's lists: a sale's customer or product may be missing too.
func (a *stripeAuditing) fix(store.Audit) error {
	accounts := make([]string, len(a.accounts))
	for i, account := range a.accounts {
		if accounts[i] = account; account == "" {
			accounts[i] = "platform"
		}
	}
	return a.bringIn(a.e, "stripe", store.BackfillOptions{Accounts: accounts})
}
