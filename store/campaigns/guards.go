package campaigns

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"rollcall/mail"
	"rollcall/store/customers"
	storemail "rollcall/store/mail"
	"rollcall/store/pg"
)

// alone refuses a campaign that is to run if another of its recipe runs for one of its courses, the same product and
// the same audience: only one of them would mail their customers. Of two that are switched at once the second sees the
// first.
func alone(ctx context.Context, tx pgx.Tx, c *Campaign) error {
	if c.Recipe == "" {
		return nil
	}
	if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('recipes of ' || $1, 0))`,
		c.store); err != nil {
		return err
	}
	rows := pg.Query(ctx, tx, selectCampaigns+`
		WHERE store_id = $1
		  AND recipe = $2
		  AND id <> $3
		  AND state IN ('rehearsal', 'on')
		ORDER BY created_at, id`, c.store, c.Recipe, c.ID)
	others, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return err
	}
	for _, o := range others {
		if o.product() == c.product() && o.onlyTo() == c.onlyTo() && o.sharesCourse(c) {
			return pg.Conflicts("already_running", "The campaign “%s” (%s) of the same recipe is %s already, for the same "+
				"customers. End that one first, or choose other courses or customers for one of them.", o.Name, o.ID,
				StateText(o.State))
		}
	}
	return nil
}

// mayGoOn refuses a change of a campaign that runs with which it could not be switched on; about is as it was before.
func (c *Campaign) mayGoOn(ctx context.Context, tx pgx.Tx, about string) error {
	if (c.State == On || c.State == Rehearsal) && c.about() != about {
		if err := alone(ctx, tx, c); err != nil {
			return err
		}
	}
	if c.State == On {
		return ready(ctx, tx, c)
	}
	return nil
}

// about names the courses, the product and the customers that the campaign is for.
func (c *Campaign) about() string {
	return asText(slices.Sorted(slices.Values(c.Trigger.Courses)), c.product(), c.onlyTo())
}

// product names those that the campaign asks about.
func (c *Campaign) product() string {
	if c.Goal != nil {
		return c.Trigger.Product + c.Goal.Product
	}
	return c.Trigger.Product
}

// sharesCourse tells whether both campaigns are for one course; of none is for all.
func (c *Campaign) sharesCourse(o *Campaign) bool {
	mine, theirs := c.Trigger.Courses, o.Trigger.Courses
	return len(mine) == 0 || len(theirs) == 0 ||
		slices.ContainsFunc(mine, func(id string) bool { return slices.Contains(theirs, id) })
}

// onlyTo is the rule of the audience, the same text for rules that say the same.
func (c *Campaign) onlyTo() string {
	r, err := customers.ParseRule(c.rule())
	if err != nil { // there is none
		return c.rule()
	}
	return r.String()
}

// counted tells whether the number of those who enter was typed in, and some of them may not have entered yet.
func (c *Campaign) counted() bool {
	return (c.State == On || c.State == Paused) && c.EnteredAt == nil &&
		(c.Kind == Once || c.StartsFrom.Before(*c.SwitchedAt))
}

// more is how many customers more than were typed in may enter: meanwhile some come who match.
func more(confirmed int) int { return max(10, confirmed/10) }

// tooMany tells whether clearly more would enter than the number that was typed in, as the segment that the campaign is
// for was changed. Then it is paused, until someone types in that number.
func (s *Campaigns) tooMany(ctx context.Context, c *Campaign) (many bool, err error) {
	if !c.counted() || c.Confirmed == nil {
		return false, nil
	}
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		var in int // if the look before was cut off
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM runs WHERE campaign_id = $1`, c.ID).Scan(&in); err != nil {
			return err
		}
		n, err := s.reached(ctx, tx, *c, *c.StartsFrom, *c.SwitchedAt)
		if many = in+n > *c.Confirmed+more(*c.Confirmed); err != nil || !many {
			return err
		}
		_, err = tx.Exec(ctx, `
			UPDATE campaigns
			SET
				state = 'paused',
				unconfirmed = true
			WHERE id = $1
			  AND state = 'on'
			  AND version = $2
			  AND switched_at = $3`, c.ID, c.Version, c.SwitchedAt)
		return err
	})
	return many, err
}

