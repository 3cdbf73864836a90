package watch

import (
	"slices"
	"strings"
	"testing"
	"time"

	"rollcall/internal/testing/prose"
	"rollcall/store"
	"rollcall/store/finding"
	"rollcall/store/status"
	"rollcall/webhooks"
)

// noon is when the watches of the tests look: a Wednesday.
var noon = time.Date(2026, 3, 18, 12, 0, 0, 0, time.UTC)

// ago is a moment before noon.
func ago(d time.Duration) time.Time { return noon.Add(-d) }

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// hours makes up deliveries: n in each hour from one moment to before another
// in which open says so.
func hours(outcome string, n int64, from, to time.Time, open func(time.Time) bool) (all []store.Delivered) {
	for at := from.Truncate(time.Hour); at.Before(to); at = at.Add(time.Hour) {
		if open == nil || open(at) {
			all = append(all, store.Delivered{Source: "stripe", Hour: at, Outcome: outcome, Count: n, First: at,
				Last: at.Add(50 * time.Minute)})
		}
	}
	return all
}

func always(time.Time) bool { return true }

// office is when a shop sells that sleeps at night and on weekends.
func office(t time.Time) bool {
	return t.Weekday() != time.Saturday && t.Weekday() != time.Sunday && t.Hour() >= 8 && t.Hour() < 18
}

// of gives deliveries to another source.
func of(source string, all []store.Delivered) []store.Delivered {
	all = slices.Clone(all)
	for i := range all {
		all[i].Source = source
	}
	return all
}

func join(parts ...[]store.Delivered) []store.Delivered { return slices.Concat(parts...) }

