package store

import (
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
)

// Where facts are said, those about erased people are put under their other
// names. It is here that a late one may tell more of such a person: that a user
// or a Stripe customer had the erased address, too. Then they are erased with it.

// ties lists what facts of a set tie to erased people and is not known to be.
type ties map[identity]tombstone

// tie notes that an identity goes with a tombstone, if that is news.
func (e *erased) tie(found ties, i identity, to *tombstone) {
	if to == nil || i.value == "" || strings.HasPrefix(idOf(i), nameless) {
		return
	}
	if t := e.tombs[i]; t != nil && !t.at.Before(to.at) {
		return
	}
	if t, known := found[i]; known && !t.at.Before(to.at) {
		return
	}
	found[i] = *to
}

// userTies: whoever has the erased address is erased.
func (e *erased) userTies(found ties, f facts.User, at time.Time) {
	e.tie(found, identity{aUser, f.ID}, e.tomb(anAddress, f.Email, at))
}

// stripeCustomerTies: whoever has the erased address is erased; of a store's own
// account also if it was erased from that store only.
func (e *erased) stripeCustomerTies(found ties, f facts.StripeCustomer, at time.Time) {
	who := identity{aStripeCustomer, f.Account + "/" + f.ID}
	e.tie(found, who, e.tomb(anAddress, f.Email, at))
	if t := e.inAccounts[address{f.Account, f.Email}]; t != nil && !at.After(t.at) {
		e.tie(found, who, t)
	}
}

// contextTies: the Stripe customer that an erased user bought as is theirs, and
// so is the row that names any of them.
func (e *erased) contextTies(found ties, row rowKey, c *facts.Context, at time.Time) {
	if c == nil {
		return
	}
	object, _ := row.object()
	user := e.tomb(aUser, c.UserRef, at)
	e.tie(found, object, user)
	e.tie(found, object, e.tomb(anAddress, c.Email, at))
	if c.StripeCustomer != "" {
		customer := identity{aStripeCustomer, row.a + "/" + c.StripeCustomer}
		e.tie(found, customer, user)
		e.tie(found, object, e.tomb(customer.kind, customer.value, at))
	}
}

// ties finds those of a set.
func (e *erased) ties(found ties, set facts.Set) {
	for _, f := range set.Users {
		e.userTies(found, f, set.At)
	}
	for _, f := range set.StripeCustomers {
		e.stripeCustomerTies(found, f, set.At)
	}
	for _, f := range set.Payments {
		e.contextTies(found, rowKey{payment, f.Account, f.ID}, &f.Context, set.At)
		e.contextTies(found, rowKey{payment, f.Account, f.ID}, f.Intent.Says(), set.At)
		e.contextTies(found, rowKey{payment, f.Account, f.ID}, f.Charge, set.At)
	}
	for _, f := range set.Subscriptions {
		e.contextTies(found, rowKey{subscription, f.Account, f.ID}, &f.Context, set.At)
		e.contextTies(found, rowKey{subscription, f.Account, f.ID}, f.Checkout, set.At)
	}
}

// forget puts what sets say of erased people, and merges them. w.touched tells
// which sets spoke of any. It returns as well rows said before that turned out
// to be theirs, for them to be attached.
func (w *work) forget(ctx context.Context, said []facts.Set) (all facts.Set, turned []rowKey, err error) {
	defer wrap(&err, "store.forget")
	e, err := w.graves(ctx)
	if err != nil {
		return all, nil, err
	}
	w.abouts = nil
	w.touched, w.comebacks, w.names = make([]bool, len(said)), map[string][]comeback{}, map[identity]int64{}
	for _, set := range said {
		all.Add(set)
	}
	if e == nil {
		return all, nil, nil
	}
	named := identitiesOf(all)
	for i, v := range w.heard {
		a := aboutOf(v, said[i])
		w.abouts = append(w.abouts, a)
		named = slices.Concat(named, a.people, a.objects)
	}
	if err := e.find(ctx, w.tx, named); err != nil {
		return all, nil, err
	}
	if err := e.findInAccounts(ctx, w.tx, all.StripeCustomers); err != nil {
		return all, nil, err
	}
	if turned, err = w.buryTied(ctx, said); err != nil {
		return all, nil, err
	}
	all = facts.Set{}
	for i, set := range said {
		w.noteComebacks(set)
		put, touched := e.veil(set)
		w.touched[i] = touched
		w.noteNames(set.At, identitiesOf(put))
		all.Add(put)
	}
	if err := w.keepNames(ctx); err != nil {
		return all, nil, err
	}
	return all, turned, w.extend(ctx, ownLocks(all))
}

