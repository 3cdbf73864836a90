package store

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// AttachedAgain is the result of facts that were attached once more.
type AttachedAgain struct {
	Looked   int64  `json:"looked"`      // at so many
	Attached int64  `json:"attached"`    // are on a list now
	Failed   int64  `json:"failed"`      // of these the customer cannot be computed
	Error    string `json:"error"`       // why, of the first
	Next     string `json:"next_cursor"` // where to go on; empty at the end
}

// AttachAgain attaches facts on no list for a reason once more, through the one
// routine that attaches all: up to most of them, from f.Cursor on. It helps
// where what was missing has come, and was not seen to be leaned on.
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

// tryAttach attaches facts. Those that cannot be are found by halving, so that
// one keeps back no other.
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

// attachedOf counts those of the facts that are on a list.
func (s *Store) attachedOf(ctx context.Context, keys []RowKey) (n int64, err error) {
	err = s.Snapshot(ctx, func(tx pgx.Tx) error {
		for kind, k := range byKind(keys) {
			var some int64
			err := tx.QueryRow(ctx, `SELECT count(*)`+kind.GivenRows("f")+` WHERE f.customer_id IS NOT NULL`, k[0], k[1]).Scan(&some)
			if err != nil {
				return err
			}
			n += some
		}
		return nil
	})
	return n, err
}