// The rhythms, and what each watch says of them at noon.
func TestRhythms(t *testing.T) {
	busy := func(until time.Duration) []store.Delivered {
		return hours(store.Accepted, 100, ago(4*week), ago(until), always)
	}
	weekdays := func(until time.Duration) []store.Delivered {
		return hours(store.Accepted, 5, ago(4*week), ago(until), office)
	}
	monday := 50 * time.Hour // before noon of Wednesday: Monday at 10
	for _, c := range []struct {
		name  string
		watch string // with its source
		came  []store.Delivered
		now   time.Time
		state string
	}{
		{"nothing ever", Silent + "/stripe", nil, noon, "ok"},
		{"a busy source sends", Silent + "/stripe", busy(0), noon, "ok"},
		{"a busy source pauses for an hour or two", Silent + "/stripe", busy(2 * time.Hour), noon, "ok"},
		{"a busy source pauses for three hours", Silent + "/stripe", busy(3 * time.Hour), noon, "warning"},
		{"a busy source has stopped", Silent + "/stripe", busy(8 * time.Hour), noon, "problem"},
		{"the night of a shop", Silent + "/stripe", weekdays(18 * time.Hour), noon.Add(-4 * time.Hour), "ok"},
		{"the Monday morning of a shop", Silent + "/stripe", weekdays(monday), ago(monday), "ok"},
		{"two free days of a shop", Silent + "/stripe", weekdays(monday), noon, "ok"},
		{"a week in which a shop sold nothing", Silent + "/stripe", weekdays(week), noon, "warning"},
		{"two of them", Silent + "/stripe", weekdays(2 * week), noon, "problem"},
		{"outages of before are no rhythm", Silent + "/stripe",
			hours(store.Accepted, 5, ago(4*week), ago(20*time.Hour), func(at time.Time) bool {
				return at.Hour() < 22 && at.Hour() > 6 && (at.Before(ago(3*week)) || at.After(ago(3*week-2*day)))
			}), noon, "warning"},
		{"the first weekend", Silent + "/stripe", hours(store.Accepted, 5, ago(week), ago(63*time.Hour),
			func(at time.Time) bool { return at.Hour() >= 8 && at.Hour() < 18 }), noon, "ok"},
		{"a young and busy source has stopped", Silent + "/stripe", hours(store.Accepted, 100, ago(2*day), ago(7*time.Hour),
			always), noon, "warning"},
		{"a handful of deliveries, long ago", Silent + "/stripe",
			hours(store.Accepted, 1, ago(2*week), ago(2*week-4*time.Hour), always), noon, "ok"},
		{"a source that only repeats itself is no silent one", Silent + "/stripe",
			join(busy(day), hours(store.Duplicate, 2, ago(day), noon, always)), noon, "ok"},
		{"a source that is refused is no silent one", Silent + "/stripe",
			join(busy(6*time.Hour), hours(badSignature, 9, ago(6*time.Hour), noon, always)), noon, "ok"},
		{"strangers without a signature hide no silence", Silent + "/stripe",
			join(busy(8*time.Hour), hours(missingSignature, 9, ago(8*time.Hour), noon, always)), noon, "problem"},
		{"another source is no company", Silent + "/stripe", join(busy(8*time.Hour), of("clerk", busy(0))), noon, "problem"},

		{"all signed", Signatures + "/stripe", busy(0), noon, "ok"},
		{"a stranger or two", Signatures + "/stripe", join(busy(0), hours(badSignature, 1, ago(time.Hour), noon, always)),
			noon, "ok"},
		{"a flood of a stranger's beside ours", Signatures + "/stripe",
			join(busy(0), hours(badSignature, 9000, ago(2*day), noon, always)), noon, "ok"},
		{"the same at a shop's night", Signatures + "/stripe",
			join(weekdays(18*time.Hour), hours(badSignature, 9000, ago(18*time.Hour), ago(4*time.Hour), always)),
			noon.Add(-4 * time.Hour), "ok"},
		{"a shop's secret was changed over night", Signatures + "/stripe",
			join(weekdays(18*time.Hour), hours(badSignature, 5, ago(4*time.Hour), noon, always)), noon, "problem"},
		{"a flood hides no wrong secret", Signatures + "/stripe",
			join(busy(2*time.Hour), hours(badSignature, 9000, ago(2*day), noon, always)), noon, "problem"},
		{"a young source's secret was changed", Signatures + "/stripe",
			join(hours(store.Accepted, 100, ago(2*day), ago(4*time.Hour), always),
				hours(badSignature, 5, ago(4*time.Hour), noon, always)), noon, "problem"},
		{"a wrong secret from the first", Signatures + "/stripe", hours(badSignature, 5, ago(2*time.Hour), noon, always),
			noon, "problem"},
		{"a secret was changed", Signatures + "/stripe",
			join(busy(2*time.Hour), hours(badSignature, 50, ago(2*time.Hour), noon, always)), noon, "problem"},
		{"half of it, as of a second endpoint, or a stranger", Signatures + "/stripe",
			join(busy(0), hours(badSignature, 100, ago(2*time.Hour), noon, always)), noon, "ok"},
		{"a proxy strips the headers", Signatures + "/stripe",
			join(busy(2*time.Hour), hours(missingSignature, 5, ago(2*time.Hour), noon, always)), noon, "problem"},
		{"unsigned beside signed is strangers'", Signatures + "/stripe",
			join(busy(0), hours(missingSignature, 500, ago(2*time.Hour), noon, always)), noon, "ok"},
		{"yesterday's is over", Signatures + "/stripe", join(busy(0), hours(badSignature, 500, ago(2*day), ago(day), always)),
			noon, "ok"},

		{"nothing refused", Refused + "/stripe", busy(0), noon, "ok"},
		{"refused just now", Refused + "/stripe", join(busy(time.Hour), hours(badSignature, 5, ago(time.Hour), noon, always)),
			noon, "ok"},
		{"refused for some hours", Refused + "/stripe",
			join(busy(5*time.Hour), hours(badSignature, 5, ago(5*time.Hour), noon, always)), noon, "warning"},
		{"half of Stripe's three days are over", Refused + "/stripe", hours(badSignature, 5, ago(40*time.Hour), noon, always),
			noon, "problem"},
		{"Clerk has a day and a bit: half of it", Refused + "/clerk",
			of("clerk", hours(notConfigured, 1, ago(14*time.Hour), noon, always)), noon, "problem"},
		{"Clerk's is still in time", Refused + "/clerk",
			of("clerk", hours(notConfigured, 1, ago(10*time.Hour), noon, always)), noon, "warning"},
		{"some of many, for hours, by a right signature", Refused + "/stripe",
			join(busy(0), hours(badJSON, 1, ago(5*time.Hour), noon, always)), noon, "warning"},
		{"a stranger's of many, for days", Refused + "/stripe",
			join(busy(0), hours(badSignature, 900, ago(5*day), noon, always),
				hours("body_too_large", 9, ago(5*day), noon, always)), noon, "ok"},
		{"a stranger's after days in which secrets were missing", Refused + "/clerk", of("clerk",
			join(hours(notConfigured, 2, ago(3*day), ago(day), always), hours(store.Accepted, 20, ago(day), noon, always),
				hours(badSignature, 2, ago(10*time.Hour), noon, always))), noon, "problem"},
		{"a stranger hides no silence", Signatures + "/stripe",
			join(busy(8*time.Hour), hours(badSignature, 9, ago(day), noon, always)), noon, "problem"},
		{"Postgres was away for an hour and is back", Refused + "/stripe",
			join(busy(4*time.Hour), hours(unavailable, 90, ago(4*time.Hour), ago(2*time.Hour), always),
				hours(store.Accepted, 9, ago(2*time.Hour), noon, always)), noon, "ok"},
		{"it is away each day, for a moment", Refused + "/stripe",
			join(busy(0), hours(unavailable, 9, ago(week), noon, func(at time.Time) bool { return at.Hour()%6 == 0 })), noon,
			"ok"},
		{"secrets were missing for two days: Clerk gave up", Refused + "/clerk", of("clerk",
			join(hours(notConfigured, 2, ago(3*day), ago(day), always), hours(store.Accepted, 2, ago(day), noon, always))), noon,
			"problem"},
		{"and that was long ago", Refused + "/clerk", of("clerk",
			join(hours(notConfigured, 2, ago(13*day), ago(11*day), always),
				hours(store.Accepted, 2, ago(11*day), noon, always))), noon, "ok"},
		{"strangers without a signature, for weeks", Refused + "/stripe",
			join(busy(0), hours(missingSignature, 9, ago(2*week), noon, always)), noon, "ok"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := judged(t, status.Traffic{At: c.now, Deliveries: c.came}, c.watch)
			if v.State != c.state {
				t.Errorf("it is %s, want %s: %s", v.State, c.state, v.Detail)
			}
			if (v.State == status.OK) != (v.Detail == "" && v.Fix == "") {
				t.Errorf("says %q and %q", v.Detail, v.Fix)
			}
		})
	}
}

