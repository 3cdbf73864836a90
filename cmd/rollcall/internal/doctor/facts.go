package doctor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"rollcall/internal/show"
	"rollcall/store"
	"rollcall/store/checks"
	"rollcall/store/finding"
	"rollcall/store/pg"
	"rollcall/store/reasons"
)

// examplesOf writes examples out, a line each.
func examplesOf(found []finding.Example) (all []finding.Example) {
	for _, f := range found {
		all = append(all, finding.Example{What: show.Clip(f.Place+": "+f.What, maxExample)})
	}
	return all
}

// checkFacts reports why facts are unattached.
func (d *doctor) checkFacts(ctx context.Context) error {
	all, err := d.checkup.Unattached(ctx)
	if err != nil {
		return err
	}
	missing := false
	for _, u := range all {
		if u.Right {
			d.find(finding.Finding{Kind: "facts_rightly_unattached", Subject: u.Code, Severity: finding.OK, Count: u.Count,
				What: fmt.Sprintf("%s not expected on a list: %s", factsAre(u.Count), u.Means)})
			continue
		}
		missing = true
		fix, err := d.fixOf(ctx, u)
		if err != nil {
			return err
		}
		d.find(finding.Finding{Kind: "facts_unattached", Subject: u.Code, Severity: weightOf(u), Count: u.Count,
			What: fmt.Sprintf("%s missing: %s", factsAre(u.Count), u.Text()), Examples: examplesOf(u.Examples), Fix: fix})
	}
	forgotten, err := d.checkup.Forgotten(ctx)
	if err != nil {
		return err
	}
	if forgotten.Count > 0 {
		d.find(finding.Finding{Kind: "facts_forgotten", Severity: finding.Problem, Count: forgotten.Count, What: fmt.Sprintf("%s missing from lists though nothing blocks them any more", factsAre(forgotten.Count)),
			Examples: examplesOf(forgotten.Examples), Fix: []string{d.rebuildCommand()}})
	} else if !missing {
		d.fine("every enrollment, payment and subscription is on the list it belongs to")
	}
	return nil
}

func factsAre(n int64) string {
	if n == 1 {
		return "1 fact is"
	}
	return show.Number(n) + " facts are"
}

// rebuildCommand is the command that attaches and derives again.
func (d *doctor) rebuildCommand() string {
	if safe(d.Store) {
		return "rollcall audit --fix --store " + show.Quote(d.Store)
	}
	return "rollcall rebuild"
}

// rebuild is the command that derives a store's customers again.
func rebuild(storeID string) []string {
	if !safe(storeID) {
		return []string{"rollcall rebuild"}
	}
	return []string{"rollcall rebuild --store " + show.Quote(storeID)}
}

// weightOf is the severity of a reason.
func weightOf(u checks.Unattached) finding.Severity {
	ours := func(m checks.Missing) bool { return m.Ours > 0 }
	if u.Stranger != "" && !slices.ContainsFunc(u.Missing, ours) {
		return finding.Severity(u.Stranger)
	}
	return finding.Severity(u.Weight)
}

// fixOf fills the commands of a reason in, as far as the missing data is known.
func (d *doctor) fixOf(ctx context.Context, u checks.Unattached) (fix []string, err error) {
	for _, command := range u.Fix {
		switch {
		case command == reasons.Rebuild:
			fix = append(fix, d.rebuildCommand())
		case strings.Contains(command, "<"):
			filled, err := d.fillIn(ctx, u)
			if err != nil {
				return nil, err
			}
			fix = append(fix, filled...)
		default:
			fix = append(fix, command)
		}
	}
	return fix, nil
}

// fillIn is what the platform has to report, for each of what facts wait for.
func (d *doctor) fillIn(ctx context.Context, u checks.Unattached) (fix []string, err error) {
	for _, m := range u.Missing {
		var command string
		switch user, named := strings.CutPrefix(m.Key, "user:"); {
		case !named:
			if command, err = d.homeFor(ctx, m); err != nil {
				return nil, err
			}
		case m.Course != "":
			command = enrollmentWith(m.Course, user)
		default:
			continue // there is no enrollment that could say an address
		}
		fix = append(fix, command)
	}
	return fix, nil
}

