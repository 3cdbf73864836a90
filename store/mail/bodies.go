package mail

import (
	"context"

	"github.com/jackc/pgx/v5"

	"rollcall/mail"
	"rollcall/store/pg"
)

// SaveBody keeps what a step of a campaign says, and returns the version of it: the last one if it
// says the same. A text that is not valid is a *pg.BadParam.
func SaveBody(ctx context.Context, tx pgx.Tx, storeID, campaign, step, subject, markdown string) (
	version int, err error) {
	defer pg.Wrap(&err, "mail.SaveBody(%q, %q)", campaign, step)
	if err := mail.CheckBody(subject, markdown); err != nil {
		return 0, pg.Refuse("body", "%v", err)
	}
	links := mail.Links(markdown)
	err = tx.QueryRow(ctx, `
		WITH last AS (
			SELECT version, subject, markdown
			FROM mail_bodies
			WHERE campaign_id = $2
			  AND step = $3
			ORDER BY version DESC
			LIMIT 1
		),
		added AS (
			INSERT INTO mail_bodies (store_id, campaign_id, step, version, subject, markdown)
			SELECT $1, $2, $3, coalesce((SELECT version FROM last), 0) + 1, $4, $5
			WHERE NOT EXISTS (SELECT FROM last WHERE (subject, markdown) = ($4, $5))
			RETURNING version
		),
		linked AS (
			INSERT INTO mail_links (store_id, url)
			SELECT $1, url FROM unnest($6::text[]) url
			ON CONFLICT DO NOTHING
		)
		SELECT version FROM added
		UNION ALL
		SELECT version FROM last
		ORDER BY version DESC
		LIMIT 1`, storeID, campaign, step, subject, markdown, links).Scan(&version)
	return version, err
}

// Body is what a mail says.
func (m *Mails) Body(ctx context.Context, campaign, step string, version int) (subject, markdown string, err error) {
	defer pg.Wrap(&err, "mail.Body(%q, %q, %d)", campaign, step, version)
	err = m.Pool.QueryRow(ctx, `
		SELECT subject, markdown
		FROM mail_bodies
		WHERE campaign_id = $1
		  AND step = $2
		  AND version = $3`, campaign, step, version).Scan(&subject, &markdown)
	return subject, markdown, pg.NotFound(err)
}

// LinkID is the id of a page of the store to which mails lead. It is kept if it is not yet: redirects go to no others.
func (m *Mails) LinkID(ctx context.Context, storeID, url string) (id int64, err error) {
	defer pg.Wrap(&err, "mail.LinkID(%q)", storeID)
	err = m.Pool.QueryRow(ctx, `
		WITH added AS (
			INSERT INTO mail_links (store_id, url)
			SELECT $1, $2
			WHERE NOT EXISTS (SELECT FROM mail_links WHERE store_id = $1 AND url = $2)
			ON CONFLICT (store_id, url) DO UPDATE SET url = EXCLUDED.url
			RETURNING id
		)
		SELECT id FROM mail_links WHERE store_id = $1 AND url = $2
		UNION ALL
		SELECT id FROM added`, storeID, url).Scan(&id)
	return id, err
}

// LinkIDs are the ids of the links of a store by their addresses.
func (m *Mails) LinkIDs(ctx context.Context, storeID string, links []string) (ids map[string]int64, err error) {
	defer pg.Wrap(&err, "mail.LinkIDs(%q)", storeID)
	rows := pg.Query(ctx, m.Pool, `SELECT url, id FROM mail_links WHERE store_id = $1 AND url = ANY($2)`, storeID, links)
	ids = map[string]int64{}
	var url string
	var id int64
	err = pg.Each(rows, []any{&url, &id}, func() { ids[url] = id })
	return ids, err
}
