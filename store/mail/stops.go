package mail

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store"
	"rollcall/store/pg"
)

// Stops say which addresses are not mailed any more. They are keyed hashes: they survive an erasure
// without naming anyone, and no import, merge or purchase lifts them.

// stopped is SQL for whether a stop forbids a mail.
func stopped(mail string) string {
	return stops(mail+".store_id", mail+".email", mail+".class", mail+".campaign_id")
}

// stops is SQL for whether a stop forbids mail of a class and a campaign from a store to an address.
func stops(storeID, email, class, campaign string) string {
	return stopsOf(store.AddressHash(email), storeID, class, campaign)
}

// stopsOf is stops by the hash of the address.
func stopsOf(hash, storeID, class, campaign string) string {
	return `EXISTS (
		SELECT FROM mail_stops s
		WHERE s.hash = ` + hash + `
		  AND s.store_id IN ('', ` + storeID + `)
		  AND s.campaign_id IN ('', ` + campaign + `, ` + kindOf(campaign) + `)
		  AND (s.reason <> 'unsubscribed' OR s.campaign_id <> '' OR ` + class + ` = 'marketing'))`
}

// kindOf is SQL for what a stop of one kind of mail names: the recipe of a campaign, so that it holds for the next
// campaign of that recipe, and of others the campaign itself.
func kindOf(campaign string) string {
	return `coalesce((SELECT nullif(k.recipe, '') FROM campaigns k WHERE k.id = ` + campaign + `), ` + campaign + `)`
}

// Stop is why an address is not mailed. Its JSON is the API's.
type Stop struct {
	Everywhere bool      `json:"everywhere"`            // by no store
	CampaignID string    `json:"campaign_id,omitempty"` // the only kind of mail that it stops, as kindOf
	Reason     string    `json:"reason"`
	Since      time.Time `json:"since"`
	By         string    `json:"by,omitempty"` // who stopped it by hand
}

// Stops are those of a customer, the oldest first.
func (r *Recipients) Stops(ctx context.Context, storeID string, customer int64) (_ []Stop, err error) {
	defer pg.Wrap(&err, "mail.Stops(%q, %d)", storeID, customer)
	return pg.Structs[Stop](ctx, r.Pool, `
		SELECT s.store_id = '', s.campaign_id, s.reason, s.since, coalesce(s.by, '')
		FROM customers c
		JOIN mail_stops s ON s.hash = `+store.AddressHash("c.email")+` AND s.store_id IN ('', c.store_id)
		WHERE c.store_id = $1
		  AND c.id = $2
		ORDER BY s.since, s.reason, s.store_id`, storeID, customer)
}

// StopFilter says which stops of a store to list.
type StopFilter struct {
	Store    string
	Customer int64 // 0: of all
	Cursor   string
	Limit    int
}

// Stopped is a stop in a list. Its JSON is the API's.
type Stopped struct {
	Customer string `json:"customer,omitempty"` // id; empty: they are no customer of the store now, so no name is known
	Email    string `json:"email,omitempty"`
	Stop
}

// AllStops lists those who a store does not mail, the newest first, and returns a cursor of the next page. It
// hashes the addresses of all the store's customers: no other way leads from a stop to a name.
func (r *Recipients) AllStops(ctx context.Context, f StopFilter) (page []Stopped, next string, err error) {
	defer pg.Wrap(&err, "mail.AllStops(%q)", f.Store)
	if !pg.Storable(f.Store + f.Cursor) {
		return []Stopped{}, "", nil
	}
	rows := pg.Query(ctx, r.Pool, `
		SELECT *
		FROM (
			SELECT coalesce(c.id::text, ''), coalesce(c.email, ''), s.store_id = '', s.campaign_id, s.reason, s.since,
				coalesce(s.by, ''), concat_ws(' ', to_char(s.since AT TIME ZONE 'UTC', 'YYYYMMDDHH24MISSUS'),
					encode(s.hash, 'hex'), s.reason, s.store_id = '', s.campaign_id) COLLATE "C" AS key
			FROM mail_stops s
			LEFT JOIN (
				SELECT id, email, `+store.AddressHash("email")+` AS hash
				FROM customers
				WHERE store_id = $1
				  AND id = coalesce(nullif($2, 0), id)
			) c ON c.hash = s.hash
			WHERE s.store_id IN ('', $1)
			  AND (c.id IS NOT NULL OR s.store_id = $1 AND $2 = 0)
		) all_of_them
		WHERE $3 = '' OR key < $3
		ORDER BY key DESC
		LIMIT $4`, f.Store, f.Customer, f.Cursor, f.Limit+1)
	var keys []string
	page, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (s Stopped, err error) {
		var key string
		err = row.Scan(&s.Customer, &s.Email, &s.Everywhere, &s.CampaignID, &s.Reason, &s.Since, &s.By, &key)
		keys = append(keys, key)
		return s, err
	})
	if len(page) > f.Limit {
		page, next = page[:f.Limit], keys[f.Limit-1]
	}
	return page, next, err
}

// StopByHand ends all mail of a store to a customer. Done again it changes nothing.
func (r *Recipients) StopByHand(ctx context.Context, storeID string, customer int64, by string, now time.Time) (
	err error) {
	defer pg.Wrap(&err, "mail.StopByHand(%q, %d)", storeID, customer)
	if !pg.Storable(storeID) {
		return pg.ErrNotFound
	}
	tag, err := r.Pool.Exec(ctx, `
		INSERT INTO mail_stops AS s (store_id, hash, reason, since, by)
		SELECT c.store_id, `+store.AddressHash("c.email")+`, 'manual', $3, $4
		FROM customers c
		WHERE c.store_id = $1
		  AND c.id = $2
		ON CONFLICT (hash, store_id, campaign_id, reason) DO UPDATE SET since = s.since`, storeID, customer, now, by)
	if err == nil && tag.RowsAffected() == 0 {
		err = pg.ErrNotFound
	}
	return err
}

// LiftByHand lifts what StopByHand did. What the customer or a provider said stays.
func (r *Recipients) LiftByHand(ctx context.Context, storeID string, customer int64) (err error) {
	defer pg.Wrap(&err, "mail.LiftByHand(%q, %d)", storeID, customer)
	if !pg.Storable(storeID) {
		return pg.ErrNotFound
	}
	tag, err := r.Pool.Exec(ctx, `
		DELETE FROM mail_stops s
		USING customers c
		WHERE c.store_id = $1
		  AND c.id = $2
		  AND s.hash = `+store.AddressHash("c.email")+`
		  AND s.store_id = c.store_id
		  AND s.reason = 'manual'`, storeID, customer)
	if err == nil && tag.RowsAffected() == 0 {
		err = pg.ErrNotFound
	}
	return err
}
