package campaigns

import (
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/pg"
)

// TestMail sends a mail of a campaign to one of the store's own people, as it reads now. variant is a or b. It makes no
// run, and counts for nothing. Another address is a *pg.BadParam.
func (s *Campaigns) TestMail(ctx context.Context, storeID, id, step, variant, to string, now time.Time) (err error) {
	defer pg.Wrap(&err, "campaigns.TestMail(%q, %q)", storeID, id)
	return s.InTx(ctx, func(tx pgx.Tx) error {
		c, err := one(ctx, tx, storeID, id, "FOR SHARE")
		if err != nil {
			return err
		}
		text, err := c.text(step, variant)
		if err != nil {
			return err
		}
		var args pg.Arguments
		people := ownPeople(ask(&c, now, "UTC", &args))
		var own bool
		if !pg.Storable(to) {
			return pg.Refuse("to", "is not an address")
		}
		if err := tx.QueryRow(ctx, `SELECT `+args.Add(to)+` = ANY (`+people+`)`, args...).Scan(&own); err != nil {
			return err
		}
		if !own {
			return pg.Refuse("to", "%q is not one of the people of the store: tests go to them only", to)
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO mails (store_id, email, class, campaign_id, step, occurrence, variant, version, due_at, not_after,
				priority)
			VALUES ($1, $2, 'test', $3, $4, $5, $6, $7, $8, $8::timestamptz + interval '1 hour', 0)`,
			storeID, to, c.ID, step, "test:"+strings.ToLower(rand.Text()[:10]), variant, text.Version, now)
		return err
	})
}

// text is what a step says in a variant.
func (c *Campaign) text(step, variant string) (*Text, error) {
	st := c.step(step)
	switch {
	case st == nil || st.Do != DoMail:
		return nil, pg.Refuse("step", "%q is no mail of the campaign", step)
	case variant == "b" && st.B != nil:
		return st.B, nil
	case variant != "a":
		return nil, pg.Refuse("variant", "%q is not a text of the step", variant)
	}
	return st.Mail, nil
}
