package store

// The runs of campaigns move with their customers. Of several with one key, which a merge brings together, one goes on:
// the one that got furthest, and it counts all that any of them did as done. The others end.
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

	// runsMerged gives each key to one run again. One that ended so before does not come back.
	runsMerged = `
	WITH there AS (
		SELECT
			y.id,
			y.done,
			row_number() OVER furthest AS nth,
			first_value(y.id) OVER furthest AS winner
		FROM (SELECT DISTINCT store_id, into_email FROM ` + movedTo + `) t
		JOIN runs y ON y.store_id = t.store_id AND y.email = t.into_email
		WHERE y.ended_for IS DISTINCT FROM 'merged'
		WINDOW furthest AS (
			PARTITION BY y.campaign_id, y.email, y.occurrence
			ORDER BY (SELECT count(*) FROM jsonb_object_keys(y.done)) DESC, y.ended_at IS NOT NULL, y.id
		)
	)
	UPDATE runs x
	SET
		twin = CASE WHEN t.nth = 1 THEN 0 ELSE x.id END,
		ended_at = CASE WHEN t.nth = 1 THEN x.ended_at ELSE coalesce(x.ended_at, now()) END,
		ended_for = CASE WHEN t.nth = 1 THEN x.ended_for ELSE 'merged' END,
		done = CASE WHEN t.nth = 1
			THEN coalesce((SELECT jsonb_object_agg(d.key, d.value) FROM there o CROSS JOIN LATERAL jsonb_each(o.done) d
				WHERE o.winner = t.winner), '{}') || x.done
			ELSE x.done
		END
	FROM there t
	WHERE t.id = x.id`
)
