package operators

import (
	"context"

	"rollcall/store"
)

// importCard offers to import one history, in as few choices as can be.
type importCard struct {
	Kind     string
	Title    string
	Brings   string
	Needs    string // the setting; empty: none
	Missing  string // what to do first; empty: it can be started
	Accounts string // which Stripe accounts, if the kind takes them
	File     bool   // it asks for a file
}

// importCards are the histories that operators import when they begin, in the order in which to
// do it.
func (s *Pages) importCards(ctx context.Context) (cards []importCard, err error) {
	cards = []importCard{
		{Kind: "clerk",
			Brings: "All users with their names and verified emails. Import them first: enrollments and payments are " +
				"matched by them."},
		{Kind: "stripe", Accounts: "all",
			Brings: "Customers, payments, invoices, subscriptions, refunds and disputes, of your own account and of all " +
				"connected ones."},
		{Kind: "convex", File: true,
			Brings: "Enrollments, progress and purchases of the app before. Put the zip file into the folder that " +
				"IMPORT_DIR names."},
	}
	for i := range cards {
		c := &cards[i]
		c.Title = store.BackfillKindOf(c.Kind).Label
		if c.Needs, c.Missing, err = s.NeedOf(ctx, c.Kind); err != nil {
			return nil, err
		}
	}
	return cards, nil
}
