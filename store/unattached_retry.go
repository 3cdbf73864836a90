package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// AttachedAgain is the result of AttachAgain.
type AttachedAgain struct {
	Looked   int64  `json:"looked"`      // number of facts tried
	Attached int64  `json:"attached"`    // now attached
	Failed   int64  `json:"failed"`      // their customers cannot be derived
	Error    string `json:"error"`       // of the first failure
	Next     string `json:"next_cursor"` // empty at the end
}

// AttachAgain attaches up to most facts that are unattached for a reason again, from
// f.Cursor on. It helps if the missing object has arrived, but the dependency of the
// facts was not detected.
func (s *Store) AttachAgain(ctx context.Context, f OffFilter, most int) (a AttachedAgain, err error) {
	defer pg.Wrap(&err, "store.AttachAgain(%q)", f.Reason)
	for a.Next = f.Cursor; a.Looked < int64(most); {
		f.Cursor, f.Limit = a.Next, min(rebuildChunk, most-int(a.Looked))
		page, next, err := f.Page(ctx, s.Pool, readKeys)
		if err != nil {
			return a, err
		}
		keys := make([]RowKey, len(page))
		for i, fact := range page {
			keys[i] = fact.Key
		}
		if err := s.tryAttach(ctx, keys, &a); err != nil {
			return a, err
		}
		a.Looked += int64(len(keys))
		if a.Next = next; next == "" {
			break
		}
	}
	return a, nil
}

// tryAttach attaches facts. It finds those that fail by halving, so that the others
// are still attached.
func (s *Store) tryAttach(ctx context.Context, keys []RowKey, a *AttachedAgain) error {
	if len(keys) == 0 {
		return nil
	}
	_, err := s.reattach(ctx, keys)
	switch {
	case err == nil:
		n, err := s.attachedOf(ctx, keys)
		a.Attached += n
		return err
	case pg.Transient(err):
		return err
	case len(keys) == 1:
		if a.Failed++; a.Error == "" {
			a.Error = err.Error()
		}
		return nil
	}
	half := len(keys) / 2
	if err := s.tryAttach(ctx, keys[:half], a); err != nil {
		return err
	}
	return s.tryAttach(ctx, keys[half:], a)
}

// attachedOf counts the facts that are attached.
func (s *Store) attachedOf(ctx context.Context, keys []RowKey) (n int64, err error) {
	err = s.Snapshot(ctx, func(tx pgx.Tx) error {
		for kind, k := range byKind(keys) {
			var some int64
			err := tx.QueryRow(ctx, `SELECT count(*)`+kind.GivenRows("f")+` WHERE f.customer_id IS NOT NULL`, k[0], k[1]).Scan(
				&some)
			if err != nil {
				return err
			}
			n += some
		}
		return nil
	})
	return n, err
}
