package mail

import (
	"context"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// Kept is a mail that was kept instead of sent.
type Kept struct {
	ID         int64     `json:"id"`
	Email      string    `json:"email"`
	Class      string    `json:"class"`
	CampaignID string    `json:"campaign_id"`
	Step       string    `json:"step"`
	At         time.Time `json:"at"`
	Raw        []byte    `json:"-"` // as it would have gone out
}

// selectKept goes from the mailbox, which is mostly empty, to the mails: a store may have sent millions.
const selectKept = `
	SELECT
		m.id,
		m.email,
		m.class,
		m.campaign_id,
		m.step,
		b.at,
		b.raw
	FROM mailbox b
	CROSS JOIN LATERAL (SELECT * FROM mails WHERE id = b.mail_id OFFSET 0) m
	WHERE m.store_id = $1 `

// Mailbox returns the mails of a store that were kept instead of sent, the newest first, before the one with an id; 0:
// from the first on.
func (m *Mails) Mailbox(ctx context.Context, storeID string, before int64, limit int) (all []Kept, err error) {
	defer pg.Wrap(&err, "mail.Mailbox(%q)", storeID)
	if !pg.Storable(storeID) {
		return nil, nil
	}
	if before == 0 {
		before = math.MaxInt64
	}
	return pg.Structs[Kept](ctx, m.Pool, selectKept+`
		  AND m.status = 'sent'
		  AND b.mail_id < $2
		ORDER BY b.mail_id DESC
		LIMIT $3`, storeID, before, limit)
}

// Keeps tells whether a store has mails that were kept instead of sent.
func (m *Mails) Keeps(ctx context.Context, storeID string) (keeps bool, err error) {
	all, err := m.Mailbox(ctx, storeID, 0, 1)
	return len(all) > 0, err
}

// Kept returns one of them; ErrNotFound also for another store's.
func (m *Mails) Kept(ctx context.Context, storeID string, id int64) (k Kept, err error) {
	defer pg.Wrap(&err, "mail.Kept(%q, %d)", storeID, id)
	if !pg.Storable(storeID) {
		return k, pg.ErrNotFound
	}
	return pg.One(ctx, m.Pool, pgx.RowToStructByPos[Kept], selectKept+`AND b.mail_id = $2`, storeID, id)
}