// checkCatalogue finds products without a store, and stores named by a user id.
func (d *doctor) checkCatalogue(ctx context.Context) error {
	homeless, n, err := d.checkup.HomelessProducts(ctx)
	if err != nil {
		return err
	}
	if n > 0 {
		f := finding.Finding{Kind: "products_homeless", Severity: finding.Warning, Count: n, What: show.Count(int(n), "course or product") + " without a store: people who enroll or buy are missing, unless the event names the store"}
		if n > 1 {
			f.What = fmt.Sprintf("%s courses or products without a store: people who enroll or buy are missing, unless the event names the store", show.Number(n))
		}
		for _, p := range homeless {
			f.Examples = append(f.Examples, finding.Example{What: fmt.Sprintf("%s (%s)%s", p.ID, p.Title, whyHomeless(p))})
			m := checks.Missing{Key: "product:" + p.ID}
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
	return d.untoldStores(ctx)
}

// maxFixes is how many commands a finding gives for as many things of its kind.
const maxFixes = 5

func whyHomeless(p checks.HomelessProduct) string {
	if p.StoreRef == "" {
		return ": it names none"
	}
	return fmt.Sprintf(": it names user %s, who owns no store that we know", p.StoreRef)
}

// namedByOwner reports stores named by a user id, and apart from these, users who own
// no store. Of several stores the one owned first counts.
func (d *doctor) namedByOwner(all []checks.NamedByOwner) {
	known := finding.Finding{Kind: "stores_named_by_owner", Subject: "known", Severity: finding.OK}
	unknown := finding.Finding{Kind: "stores_named_by_owner", Subject: "unknown", Severity: finding.Warning}
	for _, n := range all {
		f, which := &unknown, "owns no store that we know"
		switch {
		case len(n.Stores) > 1:
			f, which = &known, "owns "+strings.Join(n.Stores, ", ")+"; "+n.Store+" is meant, owned first"
		case n.Store != "":
			f, which = &known, "owns "+n.Store
		}
		f.Count++
		if len(f.Examples) < d.Options.Examples {
			f.Examples = append(f.Examples, finding.Example{What: fmt.Sprintf("%s, by %s and %s: %s", n.Owner, show.Count(int(n.Products), "product"), show.Count(int(n.Facts), "fact"), which)})
		}
		if f == &unknown && len(f.Fix) < maxFixes && safe(n.Owner) {
			f.Fix = append(f.Fix, send("store.upserted", object{"id", d.storeOrPlaceholder()}, object{"owner_user_id", n.Owner}))
		}
	}
	if unknown.Count > 0 {
		unknown.What = fmt.Sprintf("%s named by a user's id, and that user owns none that we know", storesAre(unknown.Count))
		if len(unknown.Fix) == 0 {
			unknown.Fix = []string{"rollcall events send product.upserted '{\"id\":\"<PRODUCT>\",\"store_id\":\"<STORE>\",\"kind\":\"<KIND>\"}'"}
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
	return show.Number(n) + " stores are"
}

// checkStore checks that some event has mentioned the requested store.
func (d *doctor) checkStore(ctx context.Context) error {
	d.onlyStore = d.Store
	_, err := d.store.StoreAccounts(ctx, d.Store)
	if !errors.Is(err, pg.ErrNotFound) {
		return err
	}
	d.find(finding.Finding{Kind: "store_unheard", Subject: d.Store, Severity: finding.Problem, What: fmt.Sprintf("store %s does not exist: no event has mentioned it", d.Store),
		Fix: []string{send("store.upserted", object{"id", d.storeOrPlaceholder()}, object{"name", "<NAME>"}, object{"owner_user_id", "<CLERK USER>"})}})
	return nil
}

// restoreKey is the command that restores the key of the erasures.
const restoreKey = `pg_restore --data-only --dbname="$DATABASE_URL" <KEY FILE>`

// checkErasures checks that the tombstones of erased people are readable.
func (d *doctor) checkErasures(ctx context.Context) error {
	state, tombstones, err := d.checkup.ErasureKey(ctx)
	if err != nil || state == store.KeyFits || tombstones == 0 {
		return err
	}
	f := finding.Finding{Kind: "erasure_key_wrong", Subject: string(state), Severity: finding.Problem, Count: tombstones,
		What: fmt.Sprintf("%s cannot be read: table erasure_key is empty", show.Count(int(tombstones), "tombstone")), Fix: []string{restoreKey}}
	if state == store.KeyOther {
		f.What = fmt.Sprintf("%s cannot be read: table erasure_key holds another key", show.Count(int(tombstones), "tombstone"))
		f.Fix = []string{show.PSQL("DELETE FROM erasure_key"), restoreKey}
	}
	d.find(f)
	return nil
}

// untoldStores reports stores without a known owner.
func (d *doctor) untoldStores(ctx context.Context) error {
	all, err := d.checkup.UntoldStores(ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	f := finding.Finding{Kind: "stores_untold", Severity: finding.Warning, Count: int64(len(all)), What: show.Count(len(all), "store") + " with customers and no known owner: only operators can see the list"}
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

// ownerOf is the command that sets a store's owner.
func (d *doctor) ownerOf(ctx context.Context, s checks.UntoldStore) (string, error) {
	name, members, account := "<NAME>", []string(nil), ""
	if s.Known {
		known, err := checks.New(d.store).ToldStore(ctx, s.ID)
		if err != nil {
			return "", err
		}
		name, members, account = known.Name, known.MemberUserIDs, known.StripeAccountID
	}
	return send("store.upserted", object{"id", s.ID}, object{"name", name}, object{"owner_user_id", "<CLERK USER>"}, ids("member_user_ids", members), object{"stripe_account_id", account}), nil
}

// Deriving describes the progress of deriving all customers again.
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

// checkDerivation checks that customers are derived by this program's rules.
func (d *doctor) checkDerivation(ctx context.Context) error {
	at, err := d.store.Derivation(ctx)
	if err != nil || !at.Pending() {
		return err
	}
	d.find(finding.Finding{Kind: "lists_outdated", Severity: finding.Warning, What: Deriving(at),
		Fix: []string{"rollcall rebuild"}})
	return nil
}
