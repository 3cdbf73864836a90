package tags

import (
	"context"
	"strings"

	"rollcall/store/pg"
)

// Unused is nil, or a *pg.Conflict that names the segments and campaigns that use a thing:
// leaf is its kind, tag or segment.
func (s *Tags) Unused(ctx context.Context, storeID, leaf, id string) error {
	names, err := pg.Column[string](ctx, s.Pool, `
		WITH named AS (
			SELECT ('$.**.' || $2 || ' ? (@ == $id)')::jsonpath AS path, jsonb_build_object('id', $3::text) AS id
		)
		SELECT 'the segment “' || name || '”'
		FROM segments, named
		WHERE store_id = $1
		  AND jsonb_path_exists(rule, path, named.id)
		UNION ALL
		SELECT 'the campaign “' || name || '”'
		FROM campaigns, named
		WHERE store_id = $1
		  AND state <> 'ended'
		  AND (jsonb_path_exists(audience, path, named.id) OR jsonb_path_exists(steps || on_goal, path, named.id))
		ORDER BY 1`, storeID, leaf, id)
	if err != nil || len(names) == 0 {
		return err
	}
	return pg.Conflicts("in_use", "This %s is used by %s. Change or delete those first.", leaf, strings.Join(names, ", "))
}
