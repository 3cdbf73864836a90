package mail

import (
	"context"
	"crypto/rand"

	"rollcall/mail"
	"rollcall/store"
	"rollcall/store/pg"
)

// Recipients reads and writes what people who get mail said of it: consents and stops, and what
// providers reported of their mails.
type Recipients struct{ *store.Store }

// NewRecipients returns the recipients of all stores.
func NewRecipients(s *store.Store) *Recipients { return &Recipients{s} }

// Keys are those that sign the links of mails; the last is the newest. The first is made when it
// is needed.
func (r *Recipients) Keys(ctx context.Context) (keys mail.Keys, err error) {
	defer pg.Wrap(&err, "mail.Keys")
	if keys, err = r.readKeys(ctx); err != nil || len(keys) > 0 {
		return keys, err
	}
	if err = r.AddKey(ctx); err != nil {
		return nil, err
	}
	return r.readKeys(ctx)
}

func (r *Recipients) readKeys(ctx context.Context) (mail.Keys, error) {
	return pg.Structs[mail.Key](ctx, r.Pool, `SELECT id, key FROM mail_keys ORDER BY id`)
}

// AddKey makes a key that signs from now on. Links of older keys stay valid.
func (r *Recipients) AddKey(ctx context.Context) (err error) {
	defer pg.Wrap(&err, "mail.AddKey")
	key := make([]byte, 32)
	rand.Read(key) // never fails
	_, err = r.Pool.Exec(ctx, `INSERT INTO mail_keys (key) VALUES ($1)`, key)
	return err
}
