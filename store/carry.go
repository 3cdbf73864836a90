package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// movedTo are the movers m: where each was, and where they are now.
const movedTo = `unnest($1::text[], $2::text[], $3::text[]) AS m(store_id, email, into_email)`

// carried are the statements that move what belongs to an address and follows from no
// fact. Each takes all away before it puts the first back, so that two who swap addresses
// keep their own. What both addresses have is kept as the earlier has it.
//
// Who changes tags locks the entries of customer_index first. A move changes the entry of
// who moves by then, and here that of who stays or is there already.
var carried = []string{
	`
	SELECT
	FROM customer_index i
	WHERE i.customer_id IN (
		SELECT c.id
		FROM ` + movedTo + `
		JOIN customers c ON c.store_id = m.store_id AND c.email IN (m.email, m.into_email)
	  )
	ORDER BY i.customer_id
	FOR NO KEY UPDATE`,
	follow("customer_notes"), follow("segment_moves"), follow("bulk_people"), follow("bulk_changes"),
	runsMoved, runsFreed, runsMerged, // before mails: a step that is being done ends first, and its mails move too
	// The aggregate takes all tags away before the first is put back, as an address may
	// both lose and get one.
	`
	WITH taken AS (
		DELETE FROM customer_tags t
		USING ` + movedTo + `
		WHERE t.store_id = m.store_id
		  AND t.email = m.email
		RETURNING t.store_id, m.into_email, t.tag_id, t.tagged_at, t.tagged_by
	)
	INSERT INTO customer_tags AS t (store_id, email, tag_id, tagged_at, tagged_by)
	SELECT store_id, into_email, tag_id, min(tagged_at), (array_agg(tagged_by ORDER BY tagged_at, tagged_by))[1]
	FROM taken
	GROUP BY store_id, into_email, tag_id
	ON CONFLICT (store_id, email, tag_id) DO UPDATE SET
		tagged_at = EXCLUDED.tagged_at,
		tagged_by = EXCLUDED.tagged_by
		WHERE (EXCLUDED.tagged_at, EXCLUDED.tagged_by) < (t.tagged_at, t.tagged_by)`,
	`
	WITH taken AS (
		DELETE FROM watched_members w
		USING ` + movedTo + `
		WHERE w.store_id = m.store_id
		  AND w.email = m.email
		RETURNING w.segment_id, w.store_id, m.into_email, w.entered_at, w.first
	)
	INSERT INTO watched_members AS w (segment_id, store_id, email, entered_at, first)
	SELECT segment_id, store_id, into_email, min(entered_at), bool_or(first)
	FROM taken
	GROUP BY segment_id, store_id, into_email
	ON CONFLICT (segment_id, email) DO UPDATE SET
		entered_at = LEAST(EXCLUDED.entered_at, w.entered_at),
		first = EXCLUDED.first OR w.first`,
	// A mail that moves gives up its key, and gets it back unless one at the new address has
	// it: then it is that one's twin, and not sent.
	`
	UPDATE mails x
	SET
		email = m.into_email,
		twin = x.id
	FROM ` + movedTo + `
	WHERE x.store_id = m.store_id
	  AND x.email = m.email`,
	`
	UPDATE mails x
	SET twin = 0
	WHERE x.id IN (
		SELECT DISTINCT ON (y.campaign_id, y.step, y.email, y.occurrence) y.id
		FROM (SELECT DISTINCT store_id, into_email FROM ` + movedTo + `) t
		JOIN mails y ON y.store_id = t.store_id AND y.email = t.into_email
		ORDER BY y.campaign_id, y.step, y.email, y.occurrence, y.twin <> 0, y.status = 'due', y.id
	  )
	  AND x.twin <> 0`,
	// Who is not mailed at one address is not mailed at the next.
	`
	INSERT INTO mail_stops AS s (store_id, hash, campaign_id, reason, since, mail_id, by)
	SELECT DISTINCT ON (o.store_id, t.hash, o.campaign_id, o.reason)
		o.store_id, t.hash, o.campaign_id, o.reason, o.since, o.mail_id, o.by
	FROM (
		SELECT m.store_id, ` + AddressHash("m.email") + ` AS of, ` + AddressHash("m.into_email") + ` AS hash
		FROM ` + movedTo + `
		WHERE m.into_email NOT LIKE '%` + anonymousDomain + `'
	) t
	JOIN mail_stops o ON o.hash = t.of AND o.store_id IN ('', t.store_id)
	ORDER BY o.store_id, t.hash, o.campaign_id, o.reason, o.since
	ON CONFLICT (hash, store_id, campaign_id, reason) DO UPDATE SET since = EXCLUDED.since WHERE EXCLUDED.since < s.since`,
}

// AddressHash is SQL for what is kept of an address in erased and mail_stops: an HMAC with the key
// of erasures.
func AddressHash(address string) string {
	return `sha256((SELECT erasure_pad('5c')) || sha256((SELECT erasure_pad('36')) ||
		convert_to('` + anAddress + `:' || ` + address + `, 'UTF8')))`
}

// follow is the statement for a table in which an address may have any rows.
func follow(table string) string {
	return `
	UPDATE ` + table + ` x
	SET email = m.into_email
	FROM ` + movedTo + `
	WHERE x.store_id = m.store_id
	  AND x.email = m.email`
}

// carry moves the movers' notes, tags, segments, bulk actions, runs and mail to their new addresses. It runs after
// the customers' rows are written; see AddNote.
func (w *work) carry(ctx context.Context, movers []mover) error {
	if len(movers) == 0 {
		return nil
	}
	stores, from, to := make([]string, len(movers)), make([]string, len(movers)), make([]string, len(movers))
	for i, m := range movers {
		stores[i], from[i], to[i] = m.store, m.email, m.to.email
	}
	var batch pgx.Batch
	for _, sql := range carried {
		batch.Queue(sql, stores, from, to)
	}
	return w.tx.SendBatch(ctx, &batch).Close()
}
