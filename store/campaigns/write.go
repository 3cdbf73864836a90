package campaigns

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/mail"
	"rollcall/store/pg"
)

// Create makes a draft of what c says of itself; author is admin, user:<Clerk id> or token:<id>. What is not valid is a
// *pg.BadParam.
func (s *Campaigns) Create(ctx context.Context, storeID string, c Campaign, author string) (made Campaign, err error) {
	defer pg.Wrap(&err, "campaigns.Create(%q)", storeID)
	if err := c.check(); err != nil {
		return made, err
	}
	if !pg.Storable(storeID) {
		return made, pg.ErrNotFound
	}
	c.ID, c.store, c.CreatedBy = "camp_"+strings.ToLower(rand.Text()[:10]), storeID, author
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		if err := s.room(ctx, tx, storeID); err != nil {
			return err
		}
		if err := c.checkNamed(ctx, tx, Campaign{}); err != nil {
			return err
		}
		if err := c.saveTexts(ctx, tx, nil); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			INSERT INTO campaigns (id, store_id, created_by, kind, recipe, name, class, trigger, audience, goal, steps, on_goal,
				holdout, reentry, reentry_days, not_after, within, priority)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, make_interval(secs => $16),
				make_interval(secs => $17), $18)`,
			append([]any{c.ID, storeID, author, c.Kind, c.Recipe}, c.values()...)...); err != nil {
			return err
		}
		made, err = one(ctx, tx, storeID, c.ID, "")
		return err
	})
	return made, err
}

// room refuses one campaign too many.
func (s *Campaigns) room(ctx context.Context, tx pgx.Tx, storeID string) error {
	var n int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM campaigns WHERE store_id = $1`, storeID).Scan(&n); err != nil {
		return err
	}
	if n >= maxCampaigns {
		return pg.Refuse("name", "cannot be added: the store has %d campaigns, the most allowed; delete drafts", n)
	}
	return nil
}

// values are the columns that may be changed.
func (c *Campaign) values() []any {
	var audience *string
	if rule := c.rule(); rule != "" {
		audience = &rule
	}
	return []any{c.Name, c.Class, c.Trigger, audience, c.Goal, c.Steps, c.OnGoal, c.Holdout, c.Reentry, c.ReentryDays,
		c.NotAfter.seconds(), c.Within.seconds(), c.Priority}
}

// FromRecipe is what a recipe makes of the numbers and the product that are given; what is missing is as usual.
type FromRecipe struct {
	Recipe  string         `json:"recipe"`
	Numbers map[string]int `json:"numbers"`
	Courses []string       `json:"courses"`
	Product string         `json:"product"`
}

// Make makes a draft of a recipe. Errors are as in Create.
func (s *Campaigns) Make(ctx context.Context, storeID string, from FromRecipe, author string) (c Campaign, err error) {
	defer pg.Wrap(&err, "campaigns.Make(%q, %q)", storeID, from.Recipe)
	r := RecipeNamed(from.Recipe)
	if r == nil {
		return c, pg.Refuse("recipe", "%q is not known; allowed are %s", from.Recipe, recipeNames())
	}
	tag := ""
	if r.TagName != "" {
		if tag, err = s.tags.Ensure(ctx, storeID, r.TagName, author); err != nil {
			return c, err
		}
	}
	return s.Create(ctx, storeID, r.campaign(from, tag), author)
}

func recipeNames() string {
	var all []string
	for _, r := range Recipes {
		all = append(all, r.Name)
	}
	return strings.Join(all, ", ")
}

