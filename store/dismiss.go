package store

import (
	"context"
	"slices"
	"strings"
	"unicode/utf8"

	"rollcall/store/pg"
)

// Dismissal says who puts failed events to rest, and why.
type Dismissal struct {
	By  string // admin, or the user of the command line
	Why string // up to maxWhy characters
}

// maxWhy is the length of the longest reason.
const maxWhy = 500

// Dismiss marks failed events as ignored: trying again would not help. They keep their
// error, and can be applied again by a replay. It returns the events; it goes in chunks,
// as Reopen does. Its errors are *pg.BadParam if the reason is missing or too long.
func (s *Store) Dismiss(ctx context.Context, f ReopenFilter, d Dismissal) (dismissed []Waiting, err error) {
	defer pg.Wrap(&err, "store.Dismiss")
	if err := d.Check(); err != nil {
		return nil, err
	}
	if !slices.Equal(f.Statuses, []string{"failed"}) {
		return nil, pg.Refuse("status", "must be failed: others need no dismissal")
	}
	return s.settle(ctx, f, `
			status = 'ignored',
			processed_at = now(),
			dismissed_by = $?,
			dismissed_why = $?`, d.By, strings.TrimSpace(d.Why))
}

// Check tells whether d can be stored.
func (d Dismissal) Check() error {
	switch n := utf8.RuneCountInString(strings.TrimSpace(d.Why)); {
	case n == 0:
		return pg.Refuse("why", "is missing: say why trying again would not help")
	case n > maxWhy:
		return pg.Refuse("why", "is %d characters long, at most %d are allowed", n, maxWhy)
	case !pg.Storable(d.Why):
		return pg.Refuse("why", "has characters that cannot be stored")
	}
	return nil
}
