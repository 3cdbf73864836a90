package main

import (
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"

	"rollcall/internal/actions"
	"rollcall/store"
)

type backfillStartCmd struct {
	Courses       startCoursesCmd       `cmd:"" help:"Put everyone who enrolled in or bought a course on the lists, from stored facts."`
	Subscriptions startSubscriptionsCmd `cmd:"" help:"Put everyone with an active subscription on the lists, from stored facts."`
	Stripe        startStripeCmd        `cmd:"" help:"Read history from Stripe: customers, sales, invoices, subscriptions, refunds, disputes."`
	Clerk         startClerkCmd         `cmd:"" help:"Read all users from Clerk."`
	Convex        startConvexCmd        `cmd:"" help:"Read a snapshot export of Convex."`
	StripeEvents  startStripeEventsCmd  `cmd:"" name:"stripe-events" help:"Fetch Stripe events of the last 30 days that never arrived."`
}

// Help is shown below the usage.
func (backfillStartCmd) Help() string {
	return `A run is a row in the database, and workers process it in chunks. An interrupted run resumes, and nothing ` +
		`counts twice. Repeating a run does not change correct data.`
}

// startFlags are those that every kind takes.
type startFlags struct {
	Follow bool `name:"follow" help:"Show progress until the run ends: status 0 on success, else 1. Ctrl-C leaves it running."`
	DryRun bool `name:"dry-run" help:"Count what the run would do, show examples, and change nothing."`
	Chunk  int  `name:"chunk" placeholder:"N" help:"Objects per chunk. A chunk is applied as a whole."`
	JSON   bool `name:"json" help:"Print the run as JSON; with --follow, when it has ended."`
}

type startCoursesCmd struct{ startFactsFlags }
type startSubscriptionsCmd struct{ startFactsFlags }

type startFactsFlags struct {
	Store string `name:"store" placeholder:"ID" help:"Only the facts of this store."`
	startFlags
}

// Help is shown below the usage.
func (startFactsFlags) Help() string {
	return `Attaches stored facts to their customers, without requests to Stripe or Clerk. An object counts as created ` +
		`if it brought a new customer, else as updated.`
}

type startStripeCmd struct {
	Since   since    `name:"since" placeholder:"TIME" help:"Only objects created since: a day (2026-01-12), a time (2026-01-12T10:00:00Z) or how long ago (90d, 36h)."`
	Only    []string `name:"only" placeholder:"LIST" help:"Only these Stripe lists, comma-separated, for example customers,invoices."`
	Account []string `name:"account" placeholder:"LIST" help:"Connect accounts (acct_…), comma-separated. platform is the platform's own account; all adds those of the stores. Without it: platform."`
	startFlags
}

// Help is shown below the usage.
func (startStripeCmd) Help() string {
	return `Needs STRIPE_API_KEY where the workers run. Their common request rate leaves room for live traffic.`
}

type startStripeEventsCmd struct {
	Since   since    `name:"since" placeholder:"TIME" help:"Only events created since: a day (2026-01-12), a time (2026-01-12T10:00:00Z) or how long ago (7d, 36h). Stripe keeps them for 30 days."`
	Account []string `name:"account" placeholder:"LIST" help:"Connect accounts (acct_…), comma-separated. platform is the platform's own account; all adds those of the stores. Without it: platform."`
	startFlags
}

// Help is shown below the usage.
func (startStripeEventsCmd) Help() string {
	return `Use it after an endpoint was down: missed events go into the inbox, and are applied like webhooks. Needs ` +
		`STRIPE_API_KEY where the workers run.`
}

type startClerkCmd struct{ startFlags }

// Help is shown below the usage.
func (startClerkCmd) Help() string {
	return `Needs CLERK_SECRET_KEY where the workers run.`
}

type startConvexCmd struct {
	File string `arg:"" name:"file" help:"The export, a zip. Workers read it at this path: they need this machine or the same files."`
	AsOf since  `name:"as-of" placeholder:"TIME" help:"When the export was created, as a day, a time (2026-01-12T10:00:00Z) or how long ago (2d). Of two exports the later one wins. Without it: the time of the file."`
	startFlags
}

