package doctor

import (
	"context"
	"slices"

	"rollcall/store/checks"
	"rollcall/store/finding"
	"rollcall/watch"
)

// own are the checks that need more than the database, in their order.
var own = []check{
	{"settings", nothing, finding.Kinds{
		{"setting_malformed", "a setting that serve or work would refuse to start with"},
		{"setting_unusable", "a setting that cannot work as it is: the service runs without what it is for"},
		{"setting_missing", "a setting without which part of this does not work"},
		{"settings_disagree", "two settings that cannot both be meant"},
	}, (*doctor).checkSettings},
	{"database", nothing, finding.Kinds{
		{"database_read_only", "nothing can be written: senders are asked to retry"},
		{"database_old", "a Postgres that Rollcall is not tested with"},
		{"extension_missing", "an extension that the search needs"},
		{"index_missing", "an index that lists need to be quick"},
		{"clock_off", "clocks that disagree: signatures more than five minutes off are refused"},
	}, (*doctor).checkDatabase},
	{"schema", nothing, finding.Kinds{
		{"database_foreign", "a database with tables of another program under names that Rollcall needs"},
		{"schema_behind", "migrations that are not applied yet"},
		{"schema_ahead", "a schema newer than this program"},
		{"store_unheard", "a store that no event mentions"},
	}, (*doctor).checkSchema},
	{"sessions", schema, finding.Kinds{
		{"database_not_able", "a database that cannot store webhooks: senders are asked to retry"},
		{"session_held", "an idle session that holds rows: what needs them waits"},
		{"clock_off", "clocks that disagree: signatures more than five minutes off are refused"},
	}, (*doctor).checkSessions},
	{"redis", nothing, finding.Kinds{
		{"redis_away", "Redis does not answer: events are stored, and applied when it is back"},
		{"redis_evicts", "a Redis that drops jobs when it is full"},
		{"redis_forgets", "a Redis that loses all jobs when it restarts; the sweep asks for them again"},
		{"redis_old", "a Redis older than the queue needs"},
		{"redis_mute", "a Redis that does not show its settings"},
	}, (*doctor).checkRedis},
	{"workers", queue, finding.Kinds{
		{"workers_missing", "no worker applies what was received"},
		{"queue_paused", "a paused queue: its events wait"},
		{"jobs_evicted", "jobs whose data a full Redis dropped: they hold up their queue until the sweep releases them and asks for their events again"},
	}, (*doctor).checkWorkers},
	{"senders", schema, finding.Kinds{
		{"source_unheard", "a source that has never sent anything"},
		{"setting_missing", "a setting without which part of this does not work"},
		{watch.Silent, "a source that used to send and has fallen silent"},
		{watch.Signatures, "deliveries without a signature by a secret that is set"},
		{watch.Refused, "deliveries refused again and again: their sender gives up after a while"},
	}, (*doctor).checkSenders},
	{"events", schema, finding.Kinds{
		{watch.Failing, "events of one type that cannot be applied"},
		{watch.Overdue, "events that have waited too long to be applied"},
		{"watches_stale", "no worker looks at the watches, so no alert is sent"},
	}, (*doctor).checkEvents},
	{"facts", schema, finding.Kinds{
		{"facts_unattached", "enrollments, payments or subscriptions that are missing from a list, each for a reason"},
		{"facts_rightly_unattached", "enrollments, payments or subscriptions that are not expected on a list"},
		{"facts_forgotten", "facts missing from lists although nothing blocks them any more"},
	}, (*doctor).checkFacts},
	{"catalogue", schema, finding.Kinds{
		{"products_homeless", "courses or products without a store"},
		{"stores_named_by_owner", "stores named by their owner's user id"},
		{"stores_untold", "stores with customers but no known owner: no creator can open their lists"},
	}, (*doctor).checkCatalogue},
	{"derivation", schema, finding.Kinds{
		{"lists_outdated", "lists derived by an earlier version: workers derive them again"},
	}, (*doctor).checkDerivation},
	{"erasures", schema, finding.Kinds{
		{"erasure_key_wrong", "the erasure key is missing, or another one: no event is applied, as late ones would bring erased people back"},
	}, (*doctor).checkErasures},
}

// common are the kinds that every check can find.
var common = finding.Kinds{
	{"check_failed", "a check that could not be completed; the others were"},
	{"database_away", "Postgres does not answer: senders are asked to retry, and nothing is shown"},
}

// allChecks are our own checks and those of the database alone.
func allChecks() []check {
	all := slices.Clone(own)
	for _, c := range checks.Checks {
		all = append(all, check{c.Name, schema, c.Kinds, func(d *doctor, ctx context.Context) error {
			found, err := c.Run(d.checkup, ctx)
			for _, f := range found {
				d.find(f)
			}
			if err == nil && len(found) == 0 && c.Fine != "" {
				d.fine("%s", c.Fine)
			}
			return err
		}})
	}
	return all
}

// Kinds lists the kinds of findings.
func Kinds() (names []string) {
	kinds := common
	for _, c := range allChecks() {
		kinds = append(kinds, c.kinds...)
	}
	for _, kind := range kinds {
		names = append(names, kind[0])
	}
	return names
}
