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

// reappearance is a key under which an erased person reappears, beside the
// pseudonym that stands for what was before.
type reappearance struct {
	within          string // the course, or the Connect account
	name, pseudonym string
	since           string // the time of the erasure, as versions have it
}

// noteReappearances notes for which facts of a set an end may have been told of the
// pseudonym: an end never says whether it is that of the old row or of the new one.
func (f *erasureFilter) noteReappearances(set facts.Set) {
	ts := f.tombstones
	note := func(table string, who identity, within, name, pseudonym string) {
		if t := ts.known[who]; t != nil && set.At.After(t.at) {
			since := t.at.UTC().Format("2006-01-02T15:04:05.000000Z")
			f.reappearances[table] = append(f.reappearances[table], reappearance{within, name, pseudonym, since})
		}
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
		if pseudonym, t := ts.person(e.Person, always); t != nil {
			note("enrollments", personOf(e.Person), e.CourseID, e.Person, pseudonym)
		}
	}
}

// shareDeletions gives reappeared people the deletions that were told since, and
// returns their rows, to be attached.
func (f *erasureFilter) shareDeletions(ctx context.Context) (rows []rowKey, err error) {
	for table, all := range f.reappearances {
		var within, names, pseudonyms, since []string
		for _, r := range all {
			within, names = append(within, r.within), append(names, r.name)
			pseudonyms, since = append(pseudonyms, r.pseudonym), append(since, r.since)
			if table == "enrollments" {
				rows = append(rows, rowKey{enrollment, r.within, r.name})
			}
		}
		if _, err := f.tx.Exec(ctx, shareDeletionsSQL[table], within, names, pseudonyms, since); err != nil {
			return nil, err
		}
	}
	return rows, nil
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
