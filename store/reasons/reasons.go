// Package reasons lists why an enrollment, payment or subscription is on no customer
// list: the meaning of each reason, and the commands that fix it. All commands, pages,
// metrics and documents read this list.
package reasons

import (
	"slices"
	"strings"
)

// Reasons that no fact resolves to: one is for bulk loads, the other for failed
// derivations and is followed by the error.
const (
	NotDerived   = "not_derived"
	DeriveFailed = "derive_failed"
)

// Rebuild is the command that attaches all facts again.
const Rebuild = "rollcall rebuild"

// Weights of missing facts.
const (
	note    = "note"    // worth knowing
	warning = "warning" // a customer may be missing, perhaps for good
	problem = "problem" // a customer is probably missing
)

// Actions of the operators' pages, besides starting a backfill by its kind.
const (
	attach = "attach" // attach the facts again
	retry  = "retry"  // retry the failed events
	clerk  = "clerk"
	stripe = "stripe"
)

const (
	importClerk  = "rollcall backfill start clerk --follow"
	importStripe = "rollcall backfill start stripe --account all --follow"
)

// Reason is why a fact is on no list.
type Reason struct {
	Code  string
	Label string // as a heading
	Right bool   // the fact is not expected on a list; the fields below Means are empty
	Means string // about one fact, or (Right) about many

	Do       string   // the fix in words
	Fix      []string // commands, in order; a person or the doctor fills in the <ANGLES>
	Actions  []string // those that the operators' pages offer as buttons
	Weight   string   // note, warning or problem
	Stranger string   // weight if the facts name no object of the platform; empty: the same
	Waits    []string // LIKE patterns; the first that matches one of its keys is what it waits for
}

