package store

import (
	"context"
	"time"

	"rollcall/facts"
	"rollcall/store/finding"
	"rollcall/store/pg"
)

// ClerkAudit compares the stored users with those that Clerk's API lists, page by page.
type ClerkAudit struct{ *mirror }

// NewClerkAudit begins an audit. The caller must close it.
func (s *Store) NewClerkAudit(ctx context.Context, o AuditOptions) (_ *ClerkAudit, err error) {
	defer pg.Wrap(&err, "store.NewClerkAudit")
	m, err := s.newMirror(ctx, o, ClerkDifferences, "users")
	if err != nil {
		return nil, err
	}
	return &ClerkAudit{m}, nil
}

// Page adds a page of users, except erased ones, which Clerk may still have.
func (a *ClerkAudit) Page(ctx context.Context, items []Item) error {
	items, err := (&erasureFilter{work: &work{tx: a.tx}}).withoutErased(ctx, items)
	if err != nil {
		return err
	}
	_, err = a.add(ctx, items, func(set facts.Set) facts.Set { return facts.Set{Users: set.Users} })
	return err
}

// Unlisted returns up to limit stored users that are not deleted here and that Clerk
// does not list, ordered by id, after an id. Call it after the last page. Only Clerk
// knows whether they are deleted.
func (a *ClerkAudit) Unlisted(ctx context.Context, after string, limit int) (_ []string, err error) {
	defer pg.Wrap(&err, "store.ClerkAudit.Unlisted")
	return pg.Column[string](ctx, a.tx, a.kept(`
		SELECT h.id
		FROM @kept.users h
		LEFT JOIN users t USING (id)
		WHERE t.id IS NULL AND h.id > $1 AND h.version <> '' AND h.deleted_version = ''
		  AND h.id NOT LIKE '`+anonymousPrefix+`%'
		ORDER BY h.id
		LIMIT $2`), after, limit)
}

// Gone counts a user that Clerk has deleted.
func (a *ClerkAudit) Gone(id string) {
	a.found.add("user_gone", 1, finding.Example{Place: "user " + id, What: "deleted",
		Why: "Clerk has deleted them; here they are not known to be"})
}

// Finish compares. It also returns users that a backfill would not fix, because they
// differ from Clerk's although the version is the same: up to maxStuck, as Clerk has
// them, for TellUsers.
func (a *ClerkAudit) Finish(ctx context.Context) (_ Audit, stuck []facts.User, err error) {
	defer pg.Wrap(&err, "store.ClerkAudit.Finish")
	if err := a.plan(ctx); err != nil {
		return a.audit, nil, err
	}
	for _, c := range clerkComparisons {
		if err := a.compare(ctx, c); err != nil {
			return a.audit, nil, err
		}
	}
	a.audit.Differences = a.found.list()
	stuck, err = pg.Column[facts.User](ctx, a.tx, a.kept(`
		SELECT to_jsonb(t)
		FROM users t
		JOIN @kept.users h USING (id)
		WHERE h.version >= t.version AND `+userDiffers+`
		LIMIT $1`), maxStuck)
	return a.audit, stuck, err
}

// ClerkDifferences are the kinds that a ClerkAudit finds, in the order in which they are
// shown.
var ClerkDifferences = kindsOf(clerkComparisons,
	difference("user_gone", "users here that Clerk has deleted"), unreadable)

var clerkComparisons = []comparison{
	{kind: "user_missing", means: "users that Clerk has and Rollcall does not", sql: `
		SELECT 'user ' || t.id, coalesce(t.email, 'without a verified address'), 'nothing is known of them here'
		FROM users t
		LEFT JOIN @kept.users h USING (id)
		WHERE t.version <> '' AND coalesce(h.version, '') = ''`},
	{kind: "user_differs", means: "users of another verified address or name than Clerk has them", sql: `
		SELECT 'user ' || t.id, coalesce(t.email, 'without a verified address'),
			concat_ws('; ',
				CASE WHEN t.email IS DISTINCT FROM h.email THEN
					format('the address is %s here, and %s at Clerk', coalesce(h.email, 'none'), coalesce(t.email, 'none')) END,
				CASE WHEN t.name IS DISTINCT FROM h.name THEN
					format('the name is %s here, and %s at Clerk', coalesce(h.name, 'none'), coalesce(t.name, 'none')) END)
		FROM users t
		JOIN @kept.users h USING (id)
		WHERE ` + userDiffers},
}

// maxStuck is how many users Finish returns; another audit finds the rest.
const maxStuck = 1000

// userDiffers excludes users that changed here since Clerk was read.
const userDiffers = `(t.email, t.name) IS DISTINCT FROM (h.email, h.name)
		  AND h.version <> '' AND split_part(h.version, 'Z', 1) <= split_part(t.version, 'Z', 1)`

// TellUsers upserts users and attaches the rows that depend on them. A user gets the
// highest version of its instant: it wins over a row that was changed by hand, and
// loses against later events from Clerk.
func (s *Store) TellUsers(ctx context.Context, users []facts.User) (changes Changes, err error) {
	defer pg.Wrap(&err, "store.TellUsers(%d)", len(users))
	for _, u := range users {
		at, _ := u.Version.Provenance()
		if u.Version != "" {
			u.Version += facts.Version("~" + time.Now().UTC().Format(time.RFC3339Nano))
		}
		err := s.transact(ctx, func(ctx context.Context, w *work) error {
			rows, err := w.upsertFacts(ctx, facts.Set{At: at.At, Users: []facts.User{u}})
			if err != nil {
				return err
			}
			some, err := w.attach(ctx, rows)
			changes.add(some)
			return err
		})
		if err != nil {
			return changes, err
		}
	}
	return changes, nil
}
