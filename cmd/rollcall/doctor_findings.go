package main

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"

	"rollcall/watch"
)

// severity is how much a finding weighs.
type severity string

const (
	fine    severity = "ok"
	note    severity = "note"    // worth knowing
	warning severity = "warning" // somebody may be missing, or will be
	problem severity = "problem" // somebody is missing, most likely, or nothing works
)

func (s severity) rank() int {
	return strings.Index("ok note warning problem", string(s))
}

// finding is one thing that a doctor has to say. Its JSON is for programs.
type finding struct {
	Check    string   `json:"check"`   // which of the checks
	Kind     string   `json:"kind"`    // a key of kindsOfFindings; empty: all is well
	Subject  string   `json:"subject"` // of the kind: a source, a reason, a store
	Severity severity `json:"severity"`
	What     string   `json:"what"`  // one line
	Means    string   `json:"means"` // the kind's meaning
	Count    int64    `json:"count"`
	Examples []string `json:"examples"`
	Fix      []string `json:"fix"` // commands, to be run in order; what stands in <ANGLES> is for a person to fill in
}

// doctorReport is all that a doctor has to say, what weighs most first.
type doctorReport struct {
	Store     string    `json:"store"`
	CheckedAt time.Time `json:"checked_at"`
	Findings  []finding `json:"findings"`
}

// weighty tells whether anything of it weighs.
func (r doctorReport) weighty() bool {
	return r.count(problem)+r.count(warning) > 0
}

func (r doctorReport) count(s severity) (n int) {
	for _, f := range r.Findings {
		if f.Severity == s {
			n++
		}
	}
	return n
}

// kindsOfFindings lists the kinds, with what each means; docs/doctor.md has more
// about each. Those of the watches are told to whoever is alerted, too.
var kindsOfFindings = []struct{ kind, means string }{
	{"check_failed", "one of the checks could not be made; the others were"},
	{"setting_malformed", "a setting that serve or work would refuse to start with"},
	{"setting_unusable", "a setting that cannot work as it is: the service runs without what it is for"},
	{"setting_missing", "a setting without which part of this does not work"},
	{"settings_disagree", "two settings that cannot both be meant"},
	{"store_unheard", "nobody has ever spoken of this store"},
	{"database_away", "Postgres does not answer: senders are told to come back, and nothing is shown"},
	{"database_read_only", "nothing can be written: senders are told to come back"},
	{"database_old", "a Postgres that Rollcall is not tested with"},
	{"extension_missing", "an extension that the search needs"},
	{"index_missing", "an index that lists need to be quick"},
	{"database_foreign", "a database with tables of another program under names that Rollcall needs"},
	{"schema_behind", "migrations that are not applied yet"},
	{"schema_ahead", "a schema newer than this program"},
	{"database_not_able", "a database that cannot take webhooks: senders are told to come back"},
	{"session_held", "a session that holds rows and says nothing: what needs them waits"},
	{"clock_off", "clocks that disagree: signatures more than five minutes off are refused"},
	{"redis_away", "Redis does not answer: events are kept, and applied when it does again"},
	{"redis_evicts", "a Redis that forgets jobs when it is full"},
	{"jobs_evicted", "jobs whose data a full Redis threw away: they hold up their queue; the sweep drops them and asks for their events again"},
	{"redis_forgets", "a Redis that forgets all jobs when it restarts; the sweep asks for them again"},
	{"redis_old", "a Redis that the queue is not made for"},
	{"redis_mute", "a Redis that does not tell how it is set up"},
	{"workers_missing", "nobody applies what was received"},
	{"queue_paused", "a queue that somebody has paused: its events wait"},
	{"watches_stale", "nobody looks at the watches, so nobody is alerted"},
	{"source_unheard", "a source that has never sent anything"},
	{watch.Silent, "a source that used to send and has fallen silent"},
	{watch.Signatures, "deliveries that were not signed by a secret that is set"},
	{watch.Refused, "deliveries that were refused again and again: their sender gives them up after a while"},
	{watch.Failing, "events of one type that cannot be applied"},
	{watch.Overdue, "events that wait to be applied, and should not"},
	{"events_other_mode", "events of Stripe's that STRIPE_MODE keeps out"},
	{"alerts_untold", "changes of watches that nobody could be told of"},
	{"erasure_key_wrong", "the key of the erasures is missing, or another one: no event is applied, as late ones would bring erased people back"},
	{"facts_unattached", "enrollments, payments or subscriptions that are missing from a list, each for a reason"},
	{"facts_rightly_unattached", "enrollments, payments or subscriptions that are not expected on a list"},
	{"facts_forgotten", "facts on no list though nothing is missing for them any more"},
	{"users_unknown", "users whom facts name and Clerk never told of"},
	{"products_homeless", "courses or products without a store"},
	{"stores_named_by_owner", "stores that are named by their owner's user id"},
	{"stores_untold", "stores that have customers and no known owner: no creator can open their lists"},
	{"people_missing", "people whose facts say that they are on a list, and who are not"},
	{"customers_stray", "customers of whom no fact speaks"},
	{"lists_off", "figures of a list, or its search, that do not fit its customers"},
	{"lists_outdated", "lists that an earlier version derived: workers derive them again by themselves"},
	{"backfill_failed", "a backfill that ended before it had read all"},
	{"backfill_errors", "a backfill that could not use everything"},
	{"backfill_stuck", "a backfill that does not move"},
	{"backfill_paused", "a backfill that waits for somebody to let it go on"},
}

// meaningOf is what a kind means.
func meaningOf(kind string) string {
	for _, k := range kindsOfFindings {
		if k.kind == kind {
			return k.means
		}
	}
	if kind != "" {
		panic("no finding is called " + kind)
	}
	return ""
}

// harmless shows a text that strangers may have written so that it does nothing
// to a terminal: one line, and nothing that steers, hides or turns around.
func harmless(s string) string {
	var out strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			out.WriteByte(' ')
		case r == unicode.ReplacementChar || !unicode.IsGraphic(r) || unicode.Is(unicode.Cf, r):
			for _, unit := range utf16.Encode([]rune{r}) { // as JSON has it
				fmt.Fprintf(&out, `\u%04x`, unit)
			}
		default:
			out.WriteRune(r)
		}
	}
	return out.String()
}

// safe tells whether a text can stand in a command as it is shown.
func safe(s string) bool { return s != "" && harmless(s) == s }