// campaign is the recipe's campaign, with a tag for its steps.
func (r *Recipe) campaign(from FromRecipe, tag string) Campaign {
	c := r.Campaign
	c.Recipe, c.Name = r.Name, r.Label
	c.Trigger.Numbers = maps.Clone(c.Trigger.Numbers)
	maps.Copy(c.Trigger.Numbers, from.Numbers)
	c.Trigger.Courses = from.Courses
	if c.Goal != nil {
		goal := *c.Goal
		if goal.Fact == "has" {
			goal.Product = from.Product
		}
		c.Goal = &goal
	}
	tagged := func(steps []Step) (all []Step) {
		for _, st := range steps {
			if st.Do == DoTag || st.Do == DoUntag {
				st.Tag = tag
			}
			if st.Mail != nil {
				text := *st.Mail
				st.Mail = &text
			}
			all = append(all, st)
		}
		return all
	}
	c.Steps, c.OnGoal = tagged(c.Steps), tagged(c.OnGoal)
	return c
}

// Change is a change of a campaign; what is nil stays.
type Change struct {
	Name        *string         `json:"name"`
	Class       *string         `json:"class"`
	Trigger     *Trigger        `json:"trigger"`
	Audience    json.RawMessage `json:"audience"` // "null": all
	Goal        *Test           `json:"goal"`     // without a fact: none
	Steps       []Step          `json:"steps"`
	OnGoal      []Step          `json:"on_goal"`
	Holdout     *int            `json:"holdout"`
	Reentry     *string         `json:"reentry"`
	ReentryDays *int            `json:"reentry_days"`
	NotAfter    *Wait           `json:"not_after"`
	Within      *Wait           `json:"within"`
	Priority    *int            `json:"priority"`
	Version     *int            `json:"version"` // that it is a change of; nil: any
}

