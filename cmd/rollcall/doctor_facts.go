package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rollcall/store"
)

// examplesOf writes examples out, a line each.
func examplesOf(found []store.Finding) (lines []string) {
	for _, f := range found {
		lines = append(lines, clip(f.Place+": "+f.What, maxExample))
	}
	return lines
}

// checkFacts tells why facts are on no list.
func (d *doctor) checkFacts(ctx context.Context) error {
	all, err := d.checkup.Unattached(ctx)
	if err != nil {
		return err
	}
	weighs := false
	for _, u := range all {
		if u.Rightly {
			d.find(finding{Kind: "facts_rightly_unattached", Subject: u.Reason, Severity: fine, Count: u.Count,
				What: fmt.Sprintf("%s on no list, and rightly so: %s", factsAre(u.Count), u.Meaning)})
			continue
		}
		weighs = true
		fix, err := d.fixOf(ctx, u)
		if err != nil {
			return err
		}
		d.find(finding{Kind: "facts_unattached", Subject: u.Reason, Severity: weightOf(u), Count: u.Count,
			What: fmt.Sprintf("%s on no list: %s", factsAre(u.Count), u.Meaning), Examples: examplesOf(u.Examples), Fix: fix})
	}
	forgotten, err := d.checkup.Forgotten(ctx)
	if err != nil {
		return err
	}
	if forgotten.Count > 0 {
		d.find(finding{Kind: "facts_forgotten", Severity: problem, Count: forgotten.Count, What: fmt.Sprintf("%s on no list though nothing is missing for them any more", factsAre(forgotten.Count)),
			Examples: examplesOf(forgotten.Examples), Fix: []string{d.mend()}})
	} else if !weighs {
		d.fine("every enrollment, payment and subscription is on a list, or rightly on none")
	}
	return nil
}

func factsAre(n int64) string {
	if n == 1 {
		return "1 fact is"
	}
	return number(n) + " facts are"
}

// mend is the command that attaches and derives again.
func (d *doctor) mend() string {
	if safe(d.Store) {
		return d.at("rollcall audit --fix --store " + quote(d.Store))
	}
	return d.at("rollcall rebuild")
}

// weightOf is how much a reason weighs. Who has no verified address may well
// never have one; and connected accounts sell on their own, too, of which the
// platform knows nothing.
func weightOf(u store.Unattached) severity {
	switch u.Reason {
	case "user_unconfirmed", "email_unverified", "no_email", "unclaimed_payment", "paid_not_started":
		return warning
	case "account_without_store":
		for _, m := range u.Missing {
			if m.Ours > 0 {
				return problem
			}
		}
		return note
	}
	return problem
}

// fixOf is what mends facts on no list for a reason.
func (d *doctor) fixOf(ctx context.Context, u store.Unattached) (fix []string, err error) {
	switch u.Reason {
	case "user_unknown":
		return append(fix, d.at("rollcall backfill start clerk --follow")), nil
	case "email_unverified":
		fix = append(fix, d.at("rollcall backfill start clerk --follow"))
		for _, m := range u.Missing {
			if m.Course != "" {
				fix = append(fix, d.at(enrollmentWith(m.Course, strings.TrimPrefix(m.Key, "user:"))))
			}
		}
		return fix, nil
	case "no_email":
		return append(fix, d.at("rollcall backfill start stripe --account all --follow"), d.at("rollcall backfill start clerk --follow")), nil
	case "user_unconfirmed", "unclaimed_payment", "paid_not_started":
		return append(fix, d.at("rollcall backfill start stripe --account all --follow")), nil
	case "no_store", "account_without_store":
		for _, m := range u.Missing {
			one, err := d.homeFor(ctx, m)
			if err != nil {
				return fix, err
			}
			fix = append(fix, one)
		}
		return fix, nil
	}
	return []string{d.mend()}, nil
}

// checkUsers looks for users whom facts name and Clerk has not told of.
func (d *doctor) checkUsers(ctx context.Context) error {
	u, err := d.checkup.UnknownUsers(ctx)
	if err != nil {
		return err
	}
	if u.Users == 0 {
		d.fine("Clerk has told of every user whom facts name")
		return nil
	}
	what := fmt.Sprintf("%s named by %s: Clerk never told of them", count(int(u.Users), "user"), count(int(u.Facts), "fact"))
	if u.Deleted > 0 {
		what += fmt.Sprintf(", of %d of them but that they are deleted", u.Deleted)
	}
	f := finding{Kind: "users_unknown", Severity: warning, Count: u.Users, What: what, Examples: u.Examples, Fix: []string{d.at("rollcall backfill start clerk --follow")}}
	if u.Deleted == u.Users {
		f.Severity = note
	}
	d.find(f)
	return nil
}

