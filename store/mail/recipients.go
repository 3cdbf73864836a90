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

// Standing is what the recipient of a mail gets and does not get.
type Standing struct {
	StoreName string
	Class     string
	Campaign  string   // its id; empty: none
	Stopped   []string // scopes in which they unsubscribed
	Tracked   bool     // they agreed to it
}

// Test tells whether the mail was a test, which changes nothing.
func (s Standing) Test() bool { return s.Class == "test" }

// Standing reads the standing of a mail's recipient. Without such a mail, or if it was erased, it
// is pg.ErrNotFound.
func (r *Recipients) Standing(ctx context.Context, mailID int64) (s Standing, err error) {
	defer pg.Wrap(&err, "mail.Standing(%d)", mailID)
	err = pg.NotFound(r.Pool.QueryRow(ctx, `
		SELECT
			coalesce(nullif(st.name, ''), m.store_id),
			m.class,
			m.campaign_id,
			ARRAY(
				SELECT CASE WHEN s.campaign_id <> '' THEN $2 WHEN s.store_id <> '' THEN $3 ELSE $4 END
				FROM mail_stops s
				WHERE s.hash = `+store.AddressHash("m.email")+`
				  AND s.reason = 'unsubscribed'
				  AND s.store_id IN ('', m.store_id)
				  AND s.campaign_id IN ('', m.campaign_id, `+kindOf("m.campaign_id")+`)),
			coalesce(`+ConsentSQL("tracking", "m.store_id", "m.email")+` = 'granted', false)
		FROM mails m
		LEFT JOIN stores st ON st.id = m.store_id
		WHERE m.id = $1`, mailID, ThisKind, ThisStore, AllStores).
		Scan(&s.StoreName, &s.Class, &s.Campaign, &s.Stopped, &s.Tracked))
	return s, err
}
