package checks

import (
	"context"
	"slices"

	"rollcall/store"
	"rollcall/store/finding"
)

// Check examines one thing.
type Check struct {
	Name  string
	Needs Need
	Kinds finding.Kinds // of findings
	Fine  string        // said if nothing is wrong; may be empty

	// Run returns what it finds; with an error, what it found until then. It is nil if the
	// check needs more than the database: then the program binds one to the name.
	Run func(*Checkup, context.Context) ([]finding.Finding, error)

	// Mend fixes what Run found. It is nil if the commands of the findings do.
	Mend func(*Checkup, context.Context) error
}

// Need is what a check cannot run without.
type Need int

const (
	Nothing Need = iota
	Queue        // a Redis that answers
	Schema       // a Postgres that answers and has our tables
	API          // the schema, and the API of Stripe or Clerk
)

// Kinds are the kinds of findings of some checks, and those of any.
func Kinds(of ...Check) finding.Kinds {
	all := slices.Clone(common)
	for _, c := range of {
		all = append(all, c.Kinds...)
	}
	return all
}

// KindOf is a kind of the doctor's findings by its name; it panics on an unknown one.
func KindOf(name string) finding.Kind { return Kinds(Doctor...).Find(name) }

func problem(name, means string) finding.Kind { return finding.Problem.Kind(name, means) }
func warning(name, means string) finding.Kind { return finding.Warning.Kind(name, means) }
func note(name, means string) finding.Kind    { return finding.Note.Kind(name, means) }
func fine(name, means string) finding.Kind    { return finding.OK.Kind(name, means) }

// Kinds of more than one check.
var (
	clockOff       = warning("clock_off", "clocks that disagree: signatures more than five minutes off are refused")
	settingMissing = note("setting_missing", "a setting without which part of this does not work")
)

// common are the kinds that every check of the doctor can find.
var common = finding.Kinds{
	problem("check_failed", "a check that could not be completed; the others were"),
	problem("database_away", "Postgres does not answer: senders are asked to retry, and nothing is shown"),
}

