package store

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// BackfillKind is a kind of backfill: all that starts, workers, command line,
// pages, API and metrics know of it. How its source is opened: see history.Access.
type BackfillKind struct {
	Name  string
	Label string // what it brings in, to a person who chooses a kind or looks at a run

	Takes []string // options that it takes, by their names in JSON; all take as_of
	Needs string   // the option without which it cannot start
	Scope string   // the option by which runs differ that may go on at the same time
	Key   string   // the setting that the workers need for it

	Chunk int // objects in a chunk, unless the start says otherwise
	Most  int // objects in a chunk at most: what the API gives, or what can be locked row by row

	Facts    bool   // it attaches facts that are here already
	Inbox    bool   // its objects are events for the inbox, which are applied later
	Recovers string // the source whose missed webhooks a full run makes up for

	Title   string // of a run, as a line begins
	Objects string // what it looks at
	Found   string // what "Found 5 …" says
}

// StripeEvents is the kind that workers start by themselves every hour.
const StripeEvents = "stripe-events"

// BackfillKinds lists the kinds of backfills, in the order in which they are offered.
var BackfillKinds = []BackfillKind{
	{
		Name: "clerk", Label: "Users from Clerk",
		Key: "CLERK_SECRET_KEY", Chunk: 500, Most: 500, Recovers: "clerk",
		Title: "Clerk backfill", Objects: "users", Found: "users to read",
	},
	{
		Name: "stripe", Label: "History from Stripe",
		Takes: []string{"since", "only", "accounts"}, Scope: "accounts",
		Key: "STRIPE_API_KEY", Chunk: 100, Most: 100,
		Title: "Stripe backfill", Objects: "objects", Found: "objects to read",
	},
	{
		Name: StripeEvents, Label: "Missed events from Stripe, of the last 30 days",
		Takes: []string{"since", "accounts"}, Scope: "accounts",
		Key: "STRIPE_API_KEY", Chunk: 100, Most: 100, Inbox: true, Recovers: "stripe",
		Title: "Stripe events backfill", Objects: "events", Found: "events to read",
	},
	{
		Name: "convex", Label: "Export of Convex",
		Takes: []string{"file"}, Needs: "file", Scope: "file", Chunk: 300, Most: 500,
		Title: "Convex backfill", Objects: "rows", Found: "rows to read",
	},
	{
		Name: "courses", Label: "Course enrollments and purchases stored here",
		Takes: []string{"store"}, Scope: "store", Chunk: 300, Most: 350, Facts: true,
		Title: "Backfill", Objects: "course purchases", Found: "course purchases to process",
	},
	{
		Name: "subscriptions", Label: "Active subscriptions stored here",
		Takes: []string{"store"}, Scope: "store", Chunk: 100, Most: 350, Facts: true,
		Title: "Subscription backfill", Objects: "subscriptions", Found: "active subscriptions to process",
	},
}

// BackfillKindOf finds a kind by its name. One that is not known has no name.
func BackfillKindOf(name string) BackfillKind {
	i := slices.IndexFunc(BackfillKinds, func(k BackfillKind) bool { return k.Name == name })
	if i < 0 {
		return BackfillKind{}
	}
	return BackfillKinds[i]
}

// Written are the options as people write them, as texts by their names in JSON.
func (o BackfillOptions) Written() map[string]string {
	texts := map[string]string{}
	for name, values := range o.named() {
		if name == "accounts" {
			values = AccountNames(values)
		}
		texts[name] = strings.Join(values, ", ")
	}
	return texts
}

// AccountNames are ids of Connect accounts as people write them: "" is the platform's own.
func AccountNames(ids []string) []string {
	names := slices.Clone(ids)
	for i, id := range ids {
		names[i] = cmp.Or(id, "platform")
	}
	return names
}

// named are the options that are given, as texts, by their names in JSON. as_of is
// not among them: every kind takes it.
func (o BackfillOptions) named() map[string][]string {
	named := map[string][]string{"only": o.Only, "accounts": o.Accounts}
	if o.Store != "" {
		named["store"] = []string{o.Store}
	}
	if o.File != "" {
		named["file"] = []string{o.File}
	}
	if o.Since != nil {
		named["since"] = []string{o.Since.UTC().Format(time.RFC3339)}
	}
	maps.DeleteFunc(named, func(_ string, values []string) bool { return len(values) == 0 })
	return named
}
