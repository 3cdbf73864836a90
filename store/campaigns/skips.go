package campaigns

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"rollcall/store/mail"
	"rollcall/store/pg"
)

// Skips says why campaigns do not want a mail m to be sent any more: the goal is reached, its reason or its step is
// gone, or the campaign is in rehearsal, paused or ended. And it says of which class it is, and which text it has: that
// of the campaign as it is now. The claim of mails asks it as of the first of args, so a mail that waited is asked
// again. It is a mail.Skips.
func (s *Campaigns) Skips(ctx context.Context, tx pgx.Tx, storeID string, args *pg.Arguments) (
	said mail.Said, err error) {
	defer pg.Wrap(&err, "campaigns.Skips(%q)", storeID)
	// One of one time that has ended has a goal still for what a person has sent again.
	rows := pg.Query(ctx, tx, selectCampaigns+`
		WHERE store_id = $1
		  AND (state = 'on' OR state = 'ended' AND kind = 'once' AND goal IS NOT NULL)
		ORDER BY id`, storeID)
	all, err := pgx.CollectRows(rows, scan)
	if err != nil {
		return said, err
	}
	on := slices.DeleteFunc(slices.Clone(all), func(c Campaign) bool { return c.State != On })
	z, err := zone(ctx, tx, storeID)
	if err != nil {
		return said, err
	}
	now, _ := (*args)[0].(time.Time)
	verdicts := ""
	for i := range all {
		a := ask(&all[i], now, z, args)
		verdicts += ` WHEN ` + a.fill("@campaign", nil) + ` THEN ` + a.ofMail()
	}
	if verdicts != "" {
		verdicts = ` CASE m.campaign_id` + verdicts + ` END`
	} else {
		verdicts = ` NULL`
	}
	alike, err := kinOf(ctx, tx, storeID, "")
	if err != nil {
		return said, err
	}
	k := alike.in(args)
	if k.all != "" {
		said.Apart = `coalesce(` + k.shared() + `, m.id::text)`
	}
	said.Skip = `
		SELECT CASE WHEN m.class <> 'test' THEN coalesce(
			CASE coalesce((SELECT ` + resends + ` FROM campaigns k WHERE k.id = m.campaign_id), 'ended')
				WHEN 'on' THEN NULL
				WHEN 'rehearsal' THEN 'rehearsal'
				WHEN 'paused' THEN 'paused'
				ELSE 'ended'
			END,
			(
				SELECT CASE WHEN r.ended_for = 'merged' THEN 'merged' ELSE ` + verdicts + ` END
				FROM runs r
				LEFT JOIN customers c ON c.store_id = r.store_id AND c.email = r.email
				WHERE r.campaign_id = m.campaign_id
				  AND r.email = m.email
				  AND r.occurrence = m.occurrence
				ORDER BY r.twin <> 0
				LIMIT 1
			),
			` + k.skip() + `) END`
	said.Class, said.Version = asTheyAre(on, args)
	said.Behind, err = behind(ctx, tx, on, k, said.Class, args)
	return said, err
}

// behindFor is how long a mail waits for a run that is to go before it: a step that fails holds no other campaign up.
const behindFor = time.Hour

// behind is SQL for whether a run of a mail's customer whose step is due, and has not had its turn yet, goes before
// the mail: of marketing, of which there is only so much, or of another campaign of its recipe. Which of several
// campaigns mails a customer does so not depend on whose steps workers come to first.
func behind(ctx context.Context, tx pgx.Tx, on []Campaign, k kinSQL, class string, args *pg.Arguments) (string, error) {
	now, _ := (*args)[0].(time.Time)
	ids, marketing, priorities := []string{}, []bool{}, []int{}
	for _, c := range on {
		if c.Class == Marketing || k.has(c.Recipe) {
			ids, priorities = append(ids, c.ID), append(priorities, c.Priority)
			marketing = append(marketing, c.Class == Marketing)
		}
	}
	due := ` r.ended_at IS NULL AND r.step <> '' AND r.arm <> 'held' AND r.next_at BETWEEN `
	var any bool
	err := tx.QueryRow(ctx, `
		SELECT EXISTS (
			SELECT
			FROM unnest($3::text[]) k(id)
			CROSS JOIN LATERAL (
				SELECT FROM runs r WHERE r.campaign_id = k.id AND`+due+`$1 AND $2 ORDER BY r.next_at LIMIT 1
			) r
		)`, now.Add(-behindFor), now, ids).Scan(&any)
	if err != nil || !any {
		return "false", err
	}
	// Runs are looked up by the customer: of other campaigns priority is NULL, which is before nothing.
	nth := `[array_position(` + args.Add(ids) + `::text[], r.campaign_id)]`
	return `((` + class + ` = 'marketing' OR ` + k.shared() + ` IS NOT NULL) AND EXISTS (
				SELECT
				FROM runs r
				WHERE r.store_id = m.store_id
				  AND r.email = m.email
				  AND` + due + args.Add(now.Add(-behindFor)) + ` AND $1
				  AND ((` + args.Add(priorities) + `::integer[])` + nth + `, r.next_at, r.campaign_id, r.occurrence)
					< (m.priority, m.due_at, m.campaign_id, m.occurrence)
				  AND (` + class + ` = 'marketing' AND (` + args.Add(marketing) + `::boolean[])` + nth + `
					OR r.campaign_id <> m.campaign_id
						AND ` + k.recipe("r.campaign_id") + ` || ' ' || r.occurrence = ` + k.shared() + `)
			))`, nil
}

// resends is SQL for the state of campaign k of a mail m. One of one time that ended as its work was done still sends
// what a person has sent again.
const resends = `CASE
				WHEN m.reason = 'asked' AND k.kind = 'once' AND k.state = 'ended' AND NOT EXISTS (
					SELECT
					FROM runs r
					WHERE r.campaign_id = m.campaign_id
					  AND r.email = m.email
					  AND r.occurrence = m.occurrence
					  AND r.ended_for = 'ended'
				) THEN 'on'
				ELSE k.state
			END`

// asTheyAre is SQL for the class and the version of the text that a mail m has as campaigns are now. Mails of others,
// and tests, stay as they are.
func asTheyAre(all []Campaign, args *pg.Arguments) (class, version string) {
	type now struct {
		Class string                    `json:"class"`
		Steps map[string]map[string]int `json:"steps"` // versions by step and variant
	}
	campaigns := map[string]now{}
	for i := range all {
		steps := map[string]map[string]int{}
		for _, st := range all[i].Steps {
			if st.Do == DoMail {
				steps[st.Key] = map[string]int{"a": st.text("a").Version, "b": st.text("b").Version}
			}
		}
		campaigns[all[i].ID] = now{all[i].Class, steps}
	}
	text, _ := json.Marshal(campaigns) // it always marshals
	campaign := `CASE WHEN m.class <> 'test' THEN ` + args.Add(string(text)) + `::jsonb -> m.campaign_id END`
	return `coalesce(` + campaign + ` ->> 'class', m.class)`, `coalesce((` + campaign +
		` -> 'steps' -> m.step ->> CASE m.variant WHEN 'b' THEN 'b' ELSE 'a' END)::integer, m.version)`
}

// text is what a mail says in a variant.
func (st *Step) text(variant string) *Text {
	if variant == "b" && st.B != nil {
		return st.B
	}
	return st.Mail
}
