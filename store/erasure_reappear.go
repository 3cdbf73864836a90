package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rollcall/facts"
)

// Erased people who act again: what they do after the erasure is kept under their
// true names, beside the pseudonyms that stand for what was before.

// noteNames notes which erased identities are used again.
func (f *erasureFilter) noteNames(set facts.Set) {
	for _, i := range identitiesOf(set) {
		if t := f.tombstones.known[i]; t != nil && set.At.After(t.at) && i.kind != anObject {
			f.names[i] = t.erasure
		}
	}
}

// saveNames writes them down: the hashes do not tell what to look for when the
// person is erased again.
func (f *erasureFilter) saveNames(ctx context.Context) error {
	if len(f.names) == 0 {
		return nil
	}
	var batch pgx.Batch
	for i, erasure := range f.names {
		batch.Queue(`
			INSERT INTO erasure_terms (erasure_id, kind, value, anew)
			VALUES ($1, $2, $3, true)
			ON CONFLICT DO NOTHING`, erasure, i.kind, i.value)
	}
	return f.tx.SendBatch(ctx, &batch).Close()
}

// reappearances are keys of a table under which erased people reappear, beside
// the pseudonyms that stand for what was before.
type reappearances struct {
	within            []string // the course, or the Connect account
	names, pseudonyms []string
	since             []string // the times of the erasures, as versions have it
}

// noteReappearances notes for which facts of a set an end may have been told of the
// pseudonym: an end never says whether it is that of the old row or of the new one.
func (f *erasureFilter) noteReappearances(set facts.Set) {
	ts := f.tombstones
	note := func(table string, who identity, within, name, pseudonym string) bool {
		t := ts.known[who]
		if t == nil || !set.At.After(t.at) {
			return false
		}
		if f.reappeared[table] == nil {
			f.reappeared[table] = &reappearances{}
		}
		r := f.reappeared[table]
		r.within, r.names, r.pseudonyms = append(r.within, within), append(r.names, name), append(r.pseudonyms, pseudonym)
		r.since = append(r.since, t.at.UTC().Format("2006-01-02T15:04:05.000000Z"))
		return true
	}
	for _, u := range set.Users {
		who := identity{aUser, u.ID}
		note("users", who, "", u.ID, ts.pseudonym(who))
	}
	for _, c := range set.StripeCustomers {
		who := identity{aStripeCustomer, c.Account + "/" + c.ID}
		note("stripe_customers", who, c.Account, c.ID, ts.pseudonym(who))
	}
	for _, e := range set.Enrollments {
		pseudonym, _ := ts.person(e.Person, always)
		if note("enrollments", personOf(e.Person), e.CourseID, e.Person, pseudonym) {
			f.again = append(f.again, RowKey{Enrollment, e.CourseID, e.Person})
		}
	}
}

// shareDeletions gives reappeared people the deletions that were told since.
func (f *erasureFilter) shareDeletions(ctx context.Context) error {
	for table, r := range f.reappeared {
		if _, err := f.tx.Exec(ctx, shareDeletionsSQL[table], r.within, r.names, r.pseudonyms, r.since); err != nil {
			return err
		}
	}
	return nil
}

var shareDeletionsSQL = map[string]string{
	"users":            shareDeletionsIn("users", "''", "''", "id"),
	"stripe_customers": shareDeletionsIn("stripe_customers", "f.account", "t.account", "id"),
	"enrollments":      shareDeletionsIn("enrollments", "f.course_id", "t.course_id", "person"),
}

func shareDeletionsIn(table, within, itsWithin, key string) string {
	return `
		UPDATE ` + table + ` f
		SET deleted_version = e.deleted_version
		FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS r(within, name, pseudonym, since)
		CROSS JOIN LATERAL (
			SELECT deleted_version FROM ` + table + ` t WHERE ` + itsWithin + ` = r.within AND t.` + key + ` = r.pseudonym OFFSET 0
		) e
		WHERE ` + within + ` = r.within
		  AND f.` + key + ` = r.name
		  AND e.deleted_version > f.deleted_version
		  AND e.deleted_version > r.since COLLATE "C"`
}
