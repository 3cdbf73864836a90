package main

import (
	"context"
	"fmt"

	"rollcall/store"
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
		return []string{d.at("rollcall rebuild")}
	}
	return []string{d.at("rollcall rebuild --store " + quote(storeID))}
}

func (d *doctor) missingPeople(ctx context.Context) error {
	all, err := d.checkup.Adrift(ctx)
	for _, a := range all {
		d.find(finding{Kind: "people_missing", Subject: harmless(a.Store), Severity: problem, Count: a.People, Examples: a.Examples, Fix: d.rebuild(a.Store),
			What: fmt.Sprintf("store %s: %s of whom %s that they are on its list, and who are not", harmless(a.Store), people(a.People), says(a.Facts))})
	}
	return err
}

func people(n int64) string {
	if n == 1 {
		return "1 person"
	}
	return number(n) + " people"
}

func says(facts int64) string {
	if facts == 1 {
		return "1 fact says"
	}
	return number(facts) + " facts say"
}

func (d *doctor) strays(ctx context.Context) error {
	all, err := d.checkup.Strays(ctx)
	for _, s := range all {
		d.find(finding{Kind: "customers_stray", Subject: harmless(s.Store), Severity: warning, Count: s.Count, Examples: s.Examples, Fix: d.rebuild(s.Store),
			What: fmt.Sprintf("store %s: %s of whom no fact speaks", harmless(s.Store), count(int(s.Count), "customer"))})
	}
	return err
}

func (d *doctor) keptOff(ctx context.Context) error {
	all, err := d.checkup.KeptOff(ctx)
	for _, k := range all {
		d.find(finding{Kind: "lists_off", Subject: harmless(k.Store), Severity: warning, Count: k.Unfound + k.Figures, Examples: k.Examples, Fix: d.rebuild(k.Store),
			What: fmt.Sprintf("store %s: %s not found as they should be, %s off", harmless(k.Store), count(int(k.Unfound), "customer"), count(int(k.Figures), "figure"))})
	}
	return err
}

// untoldStores tells of stores whose creators cannot look.
func (d *doctor) untoldStores(ctx context.Context) error {
	all, err := d.checkup.UntoldStores(ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	f := finding{Kind: "stores_untold", Severity: warning, Count: int64(len(all)), What: count(len(all), "store") + " with customers and no known owner: only operators can look at the list"}
	for _, s := range all {
		if len(f.Examples) < d.doctorCmd.Examples {
			f.Examples = append(f.Examples, fmt.Sprintf("%s, with %s", s.ID, count(int(s.Customers), "customer")))
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
	return d.at(send("store.upserted", object{"id", s.ID}, object{"name", name}, object{"owner_user_id", "<CLERK USER>"}, ids("member_user_ids", members), object{"stripe_account_id", account})), nil
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

func (d *doctor) troubled(b store.TroubledBackfill) finding {
	f := finding{Subject: fmt.Sprint(b.ID), Severity: warning, Count: 1, Fix: []string{d.backfillCommand("show", b.ID), d.backfillCommand("resume", b.ID)}}
	name := title(b.Backfill)
	switch {
	case b.Stuck:
		f.Kind, f.Severity, f.What = "backfill_stuck", problem, name+" has not moved for a while: is a worker there, and what do its chunks wait for?"
		f.Fix = []string{d.backfillCommand("show", b.ID), "rollcall work"}
	case b.Status == "failed":
		f.Kind, f.Severity, f.What = "backfill_failed", problem, fmt.Sprintf("%s failed after %s: %s", name, soFar(b.Backfill), harmless(deref(b.Reason)))
	case b.Status == "paused":
		f.Kind, f.Severity, f.What = "backfill_paused", note, name+" is paused after "+soFar(b.Backfill)
		f.Fix = []string{d.backfillCommand("resume", b.ID)}
	default:
		f.Kind, f.Count, f.What = "backfill_errors", b.Errors, fmt.Sprintf("%s could not use %s of %s", name, number(b.Errors), soFar(b.Backfill))
		f.Fix = []string{d.backfillCommand("show", b.ID), d.again(b.Backfill)}
	}
	return f
}

// again is the command that starts a run like another.
func (d *doctor) again(b store.Backfill) string {
	command := "rollcall backfill start " + b.Kind
	o := b.Options
	switch {
	case o.File != "":
		command += " " + quote(o.File)
	case o.Store != "":
		command += " --store " + quote(o.Store)
	case len(o.Accounts) > 0:
		command += " --account all"
	}
	return d.at(command + " --follow")
}