// Doctor are the checks that take seconds, in their order. The health page and the
// watches show findings of some of these kinds.
var Doctor = []Check{
	{Name: "settings", Kinds: finding.Kinds{
		problem("setting_malformed", "a setting that serve or work would refuse to start with"),
		warning("setting_unusable",
			"a setting that cannot work as it is: the service runs without what it is for"),
		settingMissing,
		warning("settings_disagree", "two settings that cannot both be meant"),
	}},
	{Name: "database", Kinds: finding.Kinds{
		problem("database_read_only", "nothing can be written: senders are asked to retry"),
		warning("database_old", "a Postgres that Rollcall is not tested with"),
		note("locks_few", "little room for locks: with many workers, events are tried again for lack of it"),
		problem("extension_missing", "an extension that the search needs"),
		problem("index_missing", "an index that lists need to be quick"),
		clockOff,
	}},
	{Name: "schema", Kinds: finding.Kinds{
		problem("database_foreign",
			"a database with tables of another program under names that Rollcall needs"),
		problem("name_taken", "a table or an index that Rollcall did not make, under a name that its next migrations need"),
		problem("schema_behind", "migrations that are not applied yet"),
		warning("schema_ahead", "a schema newer than this program"),
		problem("store_unheard", "a store that no event mentions"),
	}},
	{Name: "sessions", Needs: Schema, Kinds: finding.Kinds{
		problem("database_not_able",
			"a database that cannot store webhooks: senders are asked to retry"),
		problem("session_held", "an idle session that holds rows: what needs them waits"),
		clockOff,
	}},
	{Name: "redis", Kinds: finding.Kinds{
		problem("redis_away", "Redis does not answer: events are stored, and applied when it is back"),
		problem("redis_evicts", "a Redis that drops jobs when it is full"),
		note("redis_forgets",
			"a Redis that loses all jobs when it restarts; the sweep asks for them again"),
		warning("redis_old", "a Redis older than the queue needs"),
		note("redis_mute", "a Redis that does not show its settings"),
	}},
	{Name: "workers", Needs: Queue, Kinds: finding.Kinds{
		problem("workers_missing", "no worker applies what was received"),
		problem("queue_paused", "a paused queue: its events wait"),
		warning("jobs_evicted", "jobs whose data a full Redis dropped: "+
			"they hold up their queue until the sweep releases them and asks for their events again"),
	}},
	{Name: "senders", Needs: Schema, Kinds: finding.Kinds{
		warning("source_unheard", "a source that has never sent anything"),
		settingMissing,
		warning("source_silent", "a source that used to send and has fallen silent"),
		problem("bad_signatures", "deliveries without a signature by a secret that is set"),
		warning("retries_ending",
			"deliveries refused again and again: their sender gives up after a while"),
	}},
	{Name: "events", Needs: Schema, Kinds: finding.Kinds{
		problem("events_failing", "events of one type that cannot be applied"),
		warning("events_overdue", "events that have waited too long to be applied"),
		warning("watches_stale", "no worker looks at the watches, so no alert is sent"),
	}},
	{Name: "facts", Needs: Schema, Kinds: finding.Kinds{
		problem("facts_unattached",
			"enrollments, payments or subscriptions that are missing from a list, each for a reason"),
		fine("facts_rightly_unattached",
			"enrollments, payments or subscriptions that are not expected on a list"),
		problem("facts_forgotten", "facts missing from lists although nothing blocks them any more"),
	}, Fine: "every enrollment, payment and subscription is on the list it belongs to", Run: (*Checkup).facts},
	{Name: "catalogue", Needs: Schema, Kinds: finding.Kinds{
		warning("products_homeless", "courses or products without a store"),
		fine("stores_named_by_owner", "stores named by their owner's user id"),
		warning("stores_untold",
			"stores with customers but no known owner: no creator can open their lists"),
	}, Run: (*Checkup).catalogue},
	{Name: "derivation", Needs: Schema, Kinds: finding.Kinds{
		warning("lists_outdated", "lists derived by an earlier version: workers derive them again"),
	}, Run: (*Checkup).derivation},
	{Name: "erasures", Needs: Schema, Kinds: finding.Kinds{
		problem("erasure_key_wrong", "the erasure key is missing, or another one: "+
			"no event is applied, as late ones would bring erased people back"),
	}, Run: (*Checkup).erasures},
	{Name: "users", Needs: Schema, Kinds: finding.Kinds{
		warning("users_unknown", "users named by facts that Clerk never reported"),
	}, Fine: "Clerk has reported every user that facts name", Run: (*Checkup).unknownUsers},
	{Name: "lists", Needs: Schema, Kinds: finding.Kinds{
		problem("people_missing",
			"customers missing from a list although their facts put them on it"),
		warning("customers_stray", "customers without any facts"),
		warning("lists_off", "figures of a list, or its search, that do not match its customers"),
	}, Fine: "every list matches its facts", Run: (*Checkup).lists},
	{Name: "backfills", Needs: Schema, Kinds: finding.Kinds{
		problem("backfill_failed", "a backfill that ended before it had read everything"),
		warning("backfill_errors", "a backfill that could not use everything"),
		problem("backfill_stuck", "a backfill that makes no progress"),
		note("backfill_paused", "a backfill that waits until it is resumed"),
	}, Fine: "no backfill is stuck, or ended badly", Run: (*Checkup).backfills},
	{Name: "mail", Needs: Schema, Kinds: finding.Kinds{
		problem("mail_paused", "a store that sends no mail, as too much of it came back"),
		warning("mail_held", "a store whose mail people paused more than a week ago, while mails are due"),
		problem("mail_failing", "a provider that takes no mail: it is due, and tried again and again"),
		problem("mail_overdue", "mails that wait for a worker with the settings for mail"),
		warning("mail_unknown",
			"mails of which it is not known whether they were sent: they are not sent again by themselves"),
		problem("campaign_paused", "a campaign that was paused, as more customers match than were confirmed"),
	}, Run: (*Checkup).mails},
	{Name: "events", Needs: Schema, Kinds: finding.Kinds{
		warning("events_other_mode", "Stripe events that STRIPE_MODE keeps out"),
		warning("alerts_untold", "changes of watches that could not be delivered"),
	}, Run: (*Checkup).events},
}

// Audits are the checks that read everything, named by what they compare with.
var Audits = []Check{
	{
		Name: "facts", Needs: Schema, Kinds: store.FactDifferences,
		Run: (*Checkup).compare, Mend: (*Checkup).mend,
	},
	{Name: "stripe", Needs: API, Kinds: store.StripeDifferences},
	{Name: "clerk", Needs: API, Kinds: store.ClerkDifferences},
}