// checkCatalogue looks for products without a store, and stores that are named
// by somebody's user id.
func (d *doctor) checkCatalogue(ctx context.Context) error {
	homeless, n, err := d.checkup.HomelessProducts(ctx)
	if err != nil {
		return err
	}
	if n > 0 {
		f := finding{Kind: "products_homeless", Severity: warning, Count: n, What: count(int(n), "course or product") + " without a store: who enrolls or buys is on no list, unless the store is named with it"}
		if n > 1 {
			f.What = fmt.Sprintf("%s courses or products without a store: who enrolls or buys is on no list, unless the store is named with it", number(n))
		}
		for _, p := range homeless {
			f.Examples = append(f.Examples, fmt.Sprintf("%s (%s)%s", p.ID, p.Title, whyHomeless(p)))
			m := store.Missing{Key: "product:" + p.ID}
			if p.StoreRef != "" && p.Owned == 0 {
				m.Key = "store:" + p.StoreRef
			}
			fix, err := d.homeFor(ctx, m)
			if err != nil {
				return err
			}
			if len(f.Fix) < maxFixes && !slices.Contains(f.Fix, fix) {
				f.Fix = append(f.Fix, fix)
			}
		}
		d.find(f)
	}
	named, err := d.checkup.NamedByOwner(ctx)
	if err != nil {
		return err
	}
	d.namedByOwner(named)
	if n == 0 && len(named) == 0 {
		d.fine("every course and product has a store")
	}
	return nil
}

// maxFixes is how many commands a finding gives for as many things of its kind.
const maxFixes = 5

func whyHomeless(p store.HomelessProduct) string {
	if p.StoreRef == "" {
		return ": it names none"
	}
	return fmt.Sprintf(": it names user %s, who owns no store that we know", p.StoreRef)
}

// namedByOwner tells of stores that are named by a user's id, those whose user
// owns none apart. Of several the one owned first is meant.
func (d *doctor) namedByOwner(all []store.NamedByOwner) {
	known := finding{Kind: "stores_named_by_owner", Subject: "known", Severity: fine}
	unknown := finding{Kind: "stores_named_by_owner", Subject: "unknown", Severity: warning}
	for _, n := range all {
		f, which := &unknown, "owns no store that we know"
		switch {
		case len(n.Stores) > 1:
			f, which = &known, "owns "+strings.Join(n.Stores, ", ")+"; "+n.Store+" is meant, owned first"
		case n.Store != "":
			f, which = &known, "owns "+n.Store
		}
		f.Count++
		if len(f.Examples) < d.doctorCmd.Examples {
			f.Examples = append(f.Examples, fmt.Sprintf("%s, by %s and %s: %s", n.Owner, count(int(n.Products), "product"), count(int(n.Facts), "fact"), which))
		}
		if f == &unknown && len(f.Fix) < maxFixes && safe(n.Owner) {
			f.Fix = append(f.Fix, d.at(send("store.upserted", object{"id", d.storeOrPlaceholder()}, object{"owner_user_id", n.Owner})))
		}
	}
	if unknown.Count > 0 {
		unknown.What = fmt.Sprintf("%s named by a user's id, and that user owns none that we know", storesAre(unknown.Count))
		if len(unknown.Fix) == 0 {
			unknown.Fix = []string{d.at("rollcall events send product.upserted '{\"id\":\"<PRODUCT>\",\"store_id\":\"<STORE>\",\"kind\":\"<KIND>\"}'")}
		}
		d.find(unknown)
	}
	if known.Count > 0 {
		known.What = fmt.Sprintf("%s named by their owner's user id: it stands for the store that they own, of several for the one owned first", storesAre(known.Count))
		d.find(known)
	}
}

func storesAre(n int64) string {
	if n == 1 {
		return "1 store is"
	}
	return number(n) + " stores are"
}

// checkStore looks whether anybody has spoken of the store that is asked for.
func (d *doctor) checkStore(ctx context.Context) error {
	d.onlyStore = d.Store
	_, err := d.store.StoreAccounts(ctx, d.Store)
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	d.find(finding{Kind: "store_unheard", Subject: harmless(d.Store), Severity: problem, Count: 1, What: fmt.Sprintf("nobody has ever spoken of a store %s", harmless(d.Store)),
		Fix: []string{d.at(send("store.upserted", object{"id", d.storeOrPlaceholder()}, object{"name", "<NAME>"}, object{"owner_user_id", "<CLERK USER>"}))}})
	return nil
}
