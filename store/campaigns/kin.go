package campaigns

import (
	"context"
	"slices"

	"rollcall/store/pg"
)

// kin are the campaigns of a store that share a recipe with another one: for one occurrence one of them mails a
// customer. Who enters, previews and the claim of mails ask the same SQL for that.
type kin struct{ ids, recipes []string }

// kinOf are those that were switched on once, and one that may be a draft still.
func kinOf(ctx context.Context, db pg.Querier, storeID, draft string) (k kin, err error) {
	err = db.QueryRow(ctx, `
		SELECT array_agg(id), array_agg(recipe)
		FROM (
			SELECT id, recipe, count(*) OVER (PARTITION BY recipe) AS alike
			FROM campaigns
			WHERE store_id = $1
			  AND recipe <> ''
			  AND (state <> 'draft' OR id = $2)
		) c
		WHERE alike > 1`, storeID, draft).Scan(&k.ids, &k.recipes)
	return k, err
}

// has tells whether several campaigns are of a recipe.
func (k kin) has(recipe string) bool { return slices.Contains(k.recipes, recipe) }

// in writes SQL about them.
func (k kin) in(args *pg.Arguments) kinSQL {
	if len(k.ids) == 0 {
		return kinSQL{}
	}
	return kinSQL{k, args.Add(k.ids) + "::text[]", args.Add(k.recipes) + "::text[]"}
}

type kinSQL struct {
	kin
	all, theirs string // empty: there are none
}

// recipe is SQL for the recipe that a campaign shares with another, or NULL.
func (k kinSQL) recipe(campaign string) string {
	if k.all == "" {
		return "NULL::text"
	}
	return `(` + k.theirs + `)[array_position(` + k.all + `, ` + campaign + `)]`
}

// mailed is SQL for whether another campaign of the recipe mailed a customer for an occurrence: who switches a recipe
// off and on again has another campaign. Mails are found by the customer, so their status is hidden from Postgres.
func (k kinSQL) mailed(storeID, email, campaign, occurrence string) string {
	if k.all == "" {
		return "false"
	}
	return `EXISTS (
		SELECT
		FROM mails o
		WHERE o.store_id = ` + storeID + `
		  AND o.email = ` + email + `
		  AND o.occurrence = ` + occurrence + `
		  AND o.campaign_id <> ` + campaign + `
		  AND o.class <> 'test'
		  AND (o.status || '' IN ('sending', 'sent', 'unknown')
			OR o.status || '' = 'due' AND o.reason = 'again') -- the provider may have taken it
		  AND ` + k.recipe("o.campaign_id") + ` = ` + k.recipe(campaign) + `
	)`
}

// skip is SQL for why a mail m is not sent as another campaign of the recipe mailed them, or NULL.
func (k kinSQL) skip() string {
	if k.all == "" {
		return "NULL"
	}
	return `CASE WHEN m.campaign_id = ANY(` + k.all + `) AND ` +
		k.mailed("m.store_id", "m.email", "m.campaign_id", "m.occurrence") + ` THEN 'twice' END`
}

// shared is SQL for what mails m to a customer have in common of which those of one campaign go; NULL: nothing.
func (k kinSQL) shared() string {
	if k.all == "" {
		return "NULL::text"
	}
	return `(CASE WHEN m.class <> 'test' THEN ` + k.recipe("m.campaign_id") + ` || ' ' || m.occurrence END) COLLATE "C"`
}