// Help is shown below the usage.
func (startConvexCmd) Help() string {
	return `A purchase that is in the export and in Stripe counts once, with Stripe's amounts. A line that cannot be ` +
		`read is reported and skipped. Keep the file until the run has ended.`
}

func (c startCoursesCmd) Run(e *env) error {
	return c.start(e, "courses", store.BackfillOptions{Store: c.Store})
}

func (c startSubscriptionsCmd) Run(e *env) error {
	return c.start(e, "subscriptions", store.BackfillOptions{Store: c.Store})
}

func (c startStripeCmd) Run(e *env) error {
	return c.start(e, "stripe", store.BackfillOptions{Since: c.Since.at, Only: c.Only, Accounts: c.Account})
}

func (c startStripeEventsCmd) Run(e *env) error {
	return c.start(e, store.StripeEvents, store.BackfillOptions{Since: c.Since.at, Accounts: c.Account})
}

func (c startClerkCmd) Run(e *env) error {
	return c.start(e, "clerk", store.BackfillOptions{})
}

func (c startConvexCmd) Run(e *env) error {
	path, err := zipAt(c.File)
	if err != nil {
		return err
	}
	return c.start(e, "convex", store.BackfillOptions{File: path, AsOf: c.AsOf.at})
}

// start writes the run down and asks the queue for it; the row is what counts.
func (c startFlags) start(e *env, kind string, options store.BackfillOptions) error {
	if err := actions.CheckStreams(options.Only); err != nil {
		return e.aboutBackfill(err, 0)
	}
	if err := e.checkKey(store.BackfillKindOf(kind).Key); err != nil {
		return err
	}
	s, redis, err := e.openBoth()
	if err != nil {
		return err
	}
	defer s.Close()
	e.warnOfStore(s, options.Store)
	act, shut := e.actions(s, redis)
	defer shut()
	b, err := act.StartBackfill(e, store.NewBackfill{Kind: kind, Options: options, DryRun: c.DryRun, ChunkSize: c.Chunk,
		StartedBy: whoAsks()})
	if err != nil {
		return e.aboutBackfill(err, 0)
	}
	if c.Follow {
		return c.follow(e, s, b)
	}
	if c.JSON {
		return printJSON(e.out, b)
	}
	_, err = fmt.Fprintf(e.out, "%s is queued. %s\n", title(b), e.next(b))
	return err
}

// checkKey refuses a run that the workers of dev cannot begin without a key. Of workers
// elsewhere it only warns: they may have what this command has not.
func (e *env) checkKey(name string) error {
	set := map[string]*string{"": new(string), "STRIPE_API_KEY": e.StripeAPIKey, "CLERK_SECRET_KEY": e.ClerkSecretKey}
	if e.DatabaseURL == nil {
		if r, err := e.running("DATABASE_URL"); err == nil && name != "" && r.Note[noteKeys+name] == "" {
			return fmt.Errorf("%s is not set where rollcall dev runs, so the run would fail: set it there, and start dev again",
				name)
		}
		return nil
	}
	if set[name] == nil {
		fmt.Fprintf(e.err, "%s is not set here; the run fails unless it is set where the workers run\n", name)
	}
	return nil
}

// zipAt makes a path whole, and sees whether a zip is there. A zip cut short
// passes: what is left of it can be read.
func zipAt(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err // names the path, and says what is wrong
	}
	defer f.Close()
	magic := make([]byte, 2)
	if _, err := io.ReadFull(f, magic); err != nil || string(magic) != "PK" {
		return "", fmt.Errorf("%s is no zip: give the file that the Convex export was downloaded as", path)
	}
	return path, nil
}

// whoAsks is the account and the machine that a command runs on.
func whoAsks() string {
	name := "unknown"
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	if host, err := os.Hostname(); err == nil {
		name += " on " + host
	}
	return name
}