// buryTied buries whoever the sets tie to erased people.
func (w *work) buryTied(ctx context.Context, said []facts.Set) (turned []rowKey, err error) {
	for {
		found := ties{}
		for _, set := range said {
			w.erased.ties(found, set)
		}
		for i, a := range w.abouts {
			w.erased.objectTies(found, a, said[i].At)
		}
		if len(found) == 0 {
			return turned, nil
		}
		rows, err := w.buryFound(ctx, found)
		if err != nil {
			return nil, err
		}
		turned = append(turned, rows...)
	}
}

// buryFound buries whom others turned out to be, once the gate is held.
func (w *work) buryFound(ctx context.Context, found ties) ([]rowKey, error) {
	if !w.held[gate] { // seldom, and then nobody may say anything meanwhile
		w.want[gate] = true
		return nil, errAgain
	}
	return w.bury(ctx, found, true)
}

// bury makes tombstones of identities, and of whoever the rows that name them
// tie to them; and puts those rows at once, or, where there may be very many,
// leaves them as they are for now. Traces outside of facts are left to
// FinishErasures. The gate is held.
func (w *work) bury(ctx context.Context, found ties, atOnce bool) (turned []rowKey, err error) {
	defer wrap(&err, "store.bury(%d)", len(found))
	var all []identity
	var rows []rowKey
	for len(found) > 0 {
		if err := w.writeTombs(ctx, found); err != nil {
			return nil, err
		}
		ids := slices.Collect(maps.Keys(found))
		more, err := mentioning(ctx, w.tx, ids)
		if err != nil {
			return nil, err
		}
		if found, err = w.erased.tiesOfRows(ctx, w.tx, ids, more); err != nil { // put, they no longer tell
			return nil, err
		}
		all, rows = append(all, ids...), append(rows, more...)
	}
	if atOnce {
		if turned, err = w.putRows(ctx, rows); err != nil {
			return nil, err
		}
		keys, err := addressKeys(ctx, w.tx, all)
		if err != nil {
			return nil, err
		}
		led, err := rowsLeaning(ctx, w.tx, keys)
		if err != nil {
			return nil, err
		}
		turned = distinct(append(turned, led...))
	}
	return turned, w.putPeople(ctx, all, atOnce)
}

// writeTombs writes tombstones, and what the erasures they belong to have to
// look for from now on.
func (w *work) writeTombs(ctx context.Context, found ties) error {
	var batch pgx.Batch
	for i, t := range found {
		batch.Queue(`
			INSERT INTO erased AS e (hash, kind, erasure_id, erased_at)
			VALUES ($1, $2, $3, $4)
			ON CONFLICT (hash, store_id) DO UPDATE SET erased_at = GREATEST(e.erased_at, EXCLUDED.erased_at)`, w.erased.hash(i), i.kind, t.erasure, t.at)
		batch.Queue(`INSERT INTO erasure_terms (erasure_id, kind, value) VALUES ($1, $2, $3) ON CONFLICT (erasure_id, kind, value) DO UPDATE SET anew = false`, t.erasure, i.kind, i.value)
		batch.Queue(`UPDATE erasures SET finished_at = NULL, moved_at = '-infinity' WHERE id = $1 AND finished_at IS NOT NULL`, t.erasure)
		if old := w.erased.tombs[i]; old != nil { // of another erasure: it keeps its name
			t.erasure, t.person = old.erasure, old.person
		}
		w.erased.tombs[i] = &t
	}
	return w.tx.SendBatch(ctx, &batch).Close()
}

