package doctor

import (
	"context"
	"fmt"

	"rollcall/cmd/rollcall/internal/show"
	"rollcall/store"
	"rollcall/store/finding"
)

// checkLists compares the lists with what their facts say, store by store.
func (d *doctor) checkLists(ctx context.Context) error {
	before := len(d.findings)
	for _, look := range []func(context.Context) error{d.missingPeople, d.strays, d.keptOff, d.untoldStores} {
		if err := look(ctx); err != nil {
			return err
		}
	}
	if len(d.findings) == before {
		d.fine("the lists are as their facts say")
	}
	return nil
}

// rebuild is the command that derives a store's customers again.
func (d *doctor) rebuild(storeID string) []string {
	if !safe(storeID) {
		return []string{d.At("rollcall rebuild")}
	}
	return []string{d.At("rollcall rebuild --store " + show.Quote(storeID))}
}

func (d *doctor) missingPeople(ctx context.Context) error {
	all, err := d.checkup.Adrift(ctx)
	for _, a := range all {
		d.find(finding.Finding{Kind: "people_missing", Subject: show.Visible(a.Store), Severity: finding.Problem, Count: a.People, Examples: finding.Texts(a.Examples), Fix: d.rebuild(a.Store),
			What: fmt.Sprintf("store %s: %s of whom %s that they are on its list, and who are not", show.Visible(a.Store), people(a.People), says(a.Facts))})
	}
	return err
}

func people(n int64) string {
	if n == 1 {
		return "1 person"
	}
	return show.Number(n) + " people"
}

func says(facts int64) string {
	if facts == 1 {
		return "1 fact says"
	}
	return show.Number(facts) + " facts say"
}

func (d *doctor) strays(ctx context.Context) error {
	all, err := d.checkup.Strays(ctx)
	for _, s := range all {
		d.find(finding.Finding{Kind: "customers_stray", Subject: show.Visible(s.Store), Severity: finding.Warning, Count: s.Count, Examples: finding.Texts(s.Examples), Fix: d.rebuild(s.Store),
			What: fmt.Sprintf("store %s: %s of whom no fact speaks", show.Visible(s.Store), show.Count(int(s.Count), "customer"))})
	}
	return err
}

func (d *doctor) keptOff(ctx context.Context) error {
	all, err := d.checkup.KeptOff(ctx)
	for _, k := range all {
		d.find(finding.Finding{Kind: "lists_off", Subject: show.Visible(k.Store), Severity: finding.Warning, Count: k.Unfound + k.Figures, Examples: finding.Texts(k.Examples), Fix: d.rebuild(k.Store),
			What: fmt.Sprintf("store %s: %s not found as they should be, %s off", show.Visible(k.Store), show.Count(int(k.Unfound), "customer"), show.Count(int(k.Figures), "figure"))})
	}
	return err
}

// untoldStores tells of stores whose creators cannot look.
func (d *doctor) untoldStores(ctx context.Context) error {
	all, err := d.checkup.UntoldStores(ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	f := finding.Finding{Kind: "stores_untold", Severity: finding.Warning, Count: int64(len(all)), What: show.Count(len(all), "store") + " with customers and no known owner: only operators can look at the list"}
	for _, s := range all {
		if len(f.Examples) < d.Options.Examples {
			f.Examples = append(f.Examples, finding.Example{What: fmt.Sprintf("%s, with %s", s.ID, show.Count(int(s.Customers), "customer"))})
		}
		if len(f.Fix) < maxFixes {
			fix, err := d.ownerOf(ctx, s)
			if err != nil {
				return err
			}
			f.Fix = append(f.Fix, fix)
		}
	}
	d.find(f)
	return nil
}

// ownerOf says whose a store is.
func (d *doctor) ownerOf(ctx context.Context, s store.UntoldStore) (string, error) {
	name, members, account := "<NAME>", []string(nil), ""
	if s.Known {
		known, err := d.store.ToldStore(ctx, s.ID)
		if err != nil {
			return "", err
		}
		name, members, account = known.Name, known.MemberUserIDs, known.StripeAccountID
	}
	return d.At(send("store.upserted", object{"id", s.ID}, object{"name", name}, object{"owner_user_id", "<CLERK USER>"}, ids("member_user_ids", members), object{"stripe_account_id", account})), nil
}

// checkBackfills tells of runs that did not end well, or do not end.
func (d *doctor) checkBackfills(ctx context.Context) error {
	all, err := d.checkup.TroubledBackfills(ctx)
	for _, b := range all {
		d.find(d.troubled(b))
	}
	if err == nil && len(all) == 0 {
		d.fine("no backfill is stuck, or ended badly")
	}
	return err
}

func (d *doctor) troubled(b store.TroubledBackfill) finding.Finding {
	f := finding.Finding{Subject: fmt.Sprint(b.ID), Severity: finding.Warning, Count: 1, Fix: []string{d.backfillCommand("show", b.ID), d.backfillCommand("resume", b.ID)}}
	name := fmt.Sprintf("Backfill %d (%s)", b.ID, b.Kind)
	switch {
	case b.Stuck:
		f.Kind, f.Severity, f.What = "backfill_stuck", finding.Problem, name+" has not moved for a while: is a worker there, and what do its chunks wait for?"
		f.Fix = []string{d.backfillCommand("show", b.ID), "rollcall work"}
	case b.Status == "failed":
		f.Kind, f.Severity, f.What = "backfill_failed", finding.Problem, fmt.Sprintf("%s failed after %s: %s", name, d.SoFar(b.Backfill), show.Visible(deref(b.Reason)))
	case b.Status == "paused":
		f.Kind, f.Severity, f.What = "backfill_paused", finding.Note, name+" is paused after "+d.SoFar(b.Backfill)
		f.Fix = []string{d.backfillCommand("resume", b.ID)}
	default:
		f.Kind, f.Count, f.What = "backfill_errors", b.Errors, fmt.Sprintf("%s could not use %s of %s", name, show.Number(b.Errors), d.SoFar(b.Backfill))
		f.Fix = []string{d.backfillCommand("show", b.ID), d.again(b.Backfill)}
	}
	return f
}

func (d *doctor) backfillCommand(verb string, id int64) string {
	return d.At(fmt.Sprintf("rollcall backfill %s %d", verb, id))
}

// again is the command that starts a run like another.
func (d *doctor) again(b store.Backfill) string {
	command := "rollcall backfill start " + b.Kind
	o := b.Options
	switch {
	case b.Kind == "convex":
		command += " " + show.Quote(o.File)
	case o.Store != "":
		command += " --store " + show.Quote(o.Store)
	case len(o.Accounts) > 0:
		command += " --account all"
	}
	return d.At(command + " --follow")
}

// Deriving tells how far deriving all customers again is.
func Deriving(d store.Derivation) string {
	text := "the workers derive every customer again by the rules of this version: "
	if d.StartedAt == nil {
		return text + "not begun yet"
	}
	text += show.Number(d.Facts) + " facts so far"
	if d.LastError != nil {
		text += "; the last try failed: " + *d.LastError
	}
	return text
}

// checkDerivation looks whether the customers are derived by this program's rules.
func (d *doctor) checkDerivation(ctx context.Context) error {
	at, err := d.store.Derivation(ctx)
	if err != nil || !at.Pending() {
		return err
	}
	d.find(finding.Finding{Kind: "lists_outdated", Severity: finding.Warning, Count: 1, What: Deriving(at),
		Fix: []string{d.At("rollcall rebuild")}})
	return nil
}