// Update changes a campaign. Runs go on by its new steps: what is done stays done, and a step that is gone is left out.
// Errors are as in Create and Campaign, or a *pg.Conflict if another change came first, if it has ended, or if it is on
// and could not be switched on like that.
func (s *Campaigns) Update(ctx context.Context, storeID, id string, change Change) (c Campaign, err error) {
	defer pg.Wrap(&err, "campaigns.Update(%q, %q)", storeID, id)
	err = s.InTx(ctx, func(tx pgx.Tx) error {
		old, err := one(ctx, tx, storeID, id, "FOR NO KEY UPDATE")
		if err != nil {
			return err
		}
		about := old.about()
		c = old
		if err := c.take(change); err != nil {
			return err
		}
		if err := c.mayGoOn(ctx, tx, about); err != nil {
			return err
		}
		if err := c.checkNamed(ctx, tx, old); err != nil {
			return err
		}
		if err := c.saveTexts(ctx, tx, old.Steps); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			UPDATE campaigns
			SET (name, class, trigger, audience, goal, steps, on_goal, holdout, reentry, reentry_days, not_after, within,
					priority) =
				ROW ($2, $3, $4::jsonb, $5::jsonb, $6::jsonb, $7::jsonb, $8::jsonb, $9::smallint, $10, $11::integer,
					make_interval(secs => $12), make_interval(secs => $13), $14::smallint),
				version = version + 1,
				updated_at = now()
			WHERE id = $1`, append([]any{id}, c.values()...)...); err != nil {
			return err
		}
		c, err = one(ctx, tx, storeID, id, "")
		return err
	})
	return c, err
}

// take takes a change over, and checks the result.
func (c *Campaign) take(change Change) error {
	switch {
	case change.Version != nil && *change.Version != c.Version:
		return pg.Conflicts("changed", "The campaign “%s” was changed meanwhile. Look at it again, then repeat the change.",
			c.Name)
	case c.State == Ended:
		return pg.Conflicts("wrong_status", "The campaign “%s” has ended. Make a new one.", c.Name)
	case change.Trigger != nil && change.Trigger.Question != c.Trigger.Question && c.State != Draft:
		return pg.Conflicts("wrong_status", "The campaign “%s” has asked its question already. Make a new one for another.",
			c.Name)
	}
	counted, reaches := c.counted(), c.reaches()
	set(&c.Name, change.Name)
	set(&c.Class, change.Class)
	set(&c.Trigger, change.Trigger)
	set(&c.Holdout, change.Holdout)
	set(&c.Reentry, change.Reentry)
	set(&c.ReentryDays, change.ReentryDays)
	set(&c.NotAfter, change.NotAfter)
	set(&c.Within, change.Within)
	set(&c.Priority, change.Priority)
	if change.Audience != nil {
		c.Audience = change.Audience
	}
	if change.Goal != nil {
		c.Goal = change.Goal
	}
	if change.Steps != nil {
		c.Steps = change.Steps
	}
	if change.OnGoal != nil {
		c.OnGoal = change.OnGoal
	}
	if change.Trigger != nil && c.State == Draft {
		c.Kind = ""
	}
	if err := c.check(); err != nil {
		return err
	}
	if counted && c.reaches() != reaches {
		return pg.Conflicts("wrong_status", "“%s” was switched on for a number of customers that was typed in, and not all "+
			"have entered yet. Until then it cannot be changed who enters. End it, and make a new one for others.", c.Name)
	}
	return nil
}

func set[T any](at, to *T) {
	if to != nil {
		*at = *to
	}
}

// saveTexts writes the texts of mails that differ from those of old steps, each as a new version, and checks the tags.
func (c *Campaign) saveTexts(ctx context.Context, tx pgx.Tx, old []Step) error {
	before := map[string]Text{}
	for _, st := range old {
		for _, t := range []*Text{st.Mail, st.B} {
			if t != nil {
				before[st.Key+" "+t.Subject+"\n"+t.Body] = *t
			}
		}
	}
	for _, st := range c.Steps {
		for _, t := range []*Text{st.Mail, st.B} {
			if t == nil {
				continue
			}
			if same, ok := before[st.Key+" "+t.Subject+"\n"+t.Body]; ok {
				t.Version = same.Version
				continue
			}
			var err error
			if t.Version, err = mail.SaveBody(ctx, tx, c.store, c.ID, st.Key, t.Subject, t.Body); err != nil {
				return err
			}
		}
	}
	return c.checkTags(ctx, tx)
}

// checkTags refuses tags that the store does not have, and keeps the others from being deleted meanwhile.
func (c *Campaign) checkTags(ctx context.Context, tx pgx.Tx) error {
	var ids []string
	for _, st := range slices.Concat(c.Steps, c.OnGoal) {
		if st.Tag != "" {
			ids = append(ids, st.Tag)
		}
	}
	there, err := pg.Column[string](ctx, tx,
		`SELECT id FROM tags WHERE store_id = $1 AND id = ANY($2) FOR KEY SHARE`, c.store, ids)
	for _, id := range ids {
		if err == nil && !slices.Contains(there, id) {
			return pg.Refuse("steps", "name the tag %q, which the store does not have", id)
		}
	}
	return err
}

// Delete deletes a draft, and its tests that were not sent yet. Another campaign is a *pg.Conflict: what it sent stays
// explained.
func (s *Campaigns) Delete(ctx context.Context, storeID, id string) (err error) {
	defer pg.Wrap(&err, "campaigns.Delete(%q, %q)", storeID, id)
	return s.InTx(ctx, func(tx pgx.Tx) error {
		c, err := one(ctx, tx, storeID, id, "FOR UPDATE")
		if err != nil {
			return err
		}
		if c.State != Draft {
			return pg.Conflicts("wrong_status", "The campaign “%s” is no draft. End it instead: what it sent stays explained.",
				c.Name)
		}
		_, err = tx.Exec(ctx, `
			WITH texts AS (
				DELETE FROM mail_bodies WHERE campaign_id = $1
			),
			tests AS (
				DELETE FROM mails WHERE campaign_id = $1 AND class = 'test' AND status = 'due'
			)
			DELETE FROM campaigns WHERE id = $1`, id)
		return err
	})
}

// sinceEver is before everything.
var sinceEver = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)
