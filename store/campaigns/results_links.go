package campaigns

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rollcall/mail"
	"rollcall/store/pg"
)

// mostLinks is how many links results have.
const mostLinks = 50

// links counts how often the links of a campaign's texts were followed since it was switched on. Where {link} leads is
// one of a few pages of the store.
func (c *Campaign) links(ctx context.Context, tx pgx.Tx) ([]LinkCount, error) {
	urls, leads := []string{}, false
	for _, st := range c.Steps {
		for _, t := range []*Text{st.Mail, st.B} {
			if t != nil {
				urls, leads = append(urls, mail.Links(t.Body)...), leads || mail.NeedsLink(t.Body)
			}
		}
	}
	rows := pg.Query(ctx, tx, `
		SELECT l.url, sum(k.people)::bigint, sum(k.machines)::bigint
		FROM mail_links l
		JOIN mail_clicks k ON k.link_id = l.id AND k.day >= ($4::timestamptz AT TIME ZONE 'UTC')::date
		WHERE l.store_id = $1
		  AND (l.url = ANY($2) OR $3 AND EXISTS (
			SELECT
			FROM mail_settings s
			WHERE s.store_id = $1
			  AND (l.url = s.home_url
				OR s.course_url <> ''
				AND starts_with(l.url, split_part(s.course_url, '{course}', 1))
				AND l.url LIKE '%' || split_part(s.course_url, '{course}', 2))
		  ))
		GROUP BY 1
		ORDER BY 2 DESC, 3 DESC, 1
		LIMIT $5`, c.store, urls, leads, c.SwitchedAt, mostLinks)
	return pgx.CollectRows(rows, pgx.RowToStructByPos[LinkCount])
}