// reaches is what decides how many enter.
func (c *Campaign) reaches() string {
	return asText(c.Trigger, c.onlyTo(), c.Goal, c.Reentry, c.ReentryDays)
}

func asText(all ...any) string {
	text, _ := json.Marshal(all) // it always marshals
	return string(text)
}

// Lacks says which text of a campaign leads nowhere, and what to do; empty: none does.
func (s *Campaigns) Lacks(ctx context.Context, storeID string, c Campaign) (lacks string, err error) {
	defer pg.Wrap(&err, "campaigns.Lacks(%q)", storeID)
	c.store = storeID
	return c.leadsNowhere(ctx, s.Pool)
}

// leadsNowhere is Lacks.
func (c *Campaign) leadsNowhere(ctx context.Context, db pg.Querier) (string, error) {
	s, err := storemail.SettingsIn(ctx, db, c.store)
	if nth := c.nowhere(s); err == nil && nth >= 0 {
		return fmt.Sprintf("Step %d “%s” uses {link}, and the store has not said where links lead. Write that into its mail "+
			"settings, or take {link} out of the text.", nth+1, c.Steps[nth].Mail.Subject), nil
	}
	return "", err
}

// nowhere is the first step whose text has a {link} that leads nowhere with some settings; -1: there is none.
func (c *Campaign) nowhere(s storemail.Settings) int {
	q := QuestionNamed(c.Trigger.Question)
	if q == nil || q.About == anInvoice || q.About == aCheckout || // those have links of Stripe
		s.HomeURL != "" || q.About == aCourse && s.CourseURL != "" {
		return -1
	}
	return slices.IndexFunc(c.Steps, func(st Step) bool {
		return slices.ContainsFunc([]*Text{st.Mail, st.B}, func(t *Text) bool {
			return t != nil && (mail.NeedsLink(t.Subject) || mail.NeedsLink(t.Body))
		})
	})
}

// SaveSettings is the Save of mails, and refuses to take away where links lead while a campaign that is on needs that.
func (s *Campaigns) SaveSettings(ctx context.Context, storeID string, to storemail.Settings) (err error) {
	defer pg.Wrap(&err, "campaigns.SaveSettings(%q)", storeID)
	return storemail.New(s.Store, s.Skips).Save(ctx, storeID, to, func(tx pgx.Tx) error {
		return leadOn(ctx, tx, storeID, to)
	})
}

// leadOn refuses settings with which the {link} of a campaign that is on would lead nowhere, as it does not now.
func leadOn(ctx context.Context, tx pgx.Tx, storeID string, to storemail.Settings) error {
	old, err := storemail.SettingsIn(ctx, tx, storeID)
	if err != nil {
		return err
	}
	on, err := pgx.CollectRows(pg.Query(ctx, tx, selectCampaigns+`
		WHERE store_id = $1
		  AND state = 'on'
		ORDER BY name, id`, storeID), scan)
	if err != nil {
		return err
	}
	var names []string
	for i := range on {
		if on[i].nowhere(to) >= 0 && on[i].nowhere(old) < 0 {
			names = append(names, "“"+on[i].Name+"”")
		}
	}
	if len(names) > 0 {
		return pg.Refuse("home_url", "is where {link} leads in mails of %s, which is on: pause or end it first, or take "+
			"{link} out of its texts", strings.Join(names, ", "))
	}
	return nil
}

// ready refuses a campaign whose mails could not be sent, and says what to do. The settings that it asks for stay until
// the transaction ends.
func ready(ctx context.Context, tx pgx.Tx, c *Campaign) error {
	if err := storemail.LockSettings(ctx, tx, c.store); err != nil {
		return err
	}
	if lacks, err := c.leadsNowhere(ctx, tx); err != nil || lacks != "" {
		return cmp.Or(err, pg.Conflicts("not_ready", "%s", lacks))
	}
	if c.Class != Marketing || !slices.ContainsFunc(c.Steps, func(st Step) bool { return st.Do == DoMail }) {
		return nil
	}
	var there bool
	err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM mail_settings WHERE store_id = $1 AND postal_address <> '')`,
		c.store).Scan(&there)
	if err == nil && !there {
		return pg.Conflicts("not_ready",
			"Marketing mail must name a postal address. Write it into the mail settings of the store, then repeat this.")
	}
	return err
}