// All are the reasons, in the order in which they are shown.
var All = []Reason{
	{
		Code:    NotDerived,
		Label:   "Not attached yet",
		Means:   "it was loaded in bulk and has not been attached yet",
		Do:      "Rebuild the lists",
		Fix:     []string{Rebuild},
		Actions: []string{attach},
		Weight:  problem,
	},
	{
		Code:    DeriveFailed,
		Label:   "Customer could not be computed",
		Means:   "its customer could not be computed",
		Do:      "Fix what the error names, then rebuild the lists",
		Fix:     []string{Rebuild},
		Actions: []string{retry, attach},
		Weight:  problem,
	},
	{
		Code:  "no_store",
		Label: "Store unknown",
		Means: "its store is not known",
		Do:    "The platform must report the product with its store (product.upserted), or the store itself (store.upserted)",
		Fix: []string{
			`rollcall events send product.upserted '{"id":"<PRODUCT>","store_id":"<STORE>","kind":"<KIND>"}'`,
		},
		Actions: []string{attach},
		Weight:  problem,
		Waits:   []string{`store:user\_%`, `product:%`, `price\_%`, `prod\_%`, `account:%`, `store:%`},
	},
	{
		Code:  "account_without_store",
		Label: "Stripe account without a store",
		Means: "its Stripe account belongs to no store",
		Do:    "The platform must report the account's store (store.upserted with stripe_account_id)",
		Fix: []string{
			`rollcall events send store.upserted ` +
				`'{"id":"<STORE>","name":"<NAME>","owner_user_id":"<CLERK USER>","stripe_account_id":"<ACCOUNT>"}'`,
		},
		Actions:  []string{attach},
		Weight:   problem,
		Stranger: note, // connected accounts also sell on their own
		Waits:    []string{`account:%`},
	},
	{
		Code:    "user_unknown",
		Label:   "User unknown",
		Means:   "Clerk has never reported its user",
		Do:      "Import Clerk's users. If Clerk has no such user, report the enrollment with an email",
		Fix:     []string{importClerk},
		Actions: []string{clerk, attach},
		Weight:  problem,
		Waits:   []string{`user:%`},
	},
	{
		Code:  "user_unconfirmed",
		Label: "User not confirmed",
		Means: "it names a user on a connected account, whose owner can write any id there, and has no email of its own",
		Do: "Import Stripe's history, which may have the email. Or wait until the platform reports that user in " +
			"the store",
		Fix:     []string{importStripe},
		Actions: []string{stripe, attach},
		Weight:  warning,
		Waits:   []string{`user:%`},
	},
	{
		Code:  "email_unverified",
		Label: "No verified email",
		Means: "its user has no verified email",
		Do:    "Resolves itself once Clerk reports one. Import Clerk's users, or report the enrollment with an email",
		Fix: []string{
			importClerk,
			`rollcall events send enrollment.upserted '{"course_id":"<COURSE>","user_id":"<CLERK USER>","email":"<ADDRESS>"}'`,
		},
		Actions: []string{clerk, attach},
		Weight:  warning, // some never verify one
		Waits:   []string{`user:%`},
	},
	{
		Code:    "no_email",
		Label:   "No email",
		Means:   "no event gave the buyer's email",
		Do:      "Import the history of Stripe and of Clerk",
		Fix:     []string{importStripe, importClerk},
		Actions: []string{stripe, clerk, attach},
		Weight:  warning,
		Waits:   []string{`cus:%`},
	},
	{
		Code:  "unclaimed_payment",
		Label: "Payment for something unknown",
		Means: "it was paid, but nothing says for what",
		Do: "Import Stripe's history, if its checkout or invoice was missed. Or name the product in the payment's " +
			"metadata",
		Fix:     []string{importStripe},
		Actions: []string{stripe, attach},
		Weight:  warning,
	},
	{
		Code:    "paid_not_started",
		Label:   "Paid, but never started",
		Means:   "an invoice of it was paid, but Stripe never reported it active",
		Do:      "Import Stripe's history",
		Fix:     []string{importStripe},
		Actions: []string{stripe, attach},
		Weight:  warning,
	},
	{Code: "bare_payment", Label: "Payments without a product", Right: true,
		Means: "payments that brought in nothing yet, kept only to match refunds"},
	{
		Code: "foreign_payment", Label: "Other sales of connected accounts", Right: true,
		Means: "payments on connected accounts that name nothing of ours: what their owners sell elsewhere",
	},
	{Code: "unpaid", Label: "Unpaid checkouts", Right: true, Means: "checkouts that were not paid"},
	{
		Code: "counted_elsewhere", Label: "Counted with their invoice or checkout", Right: true,
		Means: "payments whose money is counted with the invoice or checkout that they pay",
	},
	{Code: "platform_sale", Label: "Sales of the platform itself", Right: true, Means: "sales of the platform itself"},
	{Code: "never_enrolled", Label: "Ends without a beginning", Right: true,
		Means: "ends of enrollments whose beginning was never reported"},
	{Code: "not_started", Label: "Subscriptions that never began", Right: true,
		Means: "subscriptions that never began, and were never paid"},
}

// Text is a reason's meaning and fix.
func (r Reason) Text() string {
	if r.Do == "" {
		return r.Means
	}
	return r.Means + ". " + r.Do
}

// Find returns a reason by its code, or by the content of a column unattached: a code,
// perhaps followed by an error.
func Find(unattached string) (Reason, bool) {
	code, _, _ := strings.Cut(unattached, ":")
	i := slices.IndexFunc(All, func(r Reason) bool { return r.Code == code })
	if i < 0 {
		return Reason{Code: code, Label: code, Means: "a reason that this version does not know"}, false
	}
	return All[i], true
}

// Codes are the codes of all reasons.
func Codes() []string { return codes(func(Reason) bool { return true }) }

// Attached are the codes of facts that were attached once: all but NotDerived.
func Attached() []string { return codes(func(r Reason) bool { return r.Code != NotDerived }) }

// Missing are the codes for which a customer may be missing.
func Missing() []string { return codes(func(r Reason) bool { return !r.Right }) }

func codes(of func(Reason) bool) (all []string) {
	for _, r := range All {
		if of(r) {
			all = append(all, r.Code)
		}
	}
	return all
}
