package store

// The runs of campaigns move with their customers. Of several in which a customer may be only once, which a merge
// brings together, one goes on, and it counts all that any of them did as done. The others end. It is the one that got
// furthest; of those that got as far, one that was not left out, as its customer was mailed at one address at least;
// and of those the one that waits longest, so that the next mail does not come too soon after the last of any of them.
const (
	// runsMoved moves the movers' runs. They give up their keys, and so do those that are there.
	runsMoved = `
	UPDATE runs x
	SET
		email = m.into_email,
		twin = x.id
	FROM ` + movedTo + `
	WHERE x.store_id = m.store_id
	  AND x.email = m.email`

	runsFreed = `
	UPDATE runs x
	SET twin = x.id
	FROM ` + movedTo + `
	WHERE x.store_id = m.store_id
	  AND x.email = m.into_email
	  AND x.twin = 0`

	// runsMerged gives each key to one run again. One that ended so before does not come back. Of those that a customer
	// may not be in at once, as their campaign lets no one in again, or not so soon, one goes on as well.
	runsMerged = `
	WITH there AS (
		SELECT
			y.*,
			k.reentry,
			k.reentry_days,
			row_number() OVER (
				PARTITION BY y.campaign_id, y.email
				ORDER BY (SELECT count(*) FROM jsonb_object_keys(y.done)) DESC, y.ended_at IS NOT NULL, y.arm = 'held',
					y.next_at DESC, y.became_due_at, y.occurrence, y.arm, y.id
			) AS nth
		FROM (SELECT DISTINCT store_id, into_email FROM ` + movedTo + `) t
		JOIN runs y ON y.store_id = t.store_id AND y.email = t.into_email
		LEFT JOIN campaigns k ON k.id = y.campaign_id
		WHERE y.ended_for IS DISTINCT FROM 'merged'
	),
	placed AS (
		SELECT y.id, y.done, f.winner, coalesce(f.lost, false) AS lost
		FROM there y
		CROSS JOIN LATERAL (
			SELECT
				(array_agg(o.id ORDER BY o.nth))[1] AS winner,
				bool_or(o.occurrence = y.occurrence OR y.ended_at IS NULL) AS lost
			FROM there o
			WHERE o.campaign_id = y.campaign_id
			  AND o.email = y.email
			  AND o.nth < y.nth
			  AND (o.occurrence = y.occurrence
				OR y.reentry = 'never'
				OR y.reentry = 'after'
					AND abs(extract(epoch FROM o.became_due_at - y.became_due_at)) < 86400 * y.reentry_days)
		) f
	)
	UPDATE runs x
	SET
		twin = CASE WHEN p.lost THEN x.id ELSE 0 END,
		ended_at = CASE WHEN p.lost THEN coalesce(x.ended_at, now()) ELSE x.ended_at END,
		ended_for = CASE WHEN p.lost THEN 'merged' ELSE x.ended_for END,
		done = CASE WHEN p.lost
			THEN x.done
			ELSE coalesce((SELECT jsonb_object_agg(d.key, d.value) FROM placed o CROSS JOIN LATERAL jsonb_each(o.done) d
				WHERE o.winner = p.id), '{}') || x.done
		END
	FROM placed p
	WHERE p.id = x.id`
)