// verdict is a finding as a watch stores it.
type verdict struct{ Name, State, Detail, Fix string }

// judged is the verdict on one watch.
func judged(t *testing.T, seen status.Traffic, name string) verdict {
	t.Helper()
	all := Judge(seen)
	i := slices.IndexFunc(all, func(v finding.Finding) bool { return v.Name() == name })
	if i < 0 {
		t.Fatalf("no watch %s among %v", name, all)
	}
	for _, v := range all {
		if wrong := prose.Faults(v.What); len(wrong) > 0 {
			t.Errorf("%s reads wrong: %q in %q", v.Name(), wrong, v.What)
		}
	}
	return verdict{all[i].Name(), string(all[i].Severity), all[i].What, strings.Join(all[i].Fix, "\n")}
}

// What a backfill has brought in is not lost, whatever was refused.
func TestRecovered(t *testing.T) {
	refusals := hours(badSignature, 5, ago(80*time.Hour), noon, always)
	seen := status.Traffic{At: noon, Deliveries: refusals}
	if v := judged(t, seen, Refused+"/stripe"); v.State != status.Problem ||
		!strings.Contains(v.Detail, "stopped retrying") ||
		!strings.Contains(v.Fix, "stripe-events") {
		t.Errorf("%+v", v)
	}
	seen.Recovered = map[string]time.Time{"stripe": ago(30 * time.Minute)}
	if v := judged(t, seen, Refused+"/stripe"); v.State != status.OK {
		t.Errorf("%+v", v)
	}
}

