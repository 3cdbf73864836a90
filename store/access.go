package store

import (
	"context"
	"crypto/sha256"
	"time"

	"rollcall/store/pg"
)

// MaySee reports whether a Clerk user owns the store or is a member of it. Of a
// store that does not exist nobody is, by the same query.
func (s *Store) MaySee(ctx context.Context, user, store string) (may bool, err error) {
	defer pg.Wrap(&err, "store.MaySee(%q, %q)", user, store)
	if user == "" || !pg.Storable(user) || !pg.Storable(store) {
		return false, nil
	}
	err = s.Pool.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT
			FROM stores
			WHERE id = $1
			  AND (owner_user_id = $2 OR $2 = ANY(member_user_ids))
		)`, store, user).Scan(&may)
	return may, err
}

// EndSession makes an operator's session worthless from now on, everywhere. The
// row is kept until the session would have expired, and then removed by the next
// one that ends.
func (s *Store) EndSession(ctx context.Context, session string, expires time.Time) (err error) {
	defer pg.Wrap(&err, "store.EndSession")
	hash := sha256.Sum256([]byte(session))
	_, err = s.Pool.Exec(ctx, `
		WITH expired AS (
			DELETE FROM ended_sessions
			WHERE expires_at < now()
		)
		INSERT INTO ended_sessions (hash, expires_at)
		VALUES ($1, $2)
		ON CONFLICT DO NOTHING`, hash[:], expires)
	return err
}

// SessionEnded reports whether EndSession was called for a session.
func (s *Store) SessionEnded(ctx context.Context, session string) (ended bool, err error) {
	defer pg.Wrap(&err, "store.SessionEnded")
	hash := sha256.Sum256([]byte(session))
	err = s.Pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM ended_sessions WHERE hash = $1)`, hash[:]).Scan(&ended)
	return ended, err
}

// IDKey is the key under which ids are shown outside: 32 random bytes that stay
// as they are for the life of the database.
func (s *Store) IDKey(ctx context.Context) (key []byte, err error) {
	defer pg.Wrap(&err, "store.IDKey")
	err = s.Pool.QueryRow(ctx, `SELECT key FROM id_key`).Scan(&key)
	return key, err
}
