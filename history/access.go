package history

import (
	"context"
	"path/filepath"

	"rollcall/store"
)

// Source is a history to import. Read returns the page at a position, with about limit objects at
// most. The empty position is the start. A source that is an io.Closer is closed after use.
type Source interface {
	Read(ctx context.Context, at store.Position, limit int) (store.Page, error)
}

// Access configures access to the sources.
type Access struct {
	StripeKey, StripeBase string // base URLs: empty means the vendors' own
	StripeMode            string // live or test: objects of the other mode are skipped; empty: none is
	ClerkKey, ClerkBase   string
	ImportDir             string  // the folder of exports; empty: files are read by absolute path
	Budget                *Budget // of requests to Stripe; nil: unlimited
}

// sources maps each kind in store.BackfillKinds to its source.
var sources = map[string]func(Access, store.Backfill) (Source, error){
	"courses":          heldFacts,
	"subscriptions":    heldFacts,
	"clerk":            func(a Access, _ store.Backfill) (Source, error) { return NewClerk(a.clerk()) },
	"stripe":           func(a Access, run store.Backfill) (Source, error) { return NewStripe(a.stripe(run)) },
	store.StripeEvents: func(a Access, run store.Backfill) (Source, error) { return NewStripeEvents(a.stripe(run)) },
	"convex":           Access.convex,
}

// Open opens the source of a run. An error that a retry cannot fix is *Refused.
func (a Access) Open(run store.Backfill) (Source, error) {
	open, ok := sources[run.Kind]
	if !ok {
		return nil, refused("this version of Rollcall knows no backfill of kind %s", run.Kind)
	}
	return open(a, run)
}

func heldFacts(_ Access, run store.Backfill) (Source, error) {
	return store.FactsHistory{Kind: run.Kind, Store: run.Options.Store}, nil
}

func (a Access) clerk() ClerkConfig { return ClerkConfig{Key: a.ClerkKey, BaseURL: a.ClerkBase} }

func (a Access) stripe(run store.Backfill) StripeConfig {
	return StripeConfig{Key: a.StripeKey, BaseURL: a.StripeBase, Mode: a.StripeMode, Options: run.Options,
		Budget: a.Budget}
}

// convex opens an export. Pages and the API name a file in the folder. An absolute path comes from
// the command line, from a person with access to the database.
func (a Access) convex(run store.Backfill) (Source, error) {
	if a.ImportDir == "" && !filepath.IsAbs(run.Options.File) {
		return nil, refused("%s is a file in the folder that IMPORT_DIR names, "+
			"which is not set where this worker runs: set it, and start a new backfill", run.Options.File)
	}
	return NewConvex(ConvexConfig{Options: run.Options, Dir: a.ImportDir}), nil
}