// The texts name what a person needs.
func TestDetails(t *testing.T) {
	came := ago(40 * time.Minute)
	seen := status.Traffic{At: noon,
		Deliveries: join(hours(store.Accepted, 100, ago(4*week), ago(8*time.Hour), always),
			of("clerk", hours(badSignature, 5, ago(20*time.Hour), noon, always))),
		Failing: []status.FailingEvents{
			{Source: "stripe", Type: "invoice.paid", Failed: 3, Trying: 1},
			{Source: "clerk", Type: "user.updated", Trying: 1},
		},
		Overdue: status.OverdueEvents{Count: 7, Oldest: &came},
	}
	for name, want := range map[string]verdict{
		Silent + "/stripe": {State: "problem", Fix: "rollcall backfill start stripe-events --account all --follow",
			Detail: "No webhook from Stripe for 8 hours; it usually pauses for 60 minutes at most"},
		Signatures + "/clerk": {
			State: "problem", Fix: "export CLERK_WEBHOOK_SECRETS=whsec_NEW,whsec_OLD   # where serve runs, then restart it",
			Detail: "Rejected 10 webhooks from Clerk in the last hours: their signature doesn't match CLERK_WEBHOOK_SECRETS, " +
				"and no other has come in the last four weeks. Check that it contains this endpoint's signing secret, and that " +
				"no proxy changes bodies. If the sender's dashboard shows no failures, they are a stranger's, and " +
				"the sender is silent"},
		Refused + "/clerk": {State: "problem", Fix: "export CLERK_WEBHOOK_SECRETS=whsec_NEW,whsec_OLD   # where serve " +
			"runs, then restart it\nrollcall backfill start clerk --follow",
			Detail: "100 deliveries from Clerk were rejected since 2026-03-17 16:00 UTC (invalid_signature 100), and are kept " +
				"nowhere: their sender gives the first up about 2026-03-18 19:35 UTC"},
		Failing + "/stripe/invoice.paid": {State: "problem", Fix: "rollcall events retry --source stripe --type invoice.paid",
			Detail: "3 events of type invoice.paid from Stripe failed, and will not be retried"},
		Failing + "/clerk/user.updated": {State: "warning", Fix: "rollcall events list --source clerk --status pending",
			Detail: "1 event of type user.updated from Clerk could not be applied yet, and will be retried"},
		Overdue: {State: "problem", Fix: "rollcall work", Detail: "7 events wait to be applied, the oldest for 40 minutes"},
	} {
		want.Name = name
		if got := judged(t, seen, name); got != want {
			t.Errorf("got  %+v\nwant %+v", got, want)
		}
	}
}

// looks makes a watch look as it is told, minute by minute, and returns its
// states: a letter each.
func looks(t *testing.T, minutes string) (states string, changes int) {
	t.Helper()
	means := map[rune]string{'o': status.OK, 'w': status.Warning, 'p': status.Problem}
	w := status.Watch{Name: "w", State: status.OK, Since: noon}
	for i, look := range minutes {
		was := w.State
		w = step(w, judgement{Finding: finding.Finding{Severity: finding.Severity(means[look]), What: means[look]}},
			noon.Add(time.Duration(i)*time.Minute))
		if w.State != was {
			changes++
			if w.Detail != w.State {
				t.Errorf("%s: at minute %d it is %s and says %q", minutes, i, w.State, w.Detail)
			}
		}
		if (w.Leaning == nil) != (w.State == means[look]) {
			t.Errorf("%s: at minute %d it looks %s, is %s and leans to %v", minutes, i, means[look], w.State, w.Leaning)
		}
		states += w.State[:1]
	}
	return states, changes
}