// noteNames notes which erased identities are told of anew.
func (w *work) noteNames(at time.Time, told []identity) {
	for _, i := range told {
		if t := w.erased.tombs[i]; t != nil && at.After(t.at) && i.kind != anObject {
			w.names[i] = t.erasure
		}
	}
}

// keepNames writes them down: the hashes do not tell who is to be looked for
// when the person is erased again.
func (w *work) keepNames(ctx context.Context) error {
	if len(w.names) == 0 {
		return nil
	}
	var batch pgx.Batch
	for i, erasure := range w.names {
		batch.Queue(`
			INSERT INTO erasure_terms (erasure_id, kind, value, anew)
			VALUES ($1, $2, $3, true)
			ON CONFLICT DO NOTHING`, erasure, i.kind, i.value)
	}
	return w.tx.SendBatch(ctx, &batch).Close()
}

// comeback is a key under which somebody who was erased comes anew, beside the
// one that stands for what was before.
type comeback struct {
	a           string // the course, or the Connect account
	clear, mark string
	since       string // the time of the erasure, as versions have it
}

// stamp writes a time as versions do.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000Z") }

// noteComebacks notes for which facts of a set an end may have been told of the
// other key: an end never says whether it is that of the old or of the new.
func (w *work) noteComebacks(set facts.Set) {
	e := w.erased
	note := func(table string, who identity, c comeback) {
		if t := e.tombs[who]; t != nil && set.At.After(t.at) {
			c.since = stamp(t.at)
			w.comebacks[table] = append(w.comebacks[table], c)
		}
	}
	for _, f := range set.Users {
		who := identity{aUser, f.ID}
		note("users", who, comeback{clear: f.ID, mark: e.mark(who)})
	}
	for _, f := range set.StripeCustomers {
		who := identity{aStripeCustomer, f.Account + "/" + f.ID}
		note("stripe_customers", who, comeback{a: f.Account, clear: f.ID, mark: e.mark(who)})
	}
	for _, f := range set.Enrollments {
		put := facts.Enrollment{Person: f.Person, DeletedVersion: "end"}
		if e.enrollment(&put, always) {
			kind, who := personOf(f.Person)
			note("enrollments", identity{kind, who}, comeback{a: f.CourseID, clear: f.Person, mark: put.Person})
		}
	}
}

// shareEnds lets those who came anew have the ends that were told since, and
// returns the rows of theirs to be attached.
func (w *work) shareEnds(ctx context.Context) (rows []rowKey, err error) {
	for table, all := range w.comebacks {
		var a, clear, mark, since []string
		for _, c := range all {
			a, clear, mark, since = append(a, c.a), append(clear, c.clear), append(mark, c.mark), append(since, c.since)
			if table == "enrollments" {
				rows = append(rows, rowKey{enrollment, c.a, c.clear})
			}
		}
		if _, err := w.tx.Exec(ctx, shareEndsSQL[table], a, clear, mark, since); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func shareEndsOf(table, match string) string {
	return `
		UPDATE ` + table + ` f
		SET deleted_version = e.deleted_version
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS c(a, clear, mark, since)
		CROSS JOIN LATERAL (SELECT deleted_version FROM ` + table + ` t WHERE ` + match + ` OFFSET 0) e
		WHERE e.deleted_version > f.deleted_version
		  AND e.deleted_version > c.since COLLATE "C"
		  AND `
}

var shareEndsSQL = map[string]string{
	"users":            shareEndsOf("users", "t.id = c.mark") + `f.id = c.clear AND c.a = ''`,
	"stripe_customers": shareEndsOf("stripe_customers", "t.account = c.a AND t.id = c.mark") + `f.account = c.a AND f.id = c.clear`,
	"enrollments":      shareEndsOf("enrollments", "t.course_id = c.a AND t.person = c.mark") + `f.course_id = c.a AND f.person = c.clear`,
}