func TestStatesDoNotFlap(t *testing.T) {
	for _, c := range []struct{ looks, is string }{
		{"ooooo", "ooooo"},
		{"owooo", "ooooo"},                            // one odd minute
		{"wwwww", "oowww"},                            // bad for good
		{"wowowowowowo", "oooooooooooo"},              // never for long
		{"wpppp", "ooppp"},                            // worse and worse: no need to wait again
		{"pppoooooooooopp", "ooppppppppppppp"},        // not better for long enough
		{"pppooooooooooooo", "ooppppppppppp" + "ooo"}, // better for good
		{"pppwwwwwwwwwwwoo", "ooppppppppppp" + "www"},
		{"pppowowowowowowowo", "ooppppppppppp" + "ooooo"}, // better than a problem all the while
	} {
		if got, _ := looks(t, c.looks); got != c.is {
			t.Errorf("looks %s, is %s, want %s", c.looks, got, c.is)
		}
	}
}

// Watches that are not judged any more, as of events that were mended, end ok;
// and since tells when a state began to show.
func TestNext(t *testing.T) {
	seen := status.Traffic{At: noon, Failing: []status.FailingEvents{{Source: "stripe", Type: "x", Failed: 1}}}
	var watches []status.Watch
	is := func(minute int, want string) status.Watch {
		t.Helper()
		seen.At = noon.Add(time.Duration(minute) * time.Minute)
		watches = Next(seen, watches)
		i := slices.IndexFunc(watches, func(w status.Watch) bool { return w.Name == Failing+"/stripe/x" })
		if i < 0 || watches[i].State != want || !watches[i].CheckedAt.Equal(seen.At) {
			t.Fatalf("minute %d: %+v, want %s", minute, watches, want)
		}
		return watches[i]
	}
	is(0, status.OK)
	is(1, status.OK)
	if w := is(2, status.Problem); !w.Since.Equal(noon) || w.Fix == "" {
		t.Errorf("%+v", w)
	}
	seen.Failing = nil
	is(3, status.Problem)
	is(12, status.Problem)
	if w := is(13, status.OK); !w.Since.Equal(noon.Add(3*time.Minute)) || w.Detail != "" || w.Fix != "" {
		t.Errorf("%+v", w)
	}
	if n := 1 + 1 + 3*len(status.Sources()); len(watches) != n {
		t.Errorf("%d watches, want %d", len(watches), n)
	}
}

// Secrets that never matched are wrong at the first delivery that they refuse, unless that is a
// stranger's; once others match, all is well at once, unless servers with either take turns.
func TestWrongSecrets(t *testing.T) {
	minute := func(m int) *time.Time { at := noon.Add(time.Duration(m) * time.Minute); return &at }
	use := func(verified *time.Time, refused ...int) status.SecretUse {
		u := status.SecretUse{Source: "stripe", Verified: verified, LastVerified: verified, Refused: int64(len(refused))}
		if len(refused) > 0 {
			u.FirstRefused, u.LastRefused = minute(refused[0]), minute(refused[len(refused)-1])
		}
		return u
	}
	kept := func(from, to int) []store.Delivered {
		return []store.Delivered{{Source: "stripe", Hour: noon, Outcome: store.Accepted, Count: 1, First: *minute(from),
			Last: *minute(to)}}
	}
	for _, c := range []struct {
		name    string
		secrets []status.SecretUse
		came    []store.Delivered
		state   string
		certain bool
	}{
		{"nothing", nil, nil, "ok", false},
		{"the first delivery", []status.SecretUse{use(nil, 5)}, nil, "problem", true},
		{"another source's", []status.SecretUse{{Source: "clerk", Refused: 1, FirstRefused: minute(5),
			LastRefused: minute(5)}}, nil, "ok", false},
		{"changed", []status.SecretUse{use(minute(-900)), use(nil, 5)}, kept(-900, -10), "problem", true},
		{"a stranger, beside secrets of an earlier version, which nobody noted", []status.SecretUse{use(nil, 5)},
			kept(-900, -10), "ok", false},
		{"a stranger, beside secrets that match", []status.SecretUse{use(minute(-900), 5, 6, 7)}, kept(-900, -10), "ok",
			false},
		{"right now", []status.SecretUse{use(nil, 5), use(minute(6))}, kept(6, 6), "ok", true},
		{"right again", []status.SecretUse{{Source: "stripe", Verified: minute(-900), LastVerified: minute(6)},
			use(nil, 5)}, kept(-900, 6), "ok", true},
		{"wrong again", []status.SecretUse{{Source: "stripe", Verified: minute(-900), LastVerified: minute(6)},
			use(nil, 5, 8)}, kept(-900, 6), "problem", true},
		{"long over", []status.SecretUse{use(nil, -900)}, nil, "ok", false},
	} {
		all := judge(status.Traffic{At: *minute(9), Secrets: c.secrets, Deliveries: c.came})
		i := slices.IndexFunc(all, func(v judgement) bool { return v.Name() == Signatures+"/stripe" })
		if v := all[i]; string(v.Severity) != c.state || v.certain != c.certain {
			t.Errorf("%s: %s, certain: %v: %s", c.name, v.Severity, v.certain, v.What)
		}
	}
	w := step(status.Watch{State: status.OK}, judgement{finding.Finding{Severity: finding.Problem}, true}, noon)
	if w.State != status.Problem || !w.Since.Equal(noon) {
		t.Errorf("%+v", w)
	}
	// Servers with right and wrong secrets take turns: what was over a minute ago is not reported again.
	w = status.Watch{State: status.OK, Since: noon, Changes: 2}
	w = step(w, judgement{finding.Finding{Severity: finding.Problem}, true}, noon.Add(time.Minute))
	if w.State != status.OK || w.Leaning == nil {
		t.Errorf("%+v", w)
	}
}

// One is not many.
func TestOneEventWaits(t *testing.T) {
	oldest := ago(10 * time.Minute)
	for n, want := range map[int64]string{1: "1 event waits to be applied, the oldest for 10 minutes",
		2: "2 events wait to be applied, the oldest for 10 minutes"} {
		seen := status.Traffic{At: noon, Overdue: status.OverdueEvents{Count: n, Oldest: &oldest}}
		if v := overdue(seen); v.What != want {
			t.Error(v.What)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		time.Minute: "1 minute", 119 * time.Minute: "119 minutes", 9*time.Hour + 59*time.Minute: "9 hours",
		3*day + time.Hour: "3 days",
	} {
		if got := Span(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
}

// The command that adds a secret has the form of that source's secrets, so that serve starts with it.
func TestCommandsAddSecretsOfTheirKind(t *testing.T) {
	random := "0123456789abcdef0123456789abcdef"
	for _, source := range status.Sources() {
		value, ok := strings.CutPrefix(newSecret(source), "export "+SecretsOf(source)+"=")
		value, _, _ = strings.Cut(value, " ")
		filled := strings.NewReplacer("REGION", "eu-central-1", "ACCOUNT", "123456789012", "NEW", random+"NEWx", "OLD",
			random+"OLDx").Replace(value)
		if all, err := webhooks.ParseSecrets(source, filled); !ok || err != nil || len(all) != 2 {
			t.Errorf("%s: %q: %d secrets, %v", source, newSecret(source), len(all), err)
		}
	}
}
